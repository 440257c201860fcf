package announce

import (
	"crypto/sha256"
	"fmt"
	"net/netip"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go4.org/netipx"
	"pgregory.net/rapid"

	"github.com/lintel-lb/lintel/internal/lb"
)

// slowOwner elects the owner of an address in the most obvious way: by filtering a list of
// nodes once for each rule.
func slowOwner(w *lb.World, a netip.Addr) string {
	if w.Config == nil || w.Members.Enabled && w.Members.Joining {
		return ""
	}
	pool := w.Config.PoolOf(a)
	if pool == nil {
		return ""
	}
	var nodes []string
	for n := range w.Nodes {
		nodes = append(nodes, n)
	}
	keep := func(f func(n *lb.Node) bool) {
		nodes = slices.DeleteFunc(nodes, func(n string) bool { return !f(w.Nodes[n]) })
	}
	weight := map[string]map[string]int{}
	scopes := map[string]map[string]bool{}
	counted := false
	for k, s := range w.Services {
		if !slices.Contains(s.Addresses, a) || len(s.ForeignIngress) > 0 || w.Endpoints[k].Usable == 0 {
			continue
		}
		var adverts []*lb.L2Advertisement
		for _, ad := range w.Config.L2 {
			if slices.Contains(ad.Pools, pool.Name) && ad.Services.MatchesOrEmpty(s.Labels) {
				adverts = append(adverts, ad)
			}
		}
		if len(adverts) == 0 {
			continue
		}
		counted = true
		keep(func(n *lb.Node) bool {
			chosen := false
			for _, ad := range adverts {
				if !ad.Nodes.MatchesOrEmpty(n.Labels) {
					continue
				}
				chosen = true
				if weight[n.Name] == nil {
					weight[n.Name] = map[string]int{}
					scopes[n.Name] = map[string]bool{}
				}
				weight[n.Name][ad.Name] = ad.Preference(n.Labels)
				if len(ad.Interfaces) == 0 {
					scopes[n.Name]["*"] = true
				}
				for _, i := range ad.Interfaces {
					scopes[n.Name][i] = true
				}
			}
			return chosen
		})
		if s.TrafficPolicy == lb.Local {
			keep(func(n *lb.Node) bool { return w.Endpoints[k].ByNode[n.Name] > 0 })
		}
	}
	if !counted {
		return ""
	}
	keep(func(n *lb.Node) bool { return w.Settings.IgnoreExcludeLabel || !n.Excluded() })
	keep(func(n *lb.Node) bool { return !n.NetworkUnavailable })
	keep(func(n *lb.Node) bool { return !w.Members.Enabled || w.Members.Alive[n.Name] })
	keep(func(n *lb.Node) bool { return !w.Gated[n.Name] })
	keep(func(n *lb.Node) bool { return n.Labels[lb.LabelDrain] == "" })
	usable := func(n string, want func(lb.Link) bool) bool {
		for _, l := range w.Links[n] {
			if l.Answers(lb.FamilyOf(a)) && (scopes[n]["*"] || scopes[n][l.Name]) && want(l) {
				return true
			}
		}
		return false
	}
	keep(func(n *lb.Node) bool {
		_, known := w.Links[n.Name]
		return !known || usable(n.Name, func(lb.Link) bool { return true })
	})
	near := func(n string) bool { return usable(n, func(l lb.Link) bool { return l.OnSubnet(a) }) }
	if w.Members.Enabled && slices.ContainsFunc(nodes, near) {
		keep(func(n *lb.Node) bool { return near(n.Name) })
	}
	sum := func(n string) (total int) {
		for _, x := range weight[n] {
			total += x
		}
		return total
	}
	best := 0
	for _, n := range nodes {
		best = max(best, sum(n))
	}
	keep(func(n *lb.Node) bool { return sum(n.Name) == best })
	owner := ""
	for _, n := range nodes {
		if owner == "" || fmt.Sprintf("%x", electionHash(n, a)) < fmt.Sprintf("%x", electionHash(owner, a)) {
			owner = n
		}
	}
	return owner
}

// TestDeciderEqualsSlowTwin changes a World at random and compares, after each Flush, every
// decision with the twin's, and every verdict with those of a Decider made from nothing.
func TestDeciderEqualsSlowTwin(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := Decide(lb.NewWorld())
		nodes := []string{"n1", "n2", "n3", "n4"}
		names := []string{"a", "b", "c", "d"}
		steps := rapid.IntRange(1, 40).Draw(t, "steps")
		for range steps {
			for range rapid.IntRange(1, 3).Draw(t, "changes before a flush") {
				change(t, d, nodes, names)
			}
			d.Flush()
			compare(t, d, nodes)
		}
	})
}

func change(t *rapid.T, d *Decider, nodes, names []string) {
	node := rapid.SampledFrom(nodes).Draw(t, "node")
	k := key(rapid.SampledFrom(names).Draw(t, "service"))
	switch rapid.IntRange(0, 9).Draw(t, "kind") {
	case 0:
		d.SetConfig(drawConfig(t))
	case 1, 2:
		if rapid.IntRange(0, 4).Draw(t, "delete") == 0 {
			d.SetService(k, nil)
			return
		}
		s := &lb.Service{Key: k, Labels: map[string]string{"app": k.Name}}
		s.TrafficPolicy = lb.TrafficPolicy(rapid.IntRange(0, 1).Draw(t, "policy"))
		for _, a := range rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"192.0.2.1", "192.0.2.2", "2001:db8::1", "198.51.100.1"}), 0, 2, rapid.ID).Draw(t, "addresses") {
			s.Addresses = append(s.Addresses, addr(a))
		}
		if rapid.IntRange(0, 9).Draw(t, "foreign") == 0 {
			s.ForeignIngress = []string{"host"}
		}
		d.SetService(k, s)
	case 3:
		d.SetEndpoints(k, endpoints(rapid.SliceOfN(rapid.SampledFrom(append(nodes, "")), 0, 3).Draw(t, "endpoints")...))
	case 4:
		if rapid.IntRange(0, 4).Draw(t, "delete node") == 0 {
			d.SetNode(node, nil)
			return
		}
		n := &lb.Node{Name: node, Labels: map[string]string{"zone": rapid.SampledFrom([]string{"x", "y"}).Draw(t, "zone")}}
		if rapid.IntRange(0, 5).Draw(t, "exclude") == 0 {
			n.Labels[lb.LabelExclude] = "true"
		}
		if rapid.IntRange(0, 5).Draw(t, "drain") == 0 {
			n.Labels[lb.LabelDrain] = "yes"
		}
		n.NetworkUnavailable = rapid.IntRange(0, 5).Draw(t, "network") == 0
		d.SetNode(node, n)
	case 5:
		m := lb.Members{Enabled: rapid.IntRange(0, 5).Draw(t, "enabled") > 0, Alive: map[string]bool{}}
		m.Joining = rapid.IntRange(0, 5).Draw(t, "joining") == 0
		for _, n := range nodes {
			if rapid.Bool().Draw(t, n) {
				m.Alive[n] = true
			}
		}
		d.SetMembers(m)
	case 6:
		l := lan(rapid.SampledFrom([]string{"eth0", "eth1"}).Draw(t, "link"))
		for _, p := range rapid.SliceOfN(rapid.SampledFrom([]string{"192.0.2.9/24", "10.0.0.1/8", "2001:db8::9/64"}), 0, 2).Draw(t, "prefixes") {
			l.Prefixes = append(l.Prefixes, netip.MustParsePrefix(p))
		}
		l.ARP, l.NDP = rapid.Bool().Draw(t, "arp"), rapid.Bool().Draw(t, "ndp")
		d.SetLinks(node, []lb.Link{l}, rapid.IntRange(0, 3).Draw(t, "known") > 0)
	case 7:
		d.SetGated(node, rapid.Bool().Draw(t, "gated"))
	case 9:
		a := addr(rapid.SampledFrom([]string{"192.0.2.1", "2001:db8::1"}).Draw(t, "probed"))
		d.SetProbe(a, rapid.SampledFrom([]*lb.Probe{nil, {}, {Conflict: "x"}}).Draw(t, "probe"))
	case 8:
		d.SetSettings(lb.Settings{
			IgnoreExcludeLabel: rapid.Bool().Draw(t, "ignore label"),
			Mixed:              rapid.IntRange(0, 3).Draw(t, "mixed") == 0,
		})
	}
}

func drawConfig(t *rapid.T) *lb.Config {
	c := &lb.Config{
		Pools: []*lb.Pool{{Name: "p", Ranges: []netipx.IPRange{netipx.MustParseIPRange("192.0.2.0-192.0.2.9"), netipx.MustParseIPRange("2001:db8::-2001:db8::9")}}},
	}
	for i := range rapid.IntRange(0, 2).Draw(t, "advertisements") {
		a := &lb.L2Advertisement{Name: fmt.Sprint("a", i), Pools: []string{"p"}}
		if rapid.IntRange(0, 2).Draw(t, "nodes") == 0 {
			a.Nodes = lb.Selectors{sel("zone=" + rapid.SampledFrom([]string{"x", "y"}).Draw(t, "zone"))}
		}
		if rapid.IntRange(0, 2).Draw(t, "services") == 0 {
			a.Services = lb.Selectors{sel("app in (" + rapid.SampledFrom([]string{"a,b", "c", "b,c,d"}).Draw(t, "apps") + ")")}
		}
		if rapid.IntRange(0, 2).Draw(t, "interfaces") == 0 {
			a.Interfaces = []string{rapid.SampledFrom([]string{"eth0", "eth1"}).Draw(t, "interface")}
		}
		if rapid.IntRange(0, 2).Draw(t, "preferred") == 0 {
			a.PreferredNodes = []lb.PreferredNode{{Weight: rapid.IntRange(1, 3).Draw(t, "weight"), Nodes: sel("zone=x")}}
		}
		c.L2 = append(c.L2, a)
	}
	return c.Index()
}

func compare(t *rapid.T, d *Decider, nodes []string) {
	w := d.World()
	fresh := Decide(w)
	for _, a := range d.Addresses() {
		got, _ := d.Owner(a)
		if w.Settings.Mixed {
			compareMixed(t, d, a, nodes)
			continue
		}
		if want := slowOwner(w, a); got != want {
			t.Fatalf("owner of %s: got %q, want %q", a, got, want)
		}
	}
	for k := range w.Services {
		for _, n := range nodes {
			if diff := cmp.Diff(fresh.Verdicts(k, n), d.Verdicts(k, n), cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); diff != "" {
				t.Fatalf("verdicts of %s on %s (-fresh +incremental):\n%s", k, n, diff)
			}
		}
	}
}

// slowMixed elects the owner for a Service as MetalLB's speakers do.
func slowMixed(w *lb.World, s *lb.Service) (owner string) {
	if w.Config == nil || w.Members.Enabled && w.Members.Joining || len(s.ForeignIngress) > 0 || w.Endpoints[s.Key].Usable == 0 {
		return ""
	}
	pool := w.Config.PoolOf(s.Addresses[0])
	for _, a := range s.Addresses {
		if p := w.Config.PoolOf(a); p == nil || p != pool {
			return ""
		}
	}
	best := ""
	for name, n := range w.Nodes {
		selected := slices.ContainsFunc(w.Config.L2, func(ad *lb.L2Advertisement) bool {
			return slices.Contains(ad.Pools, pool.Name) && ad.Services.MatchesOrEmpty(s.Labels) && ad.Nodes.MatchesOrEmpty(n.Labels)
		})
		if !selected || n.NetworkUnavailable || n.Excluded() && !w.Settings.IgnoreExcludeLabel || !w.Members.Contains(name) ||
			s.TrafficPolicy == lb.Local && w.Endpoints[s.Key].ByNode[name] == 0 {
			continue
		}
		if h := fmt.Sprintf("%x", sha256.Sum256([]byte(name+"#"+s.Addresses[0].String()))); best == "" || h < best {
			owner, best = name, h
		}
	}
	return owner
}

func compareMixed(t *rapid.T, d *Decider, a netip.Addr, nodes []string) {
	want := map[string]bool{}
	for _, k := range d.Holders(a) {
		want[slowMixed(d.World(), d.World().Services[k])] = true
	}
	for _, n := range nodes {
		if _, own := d.OwnerScope(a, n); own != want[n] {
			t.Fatalf("mixed: %s owns %s: %t, want %t", n, a, own, want[n])
		}
	}
}

func BenchmarkNodeLeaves(b *testing.B) {
	for _, size := range []struct{ nodes, addrs int }{{3, 1000}, {100, 1000}, {100, 10000}} {
		b.Run(fmt.Sprintf("%d nodes %d addresses", size.nodes, size.addrs), func(b *testing.B) {
			d := Decide(large(size.nodes, size.addrs))
			alive := d.World().Members.Alive
			without := map[string]bool{}
			for n := range alive {
				without[n] = true
			}
			delete(without, "node-0")
			b.ResetTimer()
			for i := range b.N {
				m := lb.Members{Enabled: true, Alive: alive}
				if i%2 == 0 {
					m.Alive = without
				}
				d.SetMembers(m)
				d.Flush()
			}
		})
	}
}

func BenchmarkServiceChanges(b *testing.B) {
	d := Decide(large(100, 10000))
	k := key("s42")
	b.ResetTimer()
	for i := range b.N {
		d.SetEndpoints(k, endpoints([]string{"node-1", "node-2"}[:i%2]...))
		d.Flush()
	}
}

func large(nodes, addrs int) *lb.World {
	w := threeNodes()
	clear(w.Nodes)
	clear(w.Links)
	clear(w.Services)
	w.Config.Pools[0].Ranges = []netipx.IPRange{netipx.MustParseIPRange("10.0.0.0-10.255.255.255")}
	w.Config.Index()
	w.Members.Alive = map[string]bool{}
	for i := range nodes {
		n := fmt.Sprint("node-", i)
		w.Nodes[n] = &lb.Node{Name: n, Labels: map[string]string{"kubernetes.io/hostname": n}}
		w.Members.Alive[n] = true
		w.Links[n] = []lb.Link{lan("eth0", "10.0.0.1/8")}
	}
	a := addr("10.1.0.0")
	for i := range addrs {
		addService(w, fmt.Sprint("s", i), a.String())
		a = a.Next()
	}
	return w
}
