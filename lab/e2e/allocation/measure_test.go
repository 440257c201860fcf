package allocation

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"
	watchtools "k8s.io/client-go/tools/watch"

	"github.com/lintel-lb/lintel/lab/e2e/install"
)

const (
	// pendingServices wait for an address at once.
	pendingServices = 2000

	// singles are added one after the other.
	singles = 300

	// writers is how many requests the bare client has under way, as many as the controller.
	writers = 32

	// measurePool4 is on no segment; nothing announces it (RFC 2544).
	measurePool4 = "198.18.0.0/16"

	// measureTime bounds one part of the measurement.
	measureTime = 10 * time.Minute

	// bareClass keeps the controller's hands off what the bare client writes.
	bareClass = "bare.example/lb"
)

// BenchmarkAllocation measures against the lab's API server how fast Services get addresses:
//
//   - bare/s: how many statuses of Services a client writes that does nothing else, with as
//     many requests at a time as the controller. lintel/s: how many of 2,000 Services that
//     wait get their address in a second, in the same run, from the pool's creation on.
//   - p50-ms, p99-ms: how long it takes from the watch event of one new Service to that of
//     its address, while so many others exist.
//   - restart-writes, restart-ms: after a restart with all of them assigned, how many of them
//     are written, and how long the new process takes until it can decide.
//   - rss-MiB: the controller's resident memory, and its maximum before the restart.
//
// It says nothing about right or wrong; the tests do. To make 10,000 Services takes minutes;
// -bench 'Allocation/(pending|services=2000)' leaves them out.
func BenchmarkAllocation(b *testing.B) {
	m := newMeasurement(b)
	m.rates(b)
	for _, n := range []int{pendingServices, 10000} {
		b.Run(fmt.Sprintf("services=%d", n), func(b *testing.B) {
			m.fill(b, "s", n)
			m.single(b, n)
			m.restart(b)
		})
	}
}

// measurement is a namespace with many Services.
type measurement struct {
	fixture
	api  kubernetes.Interface // without a limit of its own
	made int                  // Services that fill has made
}

func newMeasurement(b *testing.B) *measurement {
	m := &measurement{fixture: alone(b)}
	config, err := m.Lab.RESTConfig()
	if err != nil {
		b.Fatal(err)
	}
	config.QPS = -1
	if m.api, err = kubernetes.NewForConfig(config); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { m.clear(b) })
	m.leading(1)
	return m
}

// bulk is a Service without node ports, of which there are fewer than 3,000, and without
// endpoints, which Kubernetes would be busy with.
func (m *measurement) bulk(name string, changes ...change) *corev1.Service {
	none := false
	return m.build(name, append(changes, func(s *corev1.Service) {
		s.Spec.AllocateLoadBalancerNodePorts, s.Spec.Selector = &none, nil
	})...)
}

// each32 runs f for 0 to n-1, as many at a time as there are writers.
func each32(ctx context.Context, n int, f func(ctx context.Context, i int) error) error {
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(writers)
	for i := range n {
		g.Go(func() error { return f(ctx, i) })
	}
	return g.Wait()
}

// createBulk creates n Services and returns them as the API server has them.
func (m *measurement) createBulk(b *testing.B, prefix string, from, to int, changes ...change) []*corev1.Service {
	b.Helper()
	out := make([]*corev1.Service, to-from)
	err := each32(b.Context(), to-from, func(ctx context.Context, i int) (err error) {
		svc := m.bulk(fmt.Sprintf("%s%05d", prefix, from+i), changes...)
		out[i], err = m.api.CoreV1().Services(m.Namespace).Create(ctx, svc, metav1.CreateOptions{})
		return err
	})
	if err != nil {
		b.Fatal(err)
	}
	return out
}

// seen is an event of a watch, with the time that it came.
type seen struct {
	at   time.Time
	kind watch.EventType
	svc  *corev1.Service
}

func (s seen) written() bool {
	return s.kind == watch.Modified && len(s.svc.Status.LoadBalancer.Ingress) > 0
}

// watch tells what happens to Services from now on, until stop.
func (m *measurement) watch(b *testing.B) (events <-chan seen, stop func()) {
	b.Helper()
	list, err := m.api.CoreV1().Services(m.Namespace).List(b.Context(), metav1.ListOptions{Limit: 1})
	if err != nil {
		b.Fatal(err)
	}
	// The API server may end a watch, above all when it is busy.
	w, err := watchtools.NewRetryWatcherWithContext(b.Context(), list.ResourceVersion, &cache.ListWatch{
		WatchFuncWithContext: func(ctx context.Context, o metav1.ListOptions) (watch.Interface, error) {
			return m.api.CoreV1().Services(m.Namespace).Watch(ctx, o)
		}})
	if err != nil {
		b.Fatal(err)
	}
	out := make(chan seen, 1<<16)
	go func() {
		defer close(out)
		for e := range w.ResultChan() {
			if svc, ok := e.Object.(*corev1.Service); ok {
				out <- seen{time.Now(), e.Type, svc}
			}
		}
	}()
	return out, func() {
		w.Stop()
		for range out {
		}
	}
}

// next waits for an event that fits.
func next(b *testing.B, events <-chan seen, fits func(seen) bool) seen {
	b.Helper()
	timeout := time.After(measureTime)
	for {
		select {
		case e, ok := <-events:
			if !ok {
				b.Fatal("the watch has ended")
			}
			if fits(e) {
				return e
			}
		case <-timeout:
			b.Fatal("nothing fits what was seen")
		}
	}
}

// rates compares the controller with the bare client.
func (m *measurement) rates(b *testing.B) {
	b.Run(fmt.Sprintf("pending=%d", pendingServices), func(b *testing.B) {
		bare := m.createBulk(b, "bare", 0, pendingServices, ofClass(bareClass))
		m.createBulk(b, "s", 0, pendingServices)
		m.made = pendingServices
		// The last one has been decided about when its failure is told.
		m.event(m.key(fmt.Sprintf("s%05d", pendingServices-1)), "Warning", "AllocationFailed", "")

		// Half of the bare writes before, half of them after the controller's.
		half := len(bare) / 2
		bareTime := m.timed(b, half, func() { m.writeBare(b, bare[:half]) })
		lintelTime := m.timed(b, pendingServices, m.addPool)
		bareTime += m.timed(b, len(bare)-half, func() { m.writeBare(b, bare[half:]) })

		bareRate, rate := float64(len(bare))/bareTime.Seconds(), pendingServices/lintelTime.Seconds()
		b.ReportMetric(0, "ns/op")
		b.ReportMetric(bareRate, "bare/s")
		b.ReportMetric(rate, "lintel/s")
		b.ReportMetric(100*rate/bareRate, "%-of-bare")
		if err := each32(b.Context(), len(bare), func(ctx context.Context, i int) error {
			return m.api.CoreV1().Services(m.Namespace).Delete(ctx, bare[i].Name, metav1.DeleteOptions{})
		}); err != nil {
			b.Fatal(err)
		}
	})
}

// timed measures from the beginning of act until so many Services have an address.
func (m *measurement) timed(b *testing.B, n int, act func()) time.Duration {
	b.Helper()
	events, stop := m.watch(b)
	defer stop()
	began := time.Now()
	act()
	have := map[string]bool{}
	last := next(b, events, func(e seen) bool {
		if e.written() {
			have[e.svc.Name] = true
		}
		return len(have) == n
	})
	return last.at.Sub(began)
}

// writeBare writes statuses as the controller does.
func (m *measurement) writeBare(b *testing.B, services []*corev1.Service) {
	b.Helper()
	err := each32(b.Context(), len(services), func(ctx context.Context, i int) error {
		body, err := json.Marshal(map[string]any{
			"metadata": map[string]any{"resourceVersion": services[i].ResourceVersion, "annotations": map[string]any{allocatedFrom: m.Name}},
			"status":   map[string]any{"loadBalancer": map[string]any{"ingress": []any{map[string]any{"ip": "203.0.113.1", "ipMode": "VIP"}}}},
		})
		if err != nil {
			return err
		}
		_, err = m.api.CoreV1().Services(m.Namespace).Patch(ctx, services[i].Name, types.MergePatchType, body, metav1.PatchOptions{}, "status")
		return err
	})
	if err != nil {
		b.Fatal(err)
	}
}

func (m *measurement) addPool() { m.pool("p", []string{measurePool4}, nil) }

// fill makes the number of Services n and waits until all have an address.
func (m *measurement) fill(b *testing.B, prefix string, n int) {
	b.Helper()
	m.addPool()
	if n > m.made {
		m.timed(b, n-m.made, func() { m.createBulk(b, prefix, m.made, n) })
		m.made = n
	}
}

// single adds Services one by one.
func (m *measurement) single(b *testing.B, n int) {
	b.Helper()
	events, stop := m.watch(b)
	defer stop()
	var took []time.Duration
	for i := range singles {
		name := fmt.Sprintf("single-%d-%03d", n, i)
		m.createBulk(b, name, i, i+1)
		is := func(e seen) bool { return strings.HasPrefix(e.svc.Name, name) }
		began := next(b, events, func(e seen) bool { return is(e) && e.kind == watch.Added })
		ended := next(b, events, func(e seen) bool { return is(e) && e.written() })
		took = append(took, ended.at.Sub(began.at))
	}
	slices.Sort(took)
	ms := func(p int) float64 { return float64(took[(len(took)-1)*p/100].Microseconds()) / 1000 }
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(ms(50), "p50-ms")
	b.ReportMetric(ms(99), "p99-ms")
}

// restart replaces the controller's Pod and counts what its successor writes.
func (m *measurement) restart(b *testing.B) {
	b.Helper()
	leader := m.leading(1)
	b.ReportMetric(m.memory(b, leader, "VmHWM"), "max-rss-MiB")
	events, stop := m.watch(b)
	m.deletePod(leader)
	leader = m.leading(1)
	m.createBulk(b, "after-"+leader, 0, 1)
	writes := 0
	next(b, events, func(e seen) bool {
		fence := strings.HasPrefix(e.svc.Name, "after-")
		if e.kind == watch.Modified && !fence {
			writes++
		}
		return fence && e.written()
	})
	stop()
	b.ReportMetric(float64(writes), "restart-writes")
	b.ReportMetric(m.startTime(b, leader).Seconds()*1000, "restart-ms")
	b.ReportMetric(m.memory(b, leader, "VmRSS"), "rss-MiB")
}

// startTime is what passed, by the controller's own log, from its start until all assignments
// were loaded.
func (m *measurement) startTime(b *testing.B, pod string) time.Duration {
	b.Helper()
	text, err := m.api.CoreV1().Pods(install.Namespace).GetLogs(pod, &corev1.PodLogOptions{}).DoRaw(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	at := map[string]time.Time{}
	for line := range strings.Lines(string(text)) {
		var entry struct {
			Time time.Time
			Msg  string
		}
		if json.Unmarshal([]byte(line), &entry) == nil {
			at[entry.Msg] = entry.Time
		}
	}
	began, ended := at["controller starts"], at["assignments are loaded"]
	if began.IsZero() || ended.IsZero() {
		b.Fatalf("the log of %s does not say when it started and when it was ready:\n%.2000s", pod, text)
	}
	return ended.Sub(began)
}

// memory is a figure in the status of a controller's process, in MiB.
func (m *measurement) memory(b *testing.B, pod, field string) float64 {
	b.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", m.process(pod)))
	if err != nil {
		b.Fatal(err)
	}
	_, rest, found := strings.Cut(string(text), field+":")
	if words := strings.Fields(rest); found && len(words) > 0 {
		if kib, err := strconv.Atoi(words[0]); err == nil {
			return float64(kib) / 1024
		}
	}
	b.Fatalf("no %s in:\n%s", field, text)
	return 0
}

// clear deletes all Services.
func (m *measurement) clear(b *testing.B) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(b.Context()), measureTime)
	defer cancel()
	list, err := m.api.CoreV1().Services(m.Namespace).List(ctx, metav1.ListOptions{})
	if err == nil {
		err = each32(ctx, len(list.Items), func(ctx context.Context, i int) error {
			err := m.api.CoreV1().Services(m.Namespace).Delete(ctx, list.Items[i].Name, metav1.DeleteOptions{})
			if apierrors.IsNotFound(err) {
				return nil
			}
			return err
		})
	}
	if err != nil {
		b.Error(err)
	}
}
