package speaker

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
	"unique"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/record"
	"sigs.k8s.io/controller-runtime/pkg/cache/informertest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/lintel-lb/lintel/api/v1beta1"
	"github.com/lintel-lb/lintel/api/v1beta2"
	"github.com/lintel-lb/lintel/internal/bgp"
	"github.com/lintel-lb/lintel/internal/kube/translate"
	"github.com/lintel-lb/lintel/internal/l2"
	"github.com/lintel-lb/lintel/internal/lb"
	"github.com/lintel-lb/lintel/internal/links"
	"github.com/lintel-lb/lintel/internal/members"
)

// fakeEngine remembers what it is told.
type fakeEngine struct {
	mu      sync.Mutex
	set     l2.Desired
	sets    int
	probed  []netip.Addr
	again   []netip.Addr
	state   l2.State
	changed chan struct{}
	// conflict is what probes find.
	conflict *l2.Conflict
	// withdrawn are addresses that were in the desired set and are, or were, not any more.
	withdrawn map[string]bool
}

func (e *fakeEngine) Set(d l2.Desired) uint64 {
	e.mu.Lock()
	defer e.mu.Unlock()
	for a := range e.set.Addresses {
		if _, still := d.Addresses[a]; !still {
			if e.withdrawn == nil {
				e.withdrawn = map[string]bool{}
			}
			e.withdrawn[a.String()] = true
		}
	}
	e.set = d
	e.sets++
	return uint64(e.sets)
}

func (e *fakeEngine) Snapshot() l2.State { e.mu.Lock(); defer e.mu.Unlock(); return e.state }

func (e *fakeEngine) Conflicts() map[netip.Addr]l2.Conflict {
	out := map[netip.Addr]l2.Conflict{}
	for a, st := range e.Snapshot().Addresses {
		if st.Conflict != nil {
			out[a] = *st.Conflict
		}
	}
	return out
}

func (e *fakeEngine) Probe(_ context.Context, r l2.ProbeRequest) (l2.ProbeResult, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.probed = append(e.probed, r.Addr)
	if e.conflict != nil && !r.Ignore(e.conflict.MAC) {
		return l2.ProbeResult{Conflict: e.conflict}, nil
	}
	return l2.ProbeResult{}, nil
}

func (e *fakeEngine) Changed() <-chan struct{} { return e.changed }

func (e *fakeEngine) Announce(_ context.Context, addrs ...netip.Addr) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.again = append(e.again, addrs...)
	return nil
}

// announced lists the addresses in the desired set.
func (e *fakeEngine) announced() []string {
	e.mu.Lock()
	defer e.mu.Unlock()
	var out []string
	for a := range e.set.Addresses {
		out = append(out, a.String())
	}
	slices.Sort(out)
	return out
}

// fakeMembers is a membership that a test sets.
type fakeMembers struct {
	members.Membership
	mu      sync.Mutex
	snap    members.Snapshot
	changed chan struct{}
}

func (m *fakeMembers) Snapshot() members.Snapshot { m.mu.Lock(); defer m.mu.Unlock(); return m.snap }
func (m *fakeMembers) Changed() <-chan struct{}   { return m.changed }
func (m *fakeMembers) SetState([]byte) error      { return nil }

func (m *fakeMembers) become(alive ...string) {
	m.mu.Lock()
	m.snap = members.Snapshot{Enabled: true, Self: "n1", Alive: map[string]members.Member{}, Health: members.Health{Joined: true}}
	for _, n := range alive {
		m.snap.Alive[n] = members.Member{Name: n, State: []byte(`{"v":1,"links":[{"name":"eth0","usable":true,"arp":true,"ndp":true,"prefixes":["192.0.2.1/24"]}],"macs":["02:00:00:00:00:02"]}`)}
	}
	m.mu.Unlock()
	m.changed <- struct{}{}
}

// fixedLinks is a node with one link.
type fixedLinks struct{ gateways atomic.Bool }

func (*fixedLinks) Subscribe() <-chan struct{} { return nil }
func (l *fixedLinks) NeedGateways(needed bool) { l.gateways.Store(needed) }
func (*fixedLinks) Snapshot() *links.Snapshot {
	return links.NewSnapshot([]links.Link{{Name: "eth0", Index: 2, MAC: links.MAC{2, 0, 0, 0, 0, 1}, Up: true, Broadcast: true,
		LinkLocal6: netip.MustParseAddr("fe80::1"), Prefixes: []netip.Prefix{netip.MustParsePrefix("192.0.2.1/24")}}})
}

// harness is a speaker of n1 in a cluster of n1 and n2, with a pool and an advertisement.
type harness struct {
	t       *testing.T
	speaker *Speaker
	engine  *fakeEngine
	members *fakeMembers
	bgp     *fakeBGP
	events  *record.FakeRecorder
}

// fakeBGP remembers what it is told, and says that all of it is on the wire.
type fakeBGP struct {
	mu      sync.Mutex
	set     bgp.Desired
	changed chan struct{}
}

func (b *fakeBGP) Subscribe() <-chan struct{} { return b.changed }

func (b *fakeBGP) Set(d bgp.Desired) {
	b.mu.Lock()
	b.set = d
	b.mu.Unlock()
	select {
	case b.changed <- struct{}{}:
	default:
	}
}

// told is what it was told last.
func (b *fakeBGP) told() bgp.Desired {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.set
}

func (b *fakeBGP) Snapshot() map[string]bgp.Status {
	b.mu.Lock()
	defer b.mu.Unlock()
	out := map[string]bgp.Status{}
	for name, p := range b.set.Peers {
		st := bgp.Status{State: bgp.StateEstablished, Routes: map[netip.Prefix]unique.Handle[bgp.Attributes]{}}
		for prefix, a := range p.Routes {
			st.Routes[prefix] = a
		}
		out[name] = st
	}
	return out
}

func start(t *testing.T) *harness {
	t.Helper()
	h := twoNodes(t)
	h.run(nil)
	return h
}

// twoNodes makes a speaker of two nodes that does not run yet: what it is told before it runs was
// there before it.
func twoNodes(t *testing.T) *harness {
	t.Helper()
	h := prepare(t)
	for _, n := range []string{"n1", "n2"} {
		h.post(func(b *batch) {
			b.nodes[n] = &lb.Node{Name: n, Addresses: []netip.Addr{netip.MustParseAddr("192.0.2.1")}}
		})
	}
	return h
}

// run runs the loop until the test ends.
func (h *harness) run(live <-chan struct{}) {
	ctx, cancel := context.WithCancel(h.t.Context())
	done := make(chan struct{})
	go func() { defer close(done); h.speaker.loop(ctx, nil, h.bgp.changed, live) }()
	h.t.Cleanup(func() { cancel(); <-done; h.speaker.probes.wg.Wait() })
}

// prepare makes a speaker that does not run yet. more is in the API server besides the
// configuration.
func prepare(t *testing.T, more ...client.Object) *harness {
	t.Helper()
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{corev1.AddToScheme, discoveryv1.AddToScheme, v1beta1.AddToScheme, v1beta2.AddToScheme} {
		if err := add(scheme); err != nil {
			t.Fatal(err)
		}
	}
	meta := metav1.ObjectMeta{Namespace: "metallb-system", Name: "lan"}
	wan := metav1.ObjectMeta{Namespace: "metallb-system", Name: "wan"}
	c := fake.NewClientBuilder().WithScheme(scheme).WithStatusSubresource(&v1beta1.ServiceL2Status{}).WithObjects(
		&v1beta1.IPAddressPool{ObjectMeta: meta, Spec: v1beta1.IPAddressPoolSpec{Addresses: []string{"192.0.2.0/24"}}},
		&v1beta1.L2Advertisement{ObjectMeta: meta, Spec: v1beta1.L2AdvertisementSpec{IPAddressPools: []string{"lan"}}},
		&v1beta1.IPAddressPool{ObjectMeta: wan, Spec: v1beta1.IPAddressPoolSpec{Addresses: []string{"198.51.100.0/24"}}},
		&v1beta1.BGPAdvertisement{ObjectMeta: wan, Spec: v1beta1.BGPAdvertisementSpec{IPAddressPools: []string{"wan"}, Communities: []string{"65000:1"}}},
		&v1beta2.BGPPeer{ObjectMeta: wan, Spec: v1beta2.BGPPeerSpec{MyASN: 65007, ASN: 65000, Address: "192.0.2.254"}},
	).WithObjects(more...).Build()
	h := &harness{t: t,
		engine:  &fakeEngine{changed: make(chan struct{}, 1)},
		members: &fakeMembers{changed: make(chan struct{}, 1), snap: members.Snapshot{Enabled: true, Self: "n1"}},
		bgp:     &fakeBGP{changed: make(chan struct{}, 1)},
		events:  record.NewFakeRecorder(100),
	}
	metrics, err := NewMetrics(prometheus.NewRegistry(), h.engine, h.bgp, fakeBFD{})
	if err != nil {
		t.Fatal(err)
	}
	h.speaker = New(Config{Node: "n1", Namespace: "metallb-system", Classes: translate.ParseClasses(""), JoinWait: time.Minute,
		Usable: func(*links.Link) bool { return true }},
		Parts{Log: slog.New(slog.DiscardHandler), Cache: readingCache{&informertest.FakeInformers{Scheme: scheme}, c}, Client: c,
			Services: noObjects{&corev1.ServiceList{}}, Slices: noObjects{&discoveryv1.EndpointSliceList{}},
			Events: h.events, Engine: h.engine, BGP: h.bgp, Members: h.members, Links: &fixedLinks{}}, metrics)
	return h
}

// readingCache reads from a client and watches nothing.
type readingCache struct {
	*informertest.FakeInformers
	reader client.Reader
}

func (c readingCache) Get(ctx context.Context, k client.ObjectKey, o client.Object, opts ...client.GetOption) error {
	return c.reader.Get(ctx, k, o, opts...)
}

func (c readingCache) List(ctx context.Context, l client.ObjectList, opts ...client.ListOption) error {
	return c.reader.List(ctx, l, opts...)
}

// told is what the speaker tells the others about its node.
func (h *harness) told() (p payload) {
	h.t.Helper()
	h.ask(func(s *Speaker) {
		if err := json.Unmarshal(s.told, &p); err != nil {
			h.t.Error(err)
		}
	})
	return p
}

// claimed has a station claim an address.
func (h *harness) claimed(a netip.Addr, mac links.MAC, last time.Time) {
	h.engine.mu.Lock()
	h.engine.state = l2.State{Addresses: map[netip.Addr]l2.AddressState{a: {Conflict: &l2.Conflict{Link: "eth0", MAC: mac, Last: last}}}}
	h.engine.mu.Unlock()
	h.engine.changed <- struct{}{}
}

func (h *harness) post(record func(*batch)) { h.speaker.inbox.Post(record) }

// service posts a Service with addresses and an endpoint on n1.
func (h *harness) service(name string, addrs ...string) {
	k := lb.ServiceKey{Namespace: "default", Name: name}
	s := &lb.Service{Key: k, UID: name}
	for _, a := range addrs {
		s.Addresses = append(s.Addresses, netip.MustParseAddr(a))
	}
	h.post(func(b *batch) {
		b.services[k] = s
		b.slices[sliceKey{k.Namespace, name}] = sliceState{k, &translate.SliceSum{Endpoints: lb.Endpoints{Total: 1, Usable: 1, ByNode: map[string]int{"n1": 1}}}}
	})
}

// until waits for a condition with a deadline.
func (h *harness) until(what string, ok func() bool) {
	h.t.Helper()
	deadline := time.Now().Add(10 * time.Second)
	for !ok() {
		if time.Now().After(deadline) {
			h.t.Fatalf("not seen: %s (announced: %v)", what, h.engine.announced())
		}
		// A question to the loop returns after what was posted before was looked at.
		if err := h.speaker.Ask(h.t.Context(), func(*Speaker) {}); err != nil {
			h.t.Fatal(err)
		}
	}
}

// winner gives the node of n1 and n2 that the election gives an address to.
func winner(a netip.Addr) string {
	h1, h2 := sha256.Sum256([]byte("n1#"+a.String())), sha256.Sum256([]byte("n2#"+a.String()))
	if bytes.Compare(h1[:], h2[:]) < 0 {
		return "n1"
	}
	return "n2"
}

// ownedBy finds addresses that the hash gives to the node.
func ownedBy(node string) (found []string) {
	for i := 10; len(found) < 4; i++ {
		a := netip.MustParseAddr(fmt.Sprintf("192.0.2.%d", i))
		if winner(a) == node {
			found = append(found, a.String())
		}
	}
	return found
}

func TestNothingIsAnnouncedBeforeOthersWereMet(t *testing.T) {
	h := start(t)
	h.service("web", ownedBy("n1")[0])
	var reason lb.Reason
	h.until("the verdict JoiningMembers", func() bool {
		h.ask(func(s *Speaker) {
			if v := s.decider.Verdicts(lb.ServiceKey{Namespace: "default", Name: "web"}, "n1"); len(v) == 1 {
				reason = v[0].Reason
			}
		})
		return reason == lb.JoiningMembers || reason == lb.NoAdvertisement
	})
	if got := h.engine.announced(); len(got) != 0 {
		t.Fatalf("announced %v", got)
	}
	h.members.become("n1", "n2")
	h.until("the announcement", func() bool { return len(h.engine.announced()) == 1 })
}

func (h *harness) ask(f func(*Speaker)) {
	h.t.Helper()
	if err := h.speaker.Ask(h.t.Context(), f); err != nil {
		h.t.Fatal(err)
	}
}

func TestNewAddressesAreProbedOnce(t *testing.T) {
	h := twoNodes(t)
	mine := ownedBy("n1")
	h.service("old", mine[0])
	h.run(nil)
	h.members.become("n1", "n2")
	h.until("the first address", func() bool { return slices.Equal(h.engine.announced(), mine[:1]) })
	if len(h.engine.probed) != 0 {
		t.Fatalf("an address that existed at the start was probed: %v", h.engine.probed)
	}
	h.service("new", mine[1])
	h.until("the second address", func() bool { return len(h.engine.announced()) == 2 })
	// The other node dies and comes back: what moves is not probed.
	theirs := ownedBy("n2")
	h.service("other", theirs[0])
	h.until("that the other one is known", func() (known bool) {
		h.ask(func(s *Speaker) { known = len(s.decider.Holders(netip.MustParseAddr(theirs[0]))) == 1 })
		return known
	})
	h.members.become("n1")
	h.until("a take-over", func() bool { return slices.Contains(h.engine.announced(), theirs[0]) })
	if diff := cmp.Diff([]netip.Addr{netip.MustParseAddr(mine[1])}, h.engine.probed, cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); diff != "" {
		t.Errorf("probed (-want +got)\n%s", diff)
	}
}

func TestAnAddressInUseIsReportedAndNotAnnounced(t *testing.T) {
	h := twoNodes(t)
	mine := ownedBy("n1")
	h.service("old", mine[0])
	h.run(nil)
	h.members.become("n1", "n2")
	h.until("the first address", func() bool { return len(h.engine.announced()) == 1 })
	h.engine.mu.Lock()
	h.engine.conflict = &l2.Conflict{Link: "eth0", MAC: links.MAC{2, 0, 0, 0, 0, 9}}
	h.engine.mu.Unlock()
	h.service("new", mine[1])
	k := lb.ServiceKey{Namespace: "default", Name: "new"}
	var v []lb.Verdict
	h.until("the verdict AddressConflict", func() bool {
		h.ask(func(s *Speaker) { v = s.decider.Verdicts(k, "n1") })
		return len(v) == 1 && v[0].Reason == lb.AddressConflict
	})
	if !strings.Contains(v[0].Sentence(), "02:00:00:00:00:09 on eth0") {
		t.Errorf("the sentence does not name the station: %s", v[0].Sentence())
	}
	if got := h.engine.announced(); len(got) != 1 {
		t.Errorf("announced %v", got)
	}
	found := false
	for len(h.events.Events) > 0 {
		e := <-h.events.Events
		found = found || strings.Contains(e, "addressConflict") && strings.Contains(e, "02:00:00:00:00:09")
	}
	if !found {
		t.Error("no event addressConflict")
	}
	// The station goes; the next inquiry finds the address free.
	h.engine.mu.Lock()
	h.engine.conflict = nil
	h.engine.mu.Unlock()
	h.post(func(b *batch) { b.probes[netip.MustParseAddr(mine[1])] = probeResult{again: true} })
	h.until("the announcement", func() bool { return len(h.engine.announced()) == 2 })
}

func TestNodesOfTheClusterAreNoConflict(t *testing.T) {
	h := twoNodes(t)
	mine := ownedBy("n1")
	h.service("old", mine[0])
	h.run(nil)
	h.members.become("n1", "n2")
	h.until("the first address", func() bool { return len(h.engine.announced()) == 1 })
	h.engine.mu.Lock()
	h.engine.conflict = &l2.Conflict{Link: "eth0", MAC: links.MAC{2, 0, 0, 0, 0, 2}}
	h.engine.mu.Unlock()
	h.service("new", mine[1])
	h.until("the announcement", func() bool { return len(h.engine.announced()) == 2 })
}

func TestStationThatTurnsOutToBeANode(t *testing.T) {
	h := start(t)
	mine := ownedBy("n1")
	h.service("old", mine[0])
	h.members.become("n1")
	h.until("the first address", func() bool { return len(h.engine.announced()) == 1 })
	h.engine.mu.Lock()
	h.engine.conflict = &l2.Conflict{Link: "eth0", MAC: links.MAC{2, 0, 0, 0, 0, 2}}
	h.engine.mu.Unlock()
	h.service("new", mine[1])
	k := lb.ServiceKey{Namespace: "default", Name: "new"}
	h.until("the verdict AddressConflict", func() bool {
		var v []lb.Verdict
		h.ask(func(s *Speaker) { v = s.decider.Verdicts(k, "n1") })
		return len(v) == 1 && v[0].Reason == lb.AddressConflict
	})
	h.members.become("n1", "n2")
	h.until("the announcement", func() bool { return len(h.engine.announced()) == 2 })
}

func TestAnUnchangedWorldLeavesTheEngineAlone(t *testing.T) {
	h := start(t)
	mine := ownedBy("n1")
	h.service("web", mine[0])
	h.members.become("n1", "n2")
	h.until("the announcement", func() bool { return len(h.engine.announced()) == 1 })
	h.engine.mu.Lock()
	sets := h.engine.sets
	h.engine.mu.Unlock()
	h.service("web", mine[0])
	h.service("theirs", ownedBy("n2")[0])
	h.members.become("n1", "n2")
	h.until("the change", func() bool {
		known := false
		h.ask(func(s *Speaker) { _, known = s.holders[netip.MustParseAddr(ownedBy("n2")[0])] })
		return known
	})
	if h.engine.sets != sets {
		t.Errorf("the engine was set %d more times", h.engine.sets-sets)
	}
	assigned := 0
	for len(h.events.Events) > 0 {
		if e := <-h.events.Events; strings.Contains(e, "nodeAssigned") {
			assigned++
		}
	}
	if assigned != 1 {
		t.Errorf("nodeAssigned was sent %d times, want once", assigned)
	}
}

func TestRoutesFollowServices(t *testing.T) {
	h := start(t)
	h.members.become("n1", "n2")
	h.service("api", "198.51.100.7")
	routes := func() bgp.Routes { return h.bgp.told().Peers["wan"].Routes }
	h.until("the route", func() bool { return len(routes()) == 1 })
	peer := h.bgp.set.Peers["wan"].Config
	if err := peer.Validate(); err != nil {
		t.Errorf("the session: %v", err)
	}
	if peer.LocalASN != 65007 || peer.RouterID != netip.MustParseAddr("192.0.2.1") || peer.Families != bgp.IPv4 {
		t.Errorf("the session: %+v", peer)
	}
	want := bgp.Attributes{Communities: bgp.NewCommunities([]uint32{65000<<16 | 1}, nil, nil)}
	if got := routes()[netip.MustParsePrefix("198.51.100.7/32")].Value(); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	h.until("the event", func() bool {
		for len(h.events.Events) > 0 {
			if e := <-h.events.Events; strings.Contains(e, "nodeAssigned") && strings.Contains(e, `protocol "bgp"`) {
				return true
			}
		}
		return false
	})
	h.post(func(b *batch) {
		b.nodes["n1"] = &lb.Node{Name: "n1", Labels: map[string]string{lb.LabelExclude: ""}, Addresses: []netip.Addr{netip.MustParseAddr("192.0.2.1")}}
	})
	h.until("the withdrawal on an excluded node", func() bool { return len(routes()) == 0 })
	h.post(func(b *batch) {
		b.nodes["n1"] = &lb.Node{Name: "n1", Addresses: []netip.Addr{netip.MustParseAddr("192.0.2.1")}}
	})
	h.until("the route again", func() bool { return len(routes()) == 1 })
	h.post(func(b *batch) { b.services[lb.ServiceKey{Namespace: "default", Name: "api"}] = nil })
	h.until("the withdrawal", func() bool { return len(routes()) == 0 })
}

func TestNobodyAnnouncingIsReportedOnce(t *testing.T) {
	h := start(t)
	h.members.become("n1", "n2")
	for _, n := range []string{"n1", "n2"} {
		h.post(func(b *batch) {
			b.nodes[n] = &lb.Node{Name: n, Labels: map[string]string{lb.LabelExclude: ""}}
		})
	}
	h.service("web", ownedBy("n1")[0])
	var said []string
	h.until("the event notAnnounced", func() bool {
		for len(h.events.Events) > 0 {
			if e := <-h.events.Events; strings.Contains(e, "notAnnounced") {
				said = append(said, e)
			}
		}
		return len(said) > 0
	})
	if !strings.Contains(said[0], lb.LabelExclude) {
		t.Errorf("the event does not name the label: %s", said[0])
	}
	h.service("web", ownedBy("n1")[0], ownedBy("n1")[1])
	h.until("the second address", func() bool {
		for len(h.events.Events) > 0 {
			if e := <-h.events.Events; strings.Contains(e, "notAnnounced") {
				said = append(said, e)
			}
		}
		return len(said) == 2
	})
	if strings.Contains(said[1], ownedBy("n1")[0]+":") {
		t.Errorf("the first address is reported again: %v", said)
	}
}

func TestAnOwnerThatAnotherNodeClaimedMakesItselfKnownAgain(t *testing.T) {
	h := start(t)
	a := netip.MustParseAddr(ownedBy("n1")[0])
	h.service("web", a.String())
	h.members.become("n1", "n2")
	h.until("the announcement", func() bool { return len(h.engine.announced()) == 1 })
	h.claimed(a, links.MAC{2, 0, 0, 0, 0, 2}, time.Unix(1000, 0))
	h.until("the second announcement", func() bool {
		h.engine.mu.Lock()
		defer h.engine.mu.Unlock()
		return slices.Equal(h.engine.again, []netip.Addr{a})
	})
	for len(h.events.Events) > 0 {
		if e := <-h.events.Events; strings.Contains(e, "addressConflict") {
			t.Errorf("a node of the cluster is reported as a conflict: %s", e)
		}
	}
}

// TestANodeThatIsTakenForDeadIsNoForeignStation has a node that was lost to the membership go on
// answering, as one does that leaves, or whose cable is back before the others have met it.
func TestANodeThatIsTakenForDeadIsNoForeignStation(t *testing.T) {
	h := start(t)
	a := netip.MustParseAddr(ownedBy("n1")[0])
	h.service("web", a.String())
	h.members.become("n1", "n2")
	h.until("the announcement", func() bool { return len(h.engine.announced()) == 1 })
	h.members.become("n1")
	h.until("that the other node is gone", func() (gone bool) {
		h.ask(func(s *Speaker) { gone = !s.decider.World().Members.Alive["n2"] })
		return gone
	})
	h.claimed(a, links.MAC{2, 0, 0, 0, 0, 2}, time.Unix(1000, 0))
	h.until("the claim", func() (seen bool) {
		h.ask(func(s *Speaker) { _, seen = s.conflicts[a] })
		return seen
	})
	// It does not know better before it is back.
	time.Sleep(disputeDelay + 100*time.Millisecond)
	h.engine.mu.Lock()
	if len(h.engine.again) > 0 {
		t.Errorf("announced again while the other node cannot know: %v", h.engine.again)
	}
	h.engine.mu.Unlock()
	h.members.become("n1", "n2")
	h.until("the second announcement", func() bool {
		h.engine.mu.Lock()
		defer h.engine.mu.Unlock()
		return slices.Equal(h.engine.again, []netip.Addr{a})
	})
	for len(h.events.Events) > 0 {
		if e := <-h.events.Events; strings.Contains(e, "addressConflict") {
			t.Errorf("a node of the cluster is reported as a conflict: %s", e)
		}
	}
	// Without its Node object it is a station like any other.
	h.post(func(b *batch) { b.nodes["n2"] = nil })
	h.until("that the Node is gone", func() (gone bool) {
		h.ask(func(s *Speaker) { gone = s.decider.World().Nodes["n2"] == nil })
		return gone
	})
	h.members.become("n1")
	h.until("that it is forgotten", func() (gone bool) {
		h.ask(func(s *Speaker) { gone = len(s.clusterMACs) == 0 })
		return gone
	})
}

// TestStationsThatTakeTurnsAreReportedOnceEach has two foreign stations claim an address by turns, as
// a host does with two links on one segment.
func TestStationsThatTakeTurnsAreReportedOnceEach(t *testing.T) {
	h := start(t)
	a := netip.MustParseAddr(ownedBy("n1")[0])
	h.service("web", a.String())
	h.members.become("n1", "n2")
	h.until("the announcement", func() bool { return len(h.engine.announced()) == 1 })
	for i := range 6 {
		last := time.Unix(1000+int64(i), 0)
		h.claimed(a, links.MAC{2, 0, 0, 0, 9, byte(i % 2)}, last)
		h.until("the claim", func() (seen bool) {
			h.ask(func(s *Speaker) { seen = s.conflicts[a].last.Equal(last) })
			return seen
		})
	}
	told := 0
	for len(h.events.Events) > 0 {
		if e := <-h.events.Events; strings.Contains(e, "addressConflict") {
			told++
		}
	}
	if told != 2 {
		t.Errorf("%d events about two stations", told)
	}
}

// downLink is a node whose link is down.
type downLink struct{ *fixedLinks }

func (l downLink) Snapshot() *links.Snapshot {
	down := l.fixedLinks.Snapshot().Links[0]
	down.Up = false
	return links.NewSnapshot([]links.Link{down})
}

// bondLinks are a bond with a slave, and a bridge with a port.
type bondLinks struct{ *fixedLinks }

func (l bondLinks) Snapshot() *links.Snapshot {
	bond := l.fixedLinks.Snapshot().Links[0]
	bond.Name, bond.Index, bond.Type = "bond0", 10, "bond"
	slave, bridge := bond, bond
	slave.Name, slave.Index, slave.Master, slave.Type, slave.MAC = "eth1", 11, 10, "device", links.MAC{2, 0, 0, 0, 0, 11}
	bridge.Name, bridge.Index, bridge.Type, bridge.MAC = "br0", 12, "bridge", links.MAC{2, 0, 0, 0, 0, 12}
	port := slave
	port.Name, port.Index, port.Master, port.MAC = "veth0", 13, 12, links.MAC{2, 0, 0, 0, 0, 13}
	return links.NewSnapshot([]links.Link{bond, slave, bridge, port})
}

// Neighbours may know a bond by the address of a slave. Ports of bridges are those of Pods.
func TestSlavesOfBondsAreOfTheCluster(t *testing.T) {
	h := twoNodes(t)
	h.speaker.Links = bondLinks{&fixedLinks{}}
	h.speaker.config.Usable = func(l *links.Link) bool { ok, _ := links.Eligible(l, nil); return ok }
	h.run(nil)
	told := h.told()
	if want := []string{"02:00:00:00:00:01", "02:00:00:00:00:0b", "02:00:00:00:00:0c"}; len(told.Links) != 2 || !slices.Equal(slices.Sorted(slices.Values(told.MACs)), want) {
		t.Errorf("told %+v, want two links and %v", told, want)
	}
}

func TestALinkThatIsDownKeepsItsAddressInTheCluster(t *testing.T) {
	h := twoNodes(t)
	h.speaker.Links = downLink{&fixedLinks{}}
	h.speaker.config.Usable = func(l *links.Link) bool { ok, _ := links.Eligible(l, nil); return ok }
	h.run(nil)
	told := h.told()
	if len(told.Links) != 0 || !slices.Equal(told.MACs, []string{"02:00:00:00:00:01"}) {
		t.Errorf("told %+v, want no link and its address", told)
	}
}
