package controller

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/record"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/lintel-lb/lintel/api/v1beta1"
	"github.com/lintel-lb/lintel/internal/config"
	"github.com/lintel-lb/lintel/internal/ipam"
	"github.com/lintel-lb/lintel/internal/kube/resources"
	"github.com/lintel-lb/lintel/internal/lb"
)

// statusDelay is how long changes by others are gathered before statuses are compared again.
const statusDelay = time.Second

// stateCheck is how often the ConfigurationState is looked after, which no watch reminds of.
const stateCheck = time.Minute

// objectWriter writes the status of the objects that users write: the condition Accepted of
// each, and the counters of pools. It is best effort.
type objectWriter struct {
	log       *slog.Logger
	client    client.Client
	events    record.EventRecorder
	namespace string
	queue     workqueue.TypedRateLimitingInterface[config.Ref]
	// leads is asked before each write; nothing is written while it says no.
	leads func() bool

	mu   sync.Mutex
	want map[config.Ref]objectStatus
}

// objectStatus is what the status of one object is to say.
type objectStatus struct {
	verdict  config.Verdict
	counts   *ipam.Counts
	retained []lb.Retained
}

func newObjectWriter(log *slog.Logger, c client.Client, events record.EventRecorder, namespace string) *objectWriter {
	return &objectWriter{
		log: log, client: c, events: events, namespace: namespace, leads: func() bool { return false },
		queue: workqueue.NewTypedRateLimitingQueue(
			workqueue.NewTypedItemExponentialFailureRateLimiter[config.Ref](200*time.Millisecond, 30*time.Second)),
		want: map[config.Ref]objectStatus{},
	}
}

// verdicts says what came of each object; objects not named are forgotten.
func (w *objectWriter) verdicts(vs []config.Verdict) {
	w.mu.Lock()
	defer w.mu.Unlock()
	old := w.want
	w.want = make(map[config.Ref]objectStatus, len(vs))
	for _, v := range vs {
		st := old[v.Object]
		st.verdict = v
		w.want[v.Object] = st
		w.queue.Add(v.Object)
	}
	w.queue.Add(w.stateRef())
}

// counters says how full a pool is.
func (w *objectWriter) counters(pool string, n ipam.Counts, retained []lb.Retained) {
	ref := config.Ref{Kind: config.KindPool, Namespace: w.namespace, Name: pool}
	w.mu.Lock()
	defer w.mu.Unlock()
	st, ok := w.want[ref]
	if !ok || st.counts != nil && *st.counts == n && slices.Equal(st.retained, retained) {
		return
	}
	st.counts, st.retained = &n, retained
	w.want[ref] = st
	w.queue.Add(ref)
}

// again has every status compared with the objects once more, after somebody changed one.
func (w *objectWriter) again() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for ref := range w.want {
		w.queue.AddAfter(ref, statusDelay)
	}
}

// run writes until ctx is done.
func (w *objectWriter) run(ctx context.Context) {
	var wg sync.WaitGroup
	wg.Go(func() {
		for w.next(ctx) {
		}
	})
	<-ctx.Done()
	w.queue.ShutDown()
	wg.Wait()
}

func (w *objectWriter) next(ctx context.Context) bool {
	ref, shutdown := w.queue.Get()
	if shutdown {
		return false
	}
	defer w.queue.Done(ref)
	if !w.leads() {
		w.queue.AddRateLimited(ref)
		return true
	}
	ctx, cancel := context.WithTimeout(ctx, writeTimeout)
	defer cancel()
	var err error
	if ref == w.stateRef() {
		err = w.writeState(ctx)
	} else {
		err = w.write(ctx, ref)
	}
	if client.IgnoreNotFound(err) != nil {
		w.log.Warn("cannot write the status of an object; it will be tried again", "object", ref, "error", err)
		w.queue.AddRateLimited(ref)
		return true
	}
	w.queue.Forget(ref)
	if ref == w.stateRef() {
		w.queue.AddAfter(ref, stateCheck)
	}
	return true
}

// write makes the status of one object say what it should, if it does not.
func (w *objectWriter) write(ctx context.Context, ref config.Ref) error {
	w.mu.Lock()
	st, ok := w.want[ref]
	w.mu.Unlock()
	if !ok {
		return nil
	}
	obj := resources.Kinds()[ref.Kind]
	if err := w.client.Get(ctx, types.NamespacedName{Namespace: ref.Namespace, Name: ref.Name}, obj); err != nil {
		return err
	}
	conditions := slices.Clone(resources.Conditions(obj))
	status := map[string]any{}
	verdict := st.verdict.Condition(obj.GetGeneration())
	before := meta.FindStatusCondition(conditions, verdict.Type)
	refused := !st.verdict.Accepted && (before == nil || before.Status != verdict.Status || before.Message != verdict.Message)
	if meta.SetStatusCondition(&conditions, verdict) {
		status["conditions"] = conditions
	}
	if pool, isPool := obj.(*v1beta1.IPAddressPool); isPool && st.counts != nil {
		addCounters(status, pool, st)
	}
	if len(status) == 0 {
		return nil
	}
	body, err := json.Marshal(map[string]any{"status": status})
	if err != nil {
		return fmt.Errorf("encode the status of %s: %w", ref, err)
	}
	if err := w.client.Status().Patch(ctx, obj, client.RawPatch(types.MergePatchType, body)); err != nil {
		return err
	}
	if refused {
		w.events.Eventf(obj, corev1.EventTypeWarning, "refused", "%s: %s", verdict.Reason, eventText(verdict.Message))
	}
	return nil
}

// eventText cuts a message to what an event can hold.
func eventText(message string) string {
	const most = 900
	if len(message) <= most {
		return message
	}
	return strings.ToValidUTF8(message[:most], "") + " …"
}

// addCounters adds the counters and retained addresses of a pool to a status, if they differ.
func addCounters(status map[string]any, pool *v1beta1.IPAddressPool, st objectStatus) {
	now := &pool.Status
	n := st.counts
	retained := retainedAddresses(st.retained)
	if now.AssignedIPv4 == n.AssignedIPv4 && now.AssignedIPv6 == n.AssignedIPv6 &&
		now.AvailableIPv4 == n.AvailableIPv4 && now.AvailableIPv6 == n.AvailableIPv6 &&
		slices.EqualFunc(now.Retained, retained, sameRetained) {
		return
	}
	status["assignedIPv4"], status["assignedIPv6"] = n.AssignedIPv4, n.AssignedIPv6
	status["availableIPv4"], status["availableIPv6"] = n.AvailableIPv4, n.AvailableIPv6
	status["retained"] = retained
}

func retainedAddresses(in []lb.Retained) []v1beta1.RetainedAddress {
	var out []v1beta1.RetainedAddress
	for _, r := range in {
		out = append(out, v1beta1.RetainedAddress{
			Namespace: r.Service.Namespace, Name: r.Service.Name,
			Address: r.Address.String(), Until: metav1.NewTime(r.Until.UTC().Truncate(time.Second)),
		})
	}
	return out
}

func sameRetained(a, b v1beta1.RetainedAddress) bool {
	return a.Namespace == b.Namespace && a.Name == b.Name && a.Address == b.Address && a.Until.Time.Equal(b.Until.Time)
}
