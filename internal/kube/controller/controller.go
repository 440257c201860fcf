package controller

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/leaderelection"
	"k8s.io/client-go/tools/leaderelection/resourcelock"
	"k8s.io/client-go/tools/record"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/lintel-lb/lintel/internal/ipam"
	"github.com/lintel-lb/lintel/internal/kube/inbox"
	"github.com/lintel-lb/lintel/internal/kube/resources"
	"github.com/lintel-lb/lintel/internal/kube/translate"
	"github.com/lintel-lb/lintel/internal/kube/watch"
	"github.com/lintel-lb/lintel/internal/lb"
)

// Config is what a controller is told when it starts.
type Config struct {
	// Namespace is where metallb.io objects are.
	Namespace string
	Classes   translate.Classes
	// Identity tells replicas apart; it is the name of the Pod.
	Identity string
	// Lease is the name of the Lease that replicas elect their leader with.
	Lease string
	// MemberlistSecret is the name of the Secret with the speakers' gossip key, to be made if
	// it is missing; empty means that somebody else cares for it. Deployment owns it.
	MemberlistSecret string
	Deployment       string
}

// Parts are what a controller is put together from.
type Parts struct {
	Log    *slog.Logger
	Cache  cache.Cache
	Client client.Client
	// Clientset is used for the election, and for what must not come from the cache.
	Clientset kubernetes.Interface
	Events    record.EventRecorder
	Metrics   *Metrics
}

// Times of the election: how long a leader that says nothing is waited for, when a leader
// that cannot renew gives up, and how often each tries. Services keep what they have while
// there is no leader; only new ones wait.
const (
	leaseDuration = 8 * time.Second
	renewDeadline = 6 * time.Second
	retryPeriod   = 1 * time.Second
)

// ErrLostLead is returned by Run when it leads no more. The process is to end: what it knows
// of assignments may be out of date.
var ErrLostLead = errors.New("controller: lost the lead: the lease was not renewed in time, or another replica has it")

// Controller gives addresses to Services.
type Controller struct {
	Parts
	config  Config
	inbox   *inbox.Inbox[batch]
	writer  *serviceWriter
	objects *objectWriter
	synced  atomic.Bool

	// The rest is owned by the loop of the leader.
	alloc      *ipam.Allocator
	services   map[svcKey]*entry
	namespaces map[string]map[string]string
	nodes      map[string]*lb.Node
	adopted    bool
	parsed     parsed
	// restoring tells that Services had addresses when no pool existed, and settled receives when
	// the pools that came since are taken for all.
	restoring bool
	settled   <-chan time.Time
	// settleBy is when they are at the latest, zero while none has come.
	settleBy time.Time
	// foreign are the Services, by UID, whose users were told that another controller has them.
	foreign map[svcKey]string
}

// New puts a controller together. Run starts it.
func New(c Config, p Parts) *Controller {
	return &Controller{
		Parts:      p,
		config:     c,
		inbox:      inbox.New(batches()),
		writer:     newServiceWriter(p.Log, p.Client, p.Events),
		objects:    newObjectWriter(p.Log, p.Client, p.Events, c.Namespace),
		alloc:      ipam.New(nil),
		services:   map[svcKey]*entry{},
		namespaces: map[string]map[string]string{},
		nodes:      map[string]*lb.Node{},
		foreign:    map[svcKey]string{},
	}
}

// Run waits for the lead and gives addresses until ctx is done. It expects the caller to run
// the cache.
func (c *Controller) Run(ctx context.Context) error {
	synced, err := c.watch(ctx)
	if err != nil {
		return fmt.Errorf("controller: %w", err)
	}
	if err := watch.WaitFor(ctx, synced...); err != nil {
		return fmt.Errorf("controller: %w", err)
	}
	c.synced.Store(true)
	c.Log.Info("first lists are complete; waiting for the lead", "lease", c.config.Lease)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var term term
	elector, err := leaderelection.NewLeaderElector(leaderelection.LeaderElectionConfig{
		Lock: &resourcelock.LeaseLock{
			LeaseMeta:  leaseMeta(c.config),
			Client:     c.Clientset.CoordinationV1(),
			LockConfig: resourcelock.ResourceLockConfig{Identity: c.config.Identity},
		},
		LeaseDuration:   leaseDuration,
		RenewDeadline:   renewDeadline,
		RetryPeriod:     retryPeriod,
		ReleaseOnCancel: true,
		Callbacks: leaderelection.LeaderCallbacks{
			OnStartedLeading: func(ctx context.Context) { term.serve(func() { c.lead(ctx) }) },
			OnStoppedLeading: func() {},
		},
	})
	if err != nil {
		return fmt.Errorf("controller: %w", err)
	}
	leads := func() bool { return leads(elector) }
	c.writer.leads, c.objects.leads = leads, leads
	elector.Run(ctx)
	lost := ctx.Err() == nil
	cancel()
	term.end()
	if lost {
		return ErrLostLead
	}
	return nil
}

// lead is the life of a leader.
func (c *Controller) lead(ctx context.Context) {
	c.Log.Info("leading")
	c.Metrics.leading.Store(true)
	if !c.catchUp(ctx) {
		return
	}
	done := make(chan struct{}, 4)
	start := func(run func(context.Context)) {
		go func() { run(ctx); done <- struct{}{} }()
	}
	start(c.writer.run)
	start(c.objects.run)
	start(c.keepSecret)
	start(c.watchKubeProxy)
	c.loop(ctx)
	for range cap(done) {
		<-done
	}
}

// watch registers for all changes that allocation depends on.
func (c *Controller) watch(ctx context.Context) ([]watch.Synced, error) {
	services, err := watch.Objects(ctx, c.Cache, &corev1.Service{},
		func(o *corev1.Service) { c.inbox.Post(func(b *batch) { b.services[keyOf(o)] = o }) },
		func(o *corev1.Service) { c.inbox.Post(func(b *batch) { b.remove(o) }) })
	if err != nil {
		return nil, err
	}
	namespaces, err := watch.Objects(ctx, c.Cache, &corev1.Namespace{},
		func(o *corev1.Namespace) { c.inbox.Post(func(b *batch) { b.setNamespace(o) }) },
		func(o *corev1.Namespace) { c.inbox.Post(func(b *batch) { removeFrom(b, b.namespaces, o.Name) }) })
	if err != nil {
		return nil, err
	}
	nodes, err := watch.Objects(ctx, c.Cache, &corev1.Node{},
		func(o *corev1.Node) { c.inbox.Post(func(b *batch) { b.nodes[o.Name] = translate.Node(o) }) },
		func(o *corev1.Node) { c.inbox.Post(func(b *batch) { removeFrom(b, b.nodes, o.Name) }) })
	if err != nil {
		return nil, err
	}
	configs, err := resources.Watch(ctx, c.Cache, resources.Changes{
		Config: func() { c.inbox.Post(func(b *batch) { b.config = true }) },
		Status: func() { c.inbox.Post(func(b *batch) { b.status = true }) },
	})
	if err != nil {
		return nil, err
	}
	return append(configs, services, namespaces, nodes), nil
}
