package ipam_test

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"go4.org/netipx"
	"k8s.io/apimachinery/pkg/labels"
	"pgregory.net/rapid"

	"github.com/lintel-lb/lintel/internal/ipam"
	"github.com/lintel-lb/lintel/internal/lb"
)

var (
	someNamespaces = []string{"d", "e"}
	someLabels     = map[string]map[string]string{"d": {"team": "red"}, "e": {}}
	somePools      = []string{"a", "b", "c"}
	someBlocks     = []string{"1.0.0.254-1.0.1.1", "1.0.2.0/31", "2.0.0.0/30", "3.0.0.7/32", "fc00::/127", "fc00::4/126", "fd00::9/128"}
	someAddresses  = []string{"1.0.0.254", "1.0.0.255", "1.0.1.0", "1.0.2.1", "2.0.0.1", "2.0.0.2", "3.0.0.7", "fc00::1", "fc00::4", "fc00::5", "fd00::9", "9.9.9.9"}
)

func drawKey(t *rapid.T) lb.ServiceKey {
	return lb.ServiceKey{Namespace: rapid.SampledFrom(someNamespaces).Draw(t, "namespace"), Name: rapid.SampledFrom([]string{"1", "2", "3", "4"}).Draw(t, "name")}
}

func drawAddr(t *rapid.T) netip.Addr {
	return netip.MustParseAddr(rapid.SampledFrom(someAddresses).Draw(t, "address"))
}

func drawConfig(t *rapid.T) *lb.Config {
	cfg := &lb.Config{}
	owner := map[string][]string{}
	for _, b := range rapid.Permutation(someBlocks).Draw(t, "blocks") {
		p := rapid.SampledFrom(append([]string{""}, somePools...)).Draw(t, "pool of block")
		owner[p] = append(owner[p], b)
	}
	for _, name := range somePools {
		if len(owner[name]) == 0 {
			continue
		}
		p := &lb.Pool{Name: name, AutoAssign: rapid.IntRange(0, 5).Draw(t, "auto") > 0}
		for _, b := range owner[name] {
			r, err := parseRange(b)
			if err != nil {
				t.Fatal(err)
			}
			p.Ranges = append(p.Ranges, r)
		}
		p.AvoidBuggyIPs = rapid.Bool().Draw(t, "avoid")
		p.Drain = rapid.IntRange(0, 5).Draw(t, "drain") == 0
		if rapid.Bool().Draw(t, "pinned") {
			p.Allocation = &lb.Allocation{Priority: rapid.IntRange(-2, 2).Draw(t, "priority")}
			switch rapid.IntRange(0, 3).Draw(t, "who") {
			case 0:
				p.Allocation.Namespaces = &lb.NamespaceSet{Names: []string{rapid.SampledFrom(someNamespaces).Draw(t, "only")}}
			case 1:
				p.Allocation.Namespaces = &lb.NamespaceSet{Selectors: lb.Selectors{selector(t, "team=red")}}
			case 2:
				p.Allocation.Services = lb.Selectors{selector(t, "app=web")}
			}
		}
		if rapid.Bool().Draw(t, "retain") {
			p.Retention = time.Hour
		}
		if rapid.IntRange(0, 2).Draw(t, "quota") == 0 {
			p.Quota = &lb.Quota{PerNamespace: rapid.IntRange(-1, 3).Draw(t, "limit"), Namespaces: map[string]int{"e": rapid.IntRange(-1, 2).Draw(t, "limit of e")}}
		}
		if rapid.IntRange(0, 3).Draw(t, "requesters") == 0 {
			p.Requesters = &lb.NamespaceSet{Names: []string{"d"}}
		}
		if rapid.Bool().Draw(t, "reserve") {
			for range rapid.IntRange(1, 2).Draw(t, "reservations") {
				if a := drawAddr(t); slices.ContainsFunc(p.Ranges, func(r netipx.IPRange) bool { return r.Contains(a) }) {
					p.Reservations = append(p.Reservations, lb.Reservation{Service: drawKey(t), Addresses: []netip.Addr{a}})
				}
			}
		}
		cfg.Pools = append(cfg.Pools, p)
	}
	return cfg.Index()
}

func selector(t *rapid.T, s string) lb.Selector {
	sel, err := labels.Parse(s)
	if err != nil {
		t.Fatal(err)
	}
	return lb.NewSelector(sel)
}

func drawService(t *rapid.T, key lb.ServiceKey) *lb.Service {
	svc := &lb.Service{Key: key, PrimaryFamily: rapid.SampledFrom([]lb.Family{lb.IPv4, lb.IPv6}).Draw(t, "primary")}
	ips := map[lb.Family]netip.Addr{lb.IPv4: netip.MustParseAddr("10.0.0.1"), lb.IPv6: netip.MustParseAddr("fd10::1")}
	svc.ClusterIPs = []netip.Addr{ips[svc.PrimaryFamily]}
	svc.FamilyPolicy = rapid.SampledFrom([]lb.FamilyPolicy{lb.SingleStack, lb.PreferDualStack}).Draw(t, "policy")
	if rapid.Bool().Draw(t, "dual") {
		svc.ClusterIPs = append(svc.ClusterIPs, ips[svc.PrimaryFamily.Other()])
		svc.FamilyPolicy = rapid.SampledFrom([]lb.FamilyPolicy{lb.SingleStack, lb.PreferDualStack, lb.RequireDualStack}).Draw(t, "policy of two")
	}
	svc.SharingKey = rapid.SampledFrom([]string{"", "k", "k", "l"}).Draw(t, "sharing key")
	for _, n := range rapid.SliceOfNDistinct(rapid.Uint16Range(80, 83), 0, 2, rapid.ID).Draw(t, "ports") {
		svc.Ports = append(svc.Ports, lb.Port{Protocol: "TCP", Number: n})
	}
	svc.TrafficPolicy = rapid.SampledFrom([]lb.TrafficPolicy{lb.Cluster, lb.Cluster, lb.Local}).Draw(t, "traffic")
	svc.Backend = rapid.SampledFrom([]string{"", "app=x", "app=y"}).Draw(t, "backend")
	if rapid.Bool().Draw(t, "labelled") {
		svc.Labels = map[string]string{"app": "web"}
	}
	switch rapid.IntRange(0, 5).Draw(t, "request") {
	case 0:
		svc.Request.Pool = rapid.SampledFrom(somePools).Draw(t, "pool")
	case 1, 2:
		a := drawAddr(t)
		if len(svc.ClusterIPs) == 2 || lb.FamilyOf(a) == svc.PrimaryFamily {
			svc.Request.Addresses = []netip.Addr{a}
		}
		if b := drawAddr(t); len(svc.ClusterIPs) == 2 && lb.FamilyOf(a) != lb.FamilyOf(b) {
			svc.Request.Addresses = []netip.Addr{a, b}
		}
	}
	return svc
}

// machine drives allocator and twin alike and compares them.
type machine struct {
	alloc    *ipam.Allocator
	twin     *twin
	now      time.Time
	services map[lb.ServiceKey]*lb.Service
	freed    []netip.Addr
}

func newMachine() *machine {
	return &machine{
		alloc:    ipam.New(nil),
		twin:     &twin{held: map[lb.ServiceKey]*twinHolding{}},
		now:      time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC),
		services: map[lb.ServiceKey]*lb.Service{},
	}
}

func namespaceOf(key lb.ServiceKey) ipam.Namespace {
	return ipam.Namespace{Labels: someLabels[key.Namespace]}
}

// sync converges one Service and checks that nobody else was touched.
func (m *machine) sync(t *rapid.T, key lb.ServiceKey) {
	before := m.holdings()
	svc := m.services[key]
	want := m.twin.sync(svc, namespaceOf(key), m.now)
	o := m.alloc.Sync(svc, namespaceOf(key), m.now)
	if !slices.Equal(want, o.Addresses) {
		t.Fatalf("%s: has %v (%s: %s), twin says %v", key, o.Addresses, o.Reason, o.Message, want)
	}
	m.freed = append(m.freed, o.Freed...)
	after := m.holdings()
	for k, addrs := range before {
		if k != key && !slices.Equal(addrs, after[k]) {
			t.Fatalf("sync of %s changed %s from %v to %v", key, k, addrs, after[k])
		}
	}
	c := *svc
	c.Addresses, c.AssignedPool = o.Addresses, o.Pool
	m.services[key] = &c
	if again := m.alloc.Sync(&c, namespaceOf(key), m.now); again.Changed || len(again.Freed)+len(again.Released)+len(again.Events) > 0 {
		t.Fatalf("%s: a second sync is not idle: %+v", key, again)
	}
}

func (m *machine) holdings() map[lb.ServiceKey][]netip.Addr {
	out := map[lb.ServiceKey][]netip.Addr{}
	for k := range m.services {
		out[k] = m.alloc.Held(k)
	}
	return out
}

func (m *machine) keys() []lb.ServiceKey {
	return slices.SortedFunc(maps.Keys(m.services), lb.ServiceKey.Compare)
}

// settle gives those that wait their chance, and checks that nobody waits for what is there.
func (m *machine) settle(t *rapid.T) {
	for len(m.freed) > 0 {
		freed := m.freed
		m.freed = nil
		for key := range m.alloc.Waiting(freed) {
			before := m.alloc.Held(key)
			m.sync(t, key)
			if slices.Equal(before, m.alloc.Held(key)) {
				t.Fatalf("%s was called for nothing", key)
			}
		}
	}
	if len(m.twin.pools) == 0 {
		return
	}
	for _, key := range m.keys() {
		svc, held := m.services[key], m.alloc.Held(key)
		if len(held) == 0 {
			if got := m.twin.decide(svc, namespaceOf(key), nil); got != nil {
				t.Fatalf("%s waits, but could have %v", key, got)
			}
		}
		if len(held) == 1 && len(svc.ClusterIPs) == 2 && svc.FamilyPolicy == lb.PreferDualStack {
			f := lb.FamilyOf(held[0])
			if c, ok := m.twin.choose(svc, namespaceOf(key), held, m.twin.poolOf(held[0]), []lb.Family{f, f.Other()}, held[0]); ok {
				t.Fatalf("%s has %v, but could have %v", key, held, c.addrs)
			}
		}
	}
}

func (m *machine) check(t *rapid.T) {
	for _, p := range m.twin.pools {
		got, _ := m.alloc.Counts(p.Name)
		if diff := cmp.Diff(m.twin.counts(p), got); diff != "" {
			t.Fatalf("counts of %s (-recount +got):\n%s", p.Name, diff)
		}
		var want []lb.Retained
		for _, e := range m.twin.retained {
			if m.twin.poolOf(e.Address) == p {
				want = append(want, e)
			}
		}
		less := cmpopts.SortSlices(func(x, y lb.Retained) bool { return fmt.Sprint(x) < fmt.Sprint(y) })
		if diff := cmp.Diff(want, m.alloc.Retained(p.Name), less, cmpopts.EquateEmpty(), cmpopts.EquateComparable(netip.Addr{})); diff != "" {
			t.Fatalf("retained in %s (-want +got):\n%s", p.Name, diff)
		}
	}
	for _, s := range someAddresses {
		holders := m.alloc.Holders(netip.MustParseAddr(s))
		for i, x := range holders {
			for _, y := range holders[:i] {
				if !mayShare(m.twin.held[x].svc, m.twin.held[y].svc) {
					t.Fatalf("%s and %s hold %s and may not share", x, y, s)
				}
			}
		}
	}
}

func (m *machine) setConfig(t *rapid.T, cfg *lb.Config) {
	before := m.holdings()
	m.twin.setConfig(cfg)
	change := m.alloc.SetConfig(cfg)
	if diff := cmp.Diff(before, m.holdings(), cmpopts.EquateComparable(netip.Addr{})); diff != "" {
		t.Fatalf("a new configuration moved addresses (-before +after):\n%s", diff)
	}
	for _, l := range change.Lost {
		h := m.twin.held[l.Service]
		if m.twin.hadPools && !slices.ContainsFunc(h.addrs, func(a netip.Addr) bool { return !m.twin.valid(h.svc, h.ns, a) }) &&
			m.twin.poolOf(h.addrs[0]) == m.twin.poolOf(h.addrs[len(h.addrs)-1]) {
			t.Fatalf("%s has lost nothing: %s", l.Service, l.Message)
		}
		m.sync(t, l.Service)
	}
	for _, key := range slices.Concat(change.Moved, change.Retry) {
		m.sync(t, key)
	}
	m.settle(t)
	// Nobody else is concerned.
	for _, key := range m.keys() {
		svc := m.services[key]
		m.sync(t, key)
		if now := m.services[key]; !slices.Equal(svc.Addresses, now.Addresses) || svc.AssignedPool != now.AssignedPool {
			t.Fatalf("%s should have been named: %v of %q became %v of %q", key, svc.Addresses, svc.AssignedPool, now.Addresses, now.AssignedPool)
		}
	}
}

func (m *machine) release(key lb.ServiceKey, deleted bool) {
	m.twin.release(key, m.now, deleted)
	m.freed = append(m.freed, m.alloc.Release(key, m.now, deleted)...)
	delete(m.services, key)
}

// TestAgainstTwin does the same to allocator and twin, and expects the same of both.
func TestAgainstTwin(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := newMachine()
		m.setConfig(t, drawConfig(t))
		t.Repeat(map[string]func(*rapid.T){
			"": m.check,
			"change": func(t *rapid.T) {
				key := drawKey(t)
				svc := drawService(t, key)
				if old := m.services[key]; old != nil {
					svc.Addresses, svc.AssignedPool = old.Addresses, old.AssignedPool
				} else if rapid.IntRange(0, 4).Draw(t, "foreign status") == 0 {
					svc.Addresses = []netip.Addr{drawAddr(t)}
				}
				m.services[key] = svc
				m.sync(t, key)
				m.settle(t)
			},
			"delete":  func(t *rapid.T) { m.release(drawKey(t), true); m.settle(t) },
			"release": func(t *rapid.T) { m.release(drawKey(t), false); m.settle(t) },
			"config":  func(t *rapid.T) { m.setConfig(t, drawConfig(t)) },
			"pass": func(t *rapid.T) {
				m.now = m.now.Add(time.Duration(rapid.IntRange(1, 90).Draw(t, "minutes")) * time.Minute)
				m.twin.expire(m.now)
				m.freed = append(m.freed, m.alloc.Expire(m.now)...)
				m.settle(t)
			},
		})
	})
}

// TestAdoptionDoesNotDependOnOrder adopts the same Services in two orders.
func TestAdoptionDoesNotDependOnOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		cfg := drawConfig(t)
		var claims []ipam.Claim
		for _, key := range rapid.SliceOfNDistinct(rapid.Custom(drawKey), 1, 8, rapid.ID).Draw(t, "keys") {
			svc := drawService(t, key)
			for range rapid.IntRange(0, 2).Draw(t, "addresses") {
				svc.Addresses = append(svc.Addresses, drawAddr(t))
			}
			svc.AssignedPool = rapid.SampledFrom(somePools).Draw(t, "annotation")
			claims = append(claims, ipam.Claim{Service: svc, Namespace: namespaceOf(key)})
		}
		first, second := ipam.New(cfg), ipam.New(cfg)
		conflicts := first.Adopt(claims)
		again := second.Adopt(rapid.Permutation(claims).Draw(t, "order"))
		if diff := cmp.Diff(conflicts, again, cmpopts.EquateComparable(netip.Addr{})); diff != "" {
			t.Fatalf("conflicts (-first +second):\n%s", diff)
		}
		lost := map[lb.ServiceKey]bool{}
		for _, c := range conflicts {
			lost[c.Service] = true
		}
		holders := map[netip.Addr][]*lb.Service{}
		for _, c := range claims {
			key := c.Service.Key
			held := first.Held(key)
			if !slices.Equal(held, second.Held(key)) {
				t.Fatalf("%s: %v and %v", key, held, second.Held(key))
			}
			sound := len(c.Service.Addresses) < 2 || lb.FamilyOf(c.Service.Addresses[0]) != lb.FamilyOf(c.Service.Addresses[1])
			if sound && !lost[key] && !slices.Equal(held, c.Service.Addresses) {
				t.Fatalf("%s shows %v and holds %v", key, c.Service.Addresses, held)
			}
			for _, a := range held {
				for _, other := range holders[a] {
					if !mayShare(other, c.Service) {
						t.Fatalf("%s and %s both hold %s", other.Key, key, a)
					}
				}
				holders[a] = append(holders[a], c.Service)
			}
		}
	})
}
