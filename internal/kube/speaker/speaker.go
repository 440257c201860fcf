package speaker

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	toolscache "k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/record"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/lintel-lb/lintel/internal/announce"
	"github.com/lintel-lb/lintel/internal/config"
	"github.com/lintel-lb/lintel/internal/kube/inbox"
	"github.com/lintel-lb/lintel/internal/kube/resources"
	"github.com/lintel-lb/lintel/internal/kube/translate"
	"github.com/lintel-lb/lintel/internal/kube/watch"
	"github.com/lintel-lb/lintel/internal/kube/worldfile"
	"github.com/lintel-lb/lintel/internal/l2"
	"github.com/lintel-lb/lintel/internal/lb"
	"github.com/lintel-lb/lintel/internal/links"
	"github.com/lintel-lb/lintel/internal/members"
)

// Config is what a speaker is told when it starts.
type Config struct {
	// Node is the name of the Node object that this speaker acts for.
	Node string
	// Namespace is where metallb.io objects and speaker pods are.
	Namespace string
	// Pod is the name of the own pod, which owns the status objects; empty if there is none.
	Pod      string
	Classes  translate.Classes
	Settings lb.Settings
	// Usable tells whether a link may be announced on.
	Usable func(*links.Link) bool
	// JoinWait bounds how long the first announcement waits for other speakers that are known
	// to exist and do not answer.
	JoinWait time.Duration
	// Keep is where a copy of the World is kept for the time without API server; nil for nowhere.
	Keep *worldfile.File
	// CopyWait is how long a starting speaker waits for the API server before it goes on from
	// the copy; 0 means 3 s.
	CopyWait time.Duration
	// MembersSecret is the name of the Secret with the key of the membership, which is kept too.
	MembersSecret string
}

// Engine makes the network answer for addresses. It is implemented by *l2.Engine.
type Engine interface {
	// Set takes the whole desired set. It must not block.
	Set(l2.Desired) (version uint64)
	Snapshot() l2.State
	// Conflicts are the latest claims of other stations to addresses that are answered for.
	Conflicts() map[netip.Addr]l2.Conflict
	// Probe asks whether another station has an address.
	Probe(context.Context, l2.ProbeRequest) (l2.ProbeResult, error)
	// Announce makes addresses known once more, with all repetitions.
	Announce(context.Context, ...netip.Addr) error
	// Changed receives when the state has changed in more than its counters.
	Changed() <-chan struct{}
}

// LinkSource tells what links the node has. It is implemented by *links.Watcher.
type LinkSource interface {
	Snapshot() *links.Snapshot
	Subscribe() <-chan struct{}
	// NeedGateways says whether gateways are needed. It must not block.
	NeedGateways(bool)
}

// Parts are what a speaker is put together from. All but BFD and those after it are required.
type Parts struct {
	Log    *slog.Logger
	Cache  cache.Cache
	Client client.Client
	// Services and Slices list and watch the Services and EndpointSlices of the cluster. Those that
	// the source leaves out take no part: none but Services of type LoadBalancer need be in it, and
	// no slices of headless Services. See Sources.
	Services, Slices toolscache.ListerWatcher
	Events           record.EventRecorder
	Engine           Engine
	Members          members.Membership
	Links            LinkSource
	// BGP announces routes, and BFD, if not nil, watches the paths to its peers.
	BGP BGPEngine
	BFD *BFDBridge
	// Gate tells whether this node would forward traffic; nil means that it is not asked.
	Gate *Gate
	// Speakers are the other ends of the membership, for the copy of the World; nil for none.
	Speakers func() []members.Peer
	// Refusals knows what the Cache may not list; nil for nothing.
	Refusals *watch.Refusals
}

// Speaker is the speaker of one node.
type Speaker struct {
	Parts
	config Config

	inbox *inbox.Inbox[batch]
	// liveServices and liveSlices are what the API server says of them.
	liveServices *watch.Values[*corev1.Service, keyed]
	liveSlices   *watch.Values[*discoveryv1.EndpointSlice, sliceSum]
	questions    chan func(*Speaker)
	reports      *reports
	metrics      *Metrics
	deciding     atomic.Bool
	// started is closed when the loop begins, ended when it has ended.
	started, ended chan struct{}
	// borrowing receives the copy on the disk when it is taken into use.
	borrowing chan *worldfile.Copy
	// toKeep receives when the copy on the disk is older than the World.
	toKeep chan struct{}
	// liveMixed is the setting of mixed membership that the API server has; nil without one.
	liveMixed atomic.Pointer[corev1.ConfigMap]
	// verdicts are those about the configuration in force, for the writer of their summary.
	verdicts      atomic.Pointer[[]config.Verdict]
	parsedChanged chan struct{}
	// sessionCondition sums up the BGP sessions, for the same writer; nil without any.
	sessionCondition atomic.Pointer[metav1.Condition]

	// The rest is owned by the loop.
	decider *announce.Decider
	slices  sliceTable
	scopes  map[netip.Addr]announce.Scope
	holders map[netip.Addr][]lb.ServiceKey
	told    []byte
	bgp     bgpState
	probes  *probes
	// nodeMACs are the addresses of the links of the other nodes, as each told last. One that is no
	// member any more keeps them while its Node is there: it may still answer, while it leaves or
	// where only the membership is cut.
	nodeMACs map[string][]links.MAC
	// clusterMACs are all of those, and absentMACs those of nodes that are no members. The maps are
	// replaced, not changed.
	clusterMACs, absentMACs map[links.MAC]bool
	// suspects are the stations for whose sake new addresses are not announced.
	suspects map[netip.Addr]links.MAC
	// conflicts are the claims of other stations that were reported, by address.
	conflicts map[netip.Addr]claim
	// silent are the addresses that nobody announces, with the reason that was reported.
	silent map[holding]lb.Reason
	// problems are those of the membership that were reported.
	problems []string
	// failures are the addresses, with the interfaces they lack, that were reported.
	failures map[holding]string
	// settled is set after the first batch: addresses that come later are new.
	settled bool
	// fresh are the new addresses that no node has been chosen for yet.
	fresh map[netip.Addr]bool
	// disputed are addresses that another node of the cluster claimed while this one has them.
	disputed map[netip.Addr]bool
	// disputes are those that were defended lately.
	disputes map[netip.Addr]dispute
	// joinDue receives when the others were waited for long enough; nil before they could be
	// reached at all.
	joinDue <-chan time.Time
	// joined is set once other speakers were met or were waited for long enough.
	joined bool
	// parsed are the verdicts about the configuration in force.
	parsed configSummary
	// borrowed is the copy that the World is from until the first lists are complete; else nil.
	borrowed *worldfile.Copy
	// notGivenBack is why the copy is still in use with the lists complete, as it was logged.
	notGivenBack string
}

// New puts a speaker together. Run starts it.
func New(c Config, p Parts, m *Metrics) *Speaker {
	c.CopyWait = cmp.Or(c.CopyWait, copyWait)
	w := lb.NewWorld()
	w.Settings = c.Settings
	s := &Speaker{
		Parts:         p,
		config:        c,
		inbox:         inbox.New(newBatch),
		questions:     make(chan func(*Speaker)),
		parsedChanged: make(chan struct{}, 1),
		started:       make(chan struct{}),
		ended:         make(chan struct{}),
		borrowing:     make(chan *worldfile.Copy, 1),
		toKeep:        make(chan struct{}, 1),
		reports:       newReports(p.Log, &statusWriter{client: p.Client, node: c.Node, namespace: c.Namespace, pod: c.Pod}),
		metrics:       m,
		decider:       announce.Decide(w),
		slices:        newSliceTable(),
		scopes:        map[netip.Addr]announce.Scope{},
		holders:       map[netip.Addr][]lb.ServiceKey{},
		bgp:           newBGPState(),
		conflicts:     map[netip.Addr]claim{},
		disputed:      map[netip.Addr]bool{},
		disputes:      map[netip.Addr]dispute{},
		suspects:      map[netip.Addr]links.MAC{},
		nodeMACs:      map[string][]links.MAC{},
		silent:        map[holding]lb.Reason{},
		failures:      map[holding]string{},
		fresh:         map[netip.Addr]bool{},
	}
	s.liveServices, s.liveSlices = s.services(), s.endpoints()
	s.probes = newProbes(p.Engine, func(a netip.Addr, r probeResult) {
		s.inbox.Post(func(b *batch) { b.probes[a] = r })
	})
	return s
}

// Run announces until ctx is done. It expects the cache, the engine, the membership and the
// links to be run by the caller, and leaves the engine with its last desired set: who runs
// the engine decides how to end.
func (s *Speaker) Run(ctx context.Context) error {
	synced, err := s.watch(ctx)
	if err != nil {
		return fmt.Errorf("speaker: %w", err)
	}
	var followers sync.WaitGroup
	defer followers.Wait()
	followers.Go(func() { s.liveServices.Run(ctx) })
	followers.Go(func() { s.liveSlices.Run(ctx) })
	synced = append(synced, s.liveServices.Synced, s.liveSlices.Synced)
	linksChanged, bgpChanged := s.Links.Subscribe(), s.BGP.Subscribe()
	waiting, stop := context.WithCancel(ctx)
	complete, waited := completed(waiting, synced)
	defer func() { stop(); <-waited }()
	live, err := s.firstLists(ctx, complete)
	if err != nil {
		return fmt.Errorf("speaker: stopped before the first lists were complete: %w", err)
	}
	if live == nil {
		s.Log.Info("first lists are complete", "node", s.config.Node)
	}
	s.deciding.Store(true)
	close(s.started)
	var writers sync.WaitGroup
	writers.Go(func() {
		// What an earlier life of this speaker has left need not be tried to create.
		if exist, err := s.ownStatus(ctx); err == nil {
			s.reports.writer.found(exist)
		} else if ctx.Err() == nil {
			s.Log.Warn("cannot look for the status of this node; announcing goes on", "error", err)
		}
		s.reports.run(ctx)
	})
	writers.Go(func() { s.upkeep(ctx) })
	s.loop(ctx, linksChanged, bgpChanged, live)
	close(s.ended)
	s.probes.wg.Wait()
	writers.Wait()
	return nil
}

// Started is closed once the speaker has everything that it decides from. A speaker that is a
// member before that would be given addresses that it does not answer for.
func (s *Speaker) Started() <-chan struct{} { return s.started }

// Ready says why the speaker does not decide yet; nil means that it does.
func (s *Speaker) Ready() error {
	if s.deciding.Load() {
		return nil
	}
	if err := errors.Join(s.Refusals.All()...); err != nil {
		return fmt.Errorf("the first lists from the API server are not complete, as rights are missing: %w", err)
	}
	return errors.New("the first lists from the API server are not complete")
}

// watch registers for all changes that the World is made of.
func (s *Speaker) watch(ctx context.Context) ([]watch.Synced, error) {
	nodes, err := watch.Objects(ctx, s.Cache, &corev1.Node{},
		func(o *corev1.Node) { s.inbox.Post(func(b *batch) { b.nodes[o.Name] = translate.Node(o) }) },
		func(o *corev1.Node) { s.inbox.Post(func(b *batch) { b.nodes[o.Name] = nil }) })
	if err != nil {
		return nil, err
	}
	configs, err := resources.Watch(ctx, s.Cache, resources.Changes{
		Config: func() { s.inbox.Post(func(b *batch) { b.config = true }) },
	})
	if err != nil {
		return nil, err
	}
	setting, err := watchMixed(ctx, s.Cache, func(cm *corev1.ConfigMap) {
		s.liveMixed.Store(cm)
		s.inbox.Post(func(b *batch) { b.mixed, b.mixedChanged = cm, true })
	})
	if err != nil {
		return nil, err
	}
	return append(configs, nodes, setting.Unless(s.mixedRefused)), nil
}
