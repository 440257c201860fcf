package speaker

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/lintel-lb/lintel/internal/kube/resources"
	"github.com/lintel-lb/lintel/internal/kube/translate"
	"github.com/lintel-lb/lintel/internal/kube/worldfile"
	"github.com/lintel-lb/lintel/internal/lb"
)

var copyOrigin = worldfile.Origin{Node: "n1", Namespace: "metallb-system"}

// saved is a copy of n1 and n2 with Services that have these addresses each and an endpoint.
func (h *harness) saved(services map[string]string) *worldfile.Copy {
	h.t.Helper()
	w := worldfile.World{Nodes: []*lb.Node{{Name: "n1"}, {Name: "n2"}, {Name: "old"}}}
	for name, a := range services {
		k := lb.ServiceKey{Namespace: "default", Name: name}
		w.Services = append(w.Services, &lb.Service{Key: k, Addresses: []netip.Addr{netip.MustParseAddr(a)}})
		w.Slices = append(w.Slices, worldfile.Slice{Service: k, Name: name,
			Sum: translate.SliceSum{Endpoints: lb.Endpoints{Total: 1, Usable: 1, ByNode: map[string]int{"n1": 1}}}})
	}
	in, err := resources.Read(h.t.Context(), h.speaker.Cache, "metallb-system", resources.Context{})
	if err != nil {
		h.t.Fatal(err)
	}
	w.SetResources(in)
	return &worldfile.Copy{World: w}
}

// A speaker that starts without API server announces from its copy at once, to routers too,
// and when the lists come it withdraws what is gone and nothing else.
func TestTheCopyStandsInForTheAPIServer(t *testing.T) {
	mine := ownedBy("n1")
	meta := metav1.ObjectMeta{Namespace: "default", Name: "web", Labels: map[string]string{discoveryv1.LabelServiceName: "web"}}
	h := prepare(t,
		&corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "n1"}}, &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "n2"}})
	h.speaker.config.Keep = worldfile.New(t.TempDir(), copyOrigin)
	h.speaker.borrow(h.saved(map[string]string{"web": mine[0], "gone": mine[1], "routed": "198.51.100.1"}))
	if c := <-h.speaker.Borrowing(); c == nil {
		t.Error("the membership gets no copy")
	}
	live := make(chan struct{})
	h.run(live)
	h.members.become("n1", "n2")
	want := slices.Sorted(slices.Values(mine[:2]))
	h.until("both addresses", func() bool { return slices.Equal(h.engine.announced(), want) })
	routed := netip.MustParsePrefix("198.51.100.1/32")
	told := func() (complete, has bool) {
		d := h.bgp.told()
		_, has = d.Peers["wan"].Routes[routed]
		return d.Complete, has
	}
	h.until("that BGP was told a complete set with the route", func() bool { complete, has := told(); return complete && has })
	h.ask(func(s *Speaker) {
		if r := s.inspect(nil); !slices.ContainsFunc(r.Problems, func(p string) bool { return strings.Contains(p, "works from the copy of") }) {
			t.Errorf("the problems are %q", r.Problems)
		}
	})
	if err := h.speaker.keep(t.Context()); err != nil {
		t.Error(err)
	}
	if _, err := h.speaker.config.Keep.Read(); err == nil {
		t.Error("the copy is kept again while it is in use")
	}

	// What a watch sees comes before the lists are complete.
	h.post(func(b *batch) { b.config = true })
	h.until("that this changes nothing", func() bool { return slices.Equal(h.engine.announced(), want) })

	svc := &corev1.Service{ObjectMeta: meta, Spec: corev1.ServiceSpec{Type: corev1.ServiceTypeLoadBalancer},
		Status: corev1.ServiceStatus{LoadBalancer: corev1.LoadBalancerStatus{Ingress: []corev1.LoadBalancerIngress{{IP: mine[0]}}}}}
	slice := &discoveryv1.EndpointSlice{ObjectMeta: meta, AddressType: discoveryv1.AddressTypeIPv4, Endpoints: []discoveryv1.Endpoint{{Addresses: []string{"10.0.0.1"}}}}
	if err := errors.Join(h.speaker.liveServices.Replace([]any{svc}, "1"), h.speaker.liveSlices.Replace([]any{slice}, "1")); err != nil {
		t.Fatal(err)
	}
	close(live)
	h.until("what the API server says", func() bool { return slices.Equal(h.engine.announced(), mine[:1]) })
	h.until("that the route is gone", func() bool { _, has := told(); return !has })
	h.ask(func(s *Speaker) {
		if r := s.inspect(nil); len(r.Problems) > 0 || s.decider.World().Nodes["old"] != nil || len(s.decider.World().Services) != 1 {
			t.Errorf("problems %q, World %+v", r.Problems, s.decider.World())
		}
	})
	h.engine.mu.Lock()
	defer h.engine.mu.Unlock()
	if h.engine.withdrawn[mine[0]] || !h.engine.withdrawn[mine[1]] {
		t.Errorf("withdrawn at any time: %v", h.engine.withdrawn)
	}
}

// stubbornCache fails to list nodes for some time.
type stubbornCache struct {
	readingCache
	failures atomic.Int32
}

func (c *stubbornCache) List(ctx context.Context, l client.ObjectList, opts ...client.ListOption) error {
	if _, ok := l.(*corev1.NodeList); ok && c.failures.Add(-1) >= 0 {
		return errors.New("not now")
	}
	return c.readingCache.List(ctx, l, opts...)
}

// A copy that cannot be compared with the lists at first is compared later, and what only it
// had goes then.
func TestTheCopyIsGivenBackLater(t *testing.T) {
	h := prepare(t,
		&corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "n1"}}, &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "n2"}})
	gone := ownedBy("n1")[0]
	h.speaker.borrow(h.saved(map[string]string{"gone": gone}))
	<-h.speaker.Borrowing()
	stubborn := &stubbornCache{readingCache: h.speaker.Cache.(readingCache)}
	stubborn.failures.Store(1000)
	h.speaker.Cache = stubborn
	var said bytes.Buffer
	h.speaker.Log = slog.New(slog.NewTextHandler(&said, &slog.HandlerOptions{Level: slog.LevelError}))
	live := make(chan struct{})
	h.run(live)
	h.members.become("n1", "n2")
	h.until("the address", func() bool { return slices.Equal(h.engine.announced(), []string{gone}) })
	close(live)
	h.until("that the lists were asked", func() bool { return stubborn.failures.Load() < 999 })
	h.ask(func(s *Speaker) {
		if s.borrowed == nil || len(s.decider.World().Services) != 1 {
			t.Error("the copy is not in use any more")
		}
	})
	stubborn.failures.Store(0)
	h.until("that it is gone", func() bool { return len(h.engine.announced()) == 0 })
	h.ask(func(s *Speaker) {
		if s.borrowed != nil || s.decider.World().Nodes["old"] != nil {
			t.Error("the copy is still in use")
		}
		if n := strings.Count(said.String(), "\n"); n != 1 {
			t.Errorf("said %d times: %s", n, said.String())
		}
	})
}

// What is kept is what the speaker decides from.
func TestTheCopyIsKept(t *testing.T) {
	h := start(t)
	h.speaker.config.Keep = worldfile.New(t.TempDir(), copyOrigin)
	mine := ownedBy("n1")
	h.service("web", mine[0])
	h.members.become("n1", "n2")
	h.until("the address", func() bool { return len(h.engine.announced()) == 1 })
	if err := h.speaker.keep(t.Context()); err != nil {
		t.Fatal(err)
	}
	c, err := h.speaker.config.Keep.Read()
	if err != nil {
		t.Fatal(err)
	}
	w := c.World
	if len(w.Services) != 1 || w.Services[0].Addresses[0].String() != mine[0] || len(w.Slices) != 1 || len(w.Nodes) != 2 || len(w.Pools) != 2 || len(w.Peers) != 1 {
		t.Errorf("kept: %+v", w)
	}
}

// A starting speaker waits for the lists, takes the copy where they do not come, and without
// one goes on waiting.
func TestFirstLists(t *testing.T) {
	never, now := make(chan struct{}), make(chan struct{})
	close(now)
	h := prepare(t)
	h.speaker.config.CopyWait = time.Millisecond
	if live, err := h.speaker.firstLists(t.Context(), now); live != nil || err != nil || h.speaker.borrowed != nil {
		t.Errorf("with the lists: %v, %v", live, err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := h.speaker.firstLists(ctx, never); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("without lists, and no copy is kept: %v", err)
	}
	h.speaker.config.Keep = worldfile.New(t.TempDir(), copyOrigin)
	ctx, cancel = context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := h.speaker.firstLists(ctx, never); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("without lists, and nothing was kept yet: %v", err)
	}
	if _, err := h.speaker.config.Keep.Write(h.saved(nil).World, time.Unix(1, 0)); err != nil {
		t.Fatal(err)
	}
	if live, err := h.speaker.firstLists(t.Context(), never); live != (<-chan struct{})(never) || err != nil || h.speaker.borrowed == nil {
		t.Errorf("without lists, with a copy: %v, %v", live, err)
	}
}

// The last change before the end is kept, however short before.
func TestTheCopyIsKeptAtTheEnd(t *testing.T) {
	h := prepare(t)
	h.speaker.config.Keep = worldfile.New(t.TempDir(), copyOrigin)
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	for _, run := range []func(context.Context) error{h.speaker.Run, h.speaker.KeepCopy} {
		wg.Go(func() {
			if err := run(ctx); err != nil {
				t.Error(err)
			}
		})
	}
	h.service("web", ownedBy("n1")[0])
	h.until("the Service", func() (known bool) {
		h.ask(func(s *Speaker) { known = len(s.decider.World().Services) == 1 })
		return known
	})
	cancel()
	wg.Wait()
	if c, err := h.speaker.config.Keep.Read(); err != nil || len(c.World.Services) != 1 || len(c.World.Pools) != 2 {
		t.Errorf("kept: %+v, %v", c, err)
	}
}
