package controller

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/record"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/lintel-lb/lintel/internal/ipam"
	"github.com/lintel-lb/lintel/internal/lb"
)

const (
	// serviceWriters is how many Services are written at a time. The API server orders writes
	// of one object by itself; a single client reaches its full rate with about this many.
	serviceWriters = 32
	// writeTimeout bounds one write.
	writeTimeout = 10 * time.Second
)

// assignment is what a Service's status is to become.
type assignment struct {
	// base is the Service that the decision was made from.
	base      *corev1.Service
	addresses []netip.Addr
	pool      string
	// events are sent when the write has succeeded.
	events []ipam.Event
	// seq tells assignments of one Service apart.
	seq uint64
}

// serviceWriter writes assignments, the latest one of each Service, many Services at a time.
// A Service that changed since the decision is left alone: its change is being decided about.
type serviceWriter struct {
	log    *slog.Logger
	client client.Client
	events record.EventRecorder
	queue  workqueue.TypedRateLimitingInterface[lb.ServiceKey]
	// leads is asked before each write; nothing is written while it says no.
	leads func() bool

	mu      sync.Mutex
	seq     uint64
	pending map[lb.ServiceKey]assignment
}

func newServiceWriter(log *slog.Logger, c client.Client, events record.EventRecorder) *serviceWriter {
	return &serviceWriter{
		log: log, client: c, events: events, leads: func() bool { return false },
		queue: workqueue.NewTypedRateLimitingQueue(
			workqueue.NewTypedItemExponentialFailureRateLimiter[lb.ServiceKey](50*time.Millisecond, 15*time.Second)),
		pending: map[lb.ServiceKey]assignment{},
	}
}

// set hands an assignment over. It does not block.
func (w *serviceWriter) set(k lb.ServiceKey, a assignment) {
	w.mu.Lock()
	w.seq++
	a.seq = w.seq
	if old, waiting := w.pending[k]; waiting {
		// What is told again, as deprecated annotations are in each pass, is told once.
		events := slices.Clone(old.events)
		for _, e := range a.events {
			if !slices.Contains(events, e) {
				events = append(events, e)
			}
		}
		a.events = events
	}
	w.pending[k] = a
	w.mu.Unlock()
	w.queue.Add(k)
}

// drop forgets an assignment that is not to be written any more.
func (w *serviceWriter) drop(k lb.ServiceKey) {
	w.mu.Lock()
	delete(w.pending, k)
	w.mu.Unlock()
}

// run writes until ctx is done.
func (w *serviceWriter) run(ctx context.Context) {
	var wg sync.WaitGroup
	for range serviceWriters {
		wg.Go(func() {
			for w.next(ctx) {
			}
		})
	}
	<-ctx.Done()
	w.queue.ShutDown()
	wg.Wait()
}

func (w *serviceWriter) next(ctx context.Context) bool {
	k, shutdown := w.queue.Get()
	if shutdown {
		return false
	}
	defer w.queue.Done(k)
	w.mu.Lock()
	a, ok := w.pending[k]
	w.mu.Unlock()
	if !ok {
		w.queue.Forget(k)
		return true
	}
	if !w.leads() {
		w.queue.AddRateLimited(k)
		return true
	}
	ctx, cancel := context.WithTimeout(ctx, writeTimeout)
	defer cancel()
	switch err := w.write(ctx, a); {
	case err == nil:
		for _, e := range a.events {
			w.events.Event(a.base, string(e.Type), e.Reason, e.Message)
		}
		w.done(k, a)
	case apierrors.IsConflict(err):
		// The change is being decided about; what comes of it takes the events along.
	case apierrors.IsNotFound(err):
		w.done(k, a)
	default:
		w.log.Warn("cannot write the address of a Service; it will be tried again", "service", k, "error", err)
		w.queue.AddRateLimited(k)
		return true
	}
	w.queue.Forget(k)
	return true
}

// done forgets an assignment, unless a newer one took its place meanwhile.
func (w *serviceWriter) done(k lb.ServiceKey, a assignment) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if now, ok := w.pending[k]; ok && now.seq == a.seq {
		delete(w.pending, k)
	}
}

// write patches the status and the annotation in one request. It fails with a conflict where
// the Service is not the one that the decision was made from any more.
func (w *serviceWriter) write(ctx context.Context, a assignment) error {
	body, err := statusPatch(a)
	if err != nil {
		return err
	}
	obj := a.base.DeepCopy()
	return w.client.Status().Patch(ctx, obj, client.RawPatch(types.MergePatchType, body))
}

func statusPatch(a assignment) ([]byte, error) {
	mode := corev1.LoadBalancerIPModeVIP
	ingress := make([]corev1.LoadBalancerIngress, 0, len(a.addresses))
	for _, addr := range a.addresses {
		ingress = append(ingress, corev1.LoadBalancerIngress{IP: addr.String(), IPMode: &mode})
	}
	var pool any
	if a.pool != "" {
		pool = a.pool
	}
	body, err := json.Marshal(map[string]any{
		"metadata": map[string]any{
			"resourceVersion": a.base.ResourceVersion,
			"annotations":     map[string]any{ipam.AnnotationAllocatedFrom: pool},
		},
		"status": map[string]any{"loadBalancer": map[string]any{"ingress": ingress}},
	})
	if err != nil {
		return nil, fmt.Errorf("encode the status of a Service: %w", err)
	}
	return body, nil
}
