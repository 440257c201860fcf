package announce

import (
	"testing"

	"go4.org/netipx"

	"github.com/lintel-lb/lintel/internal/lb"
)

// The expected nodes were computed with sha256sum over "node#address", by hand.
func TestMixedElection(t *testing.T) {
	tests := []struct {
		name   string
		change func(w *lb.World)
		// owner is by address; empty means none.
		owner map[string]string
	}{
		{"one address", func(*lb.World) {}, map[string]string{"192.0.2.10": "n2"}},
		{"the first address of a Service elects for both", func(w *lb.World) {
			addService(w, "dual", "192.0.2.4", "2001:db8::10")
			addService(w, "laud", "2001:db8::b", "192.0.2.2")
		}, map[string]string{"192.0.2.4": "n3", "2001:db8::10": "n3", "2001:db8::b": "n2", "192.0.2.2": "n2"}},
		{"the next one where a speaker is not alive", func(w *lb.World) { delete(w.Members.Alive, "n2") },
			map[string]string{"192.0.2.10": "n3"}},
		{"without membership every node counts", func(w *lb.World) { w.Members = lb.Members{} },
			map[string]string{"192.0.2.10": "n2"}},
		{"excluded nodes do not", func(w *lb.World) { w.Nodes["n2"].Labels[lb.LabelExclude] = "" },
			map[string]string{"192.0.2.10": "n3"}},
		{"unless that is ignored", func(w *lb.World) {
			w.Nodes["n2"].Labels[lb.LabelExclude] = ""
			w.Settings.IgnoreExcludeLabel = true
		}, map[string]string{"192.0.2.10": "n2"}},
		{"nodes without network do not", func(w *lb.World) { w.Nodes["n2"].NetworkUnavailable = true },
			map[string]string{"192.0.2.10": "n3"}},
		{"policy Local", func(w *lb.World) {
			w.Services[key("web")].TrafficPolicy = lb.Local
			w.Endpoints[key("web")] = endpoints("n1", "n3")
		}, map[string]string{"192.0.2.10": "n3"}},
		{"nodes that the advertisement does not select do not", func(w *lb.World) {
			w.Config.L2[0].Nodes = lb.Selectors{sel("kubernetes.io/hostname=n1")}
		}, map[string]string{"192.0.2.10": "n1"}},
		{"gates, drains, links and preferences change nothing", func(w *lb.World) {
			w.Gated["n2"] = true
			w.Nodes["n2"].Labels[lb.LabelDrain] = "true"
			w.Links["n2"] = nil
			w.Links["n3"] = []lb.Link{lan("eth0", "192.0.2.1/24")}
			w.Config.L2[0].PreferredNodes = []lb.PreferredNode{{Weight: 9, Nodes: sel("kubernetes.io/hostname=n1")}}
		}, map[string]string{"192.0.2.10": "n2"}},
		{"no endpoint", func(w *lb.World) { w.Endpoints[key("web")] = lb.Endpoints{Total: 1} },
			map[string]string{"192.0.2.10": ""}},
		{"addresses of two pools", func(w *lb.World) {
			w.Config.Pools = append(w.Config.Pools, &lb.Pool{Name: "other", Ranges: []netipx.IPRange{netipx.MustParseIPRange("198.51.100.0-198.51.100.9")}})
			w.Config.Index()
			addService(w, "two", "192.0.2.3", "198.51.100.1")
		}, map[string]string{"192.0.2.3": "", "198.51.100.1": ""}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			w := threeNodes()
			w.Settings.Mixed = true
			test.change(w)
			d := Decide(w)
			for a, want := range test.owner {
				if got, _ := d.Owner(addr(a)); got != want {
					t.Errorf("owner of %s: got %q, want %q", a, got, want)
				}
				for _, n := range []string{"n1", "n2", "n3"} {
					if _, own := d.Scope(addr(a), n); own != (n == want) {
						t.Errorf("%s answers for %s: %t", n, a, own)
					}
				}
			}
		})
	}
}

// Services that share an address elect each for itself, as MetalLB's speakers do.
func TestMixedElectionIsPerService(t *testing.T) {
	w := threeNodes()
	w.Settings.Mixed = true
	w.Config.L2 = []*lb.L2Advertisement{
		{Name: "a", Pools: []string{"lan"}, Services: lb.Selectors{sel("app=web")}, Interfaces: []string{"eth0"}},
		{Name: "b", Pools: []string{"lan"}, Services: lb.Selectors{sel("app=api")}},
	}
	api := addService(w, "api", "192.0.2.10")
	api.TrafficPolicy = lb.Local
	w.Endpoints[api.Key] = endpoints("n1")
	d := Decide(w)
	for node, want := range map[string]Scope{"n1": {All: true}, "n2": {Links: []string{"eth0"}}} {
		if got, own := d.Scope(addr("192.0.2.10"), node); !own || !got.Equal(want) {
			t.Errorf("%s: got %v, %t, want %v", node, got, own, want)
		}
	}
	for service, want := range map[string]string{"web": "n2", "api": "n1"} {
		for _, node := range []string{"n1", "n2", "n3"} {
			v := d.Verdicts(key(service), node)[0]
			if (v.Outcome == lb.Announce) != (node == want) || node != want && v.Owner != want {
				t.Errorf("%s on %s: %s %s, owner %q", service, node, v.Outcome, v.Reason, v.Owner)
			}
		}
	}
	api.TrafficPolicy = lb.Cluster
	d = Decide(w)
	if got, own := d.Scope(addr("192.0.2.10"), "n2"); !own || !got.All {
		t.Errorf("two Services on one node: got %v, %t, want all links", got, own)
	}
}

func TestZeroLocalPref(t *testing.T) {
	w := threeNodes()
	w.Config.BGP = []*lb.BGPAdvertisement{{Name: "b", Pools: []string{"lan"}, AggregationLength: 32, AggregationLengthV6: 128}}
	w.Config.Peers = []*lb.Peer{{Name: "tor"}}
	pref := func() *uint32 {
		t.Helper()
		routes, v := Decide(w).Routes(key("web"), addr("192.0.2.10"), "n1")
		if len(routes) != 1 {
			t.Fatalf("%d routes, %s", len(routes), v.Reason)
		}
		return routes[0].LocalPref
	}
	if got := pref(); got != nil {
		t.Errorf("not pinned: got %d, want none", *got)
	}
	w.Settings.ZeroLocalPref = true
	if got := pref(); got == nil || *got != 0 {
		t.Errorf("pinned: got %v, want 0", got)
	}
	w.Config.BGP[0].LocalPref = new(uint32(300))
	if got := pref(); got == nil || *got != 300 {
		t.Errorf("one that is asked for: got %v, want 300", got)
	}
}
