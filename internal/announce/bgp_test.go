package announce

import (
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go4.org/netipx"

	"github.com/lintel-lb/lintel/internal/lb"
)

// bgpWorld is threeNodes with pool wan, announced by BGP to peers r1 and r2, and Service api
// in it.
func bgpWorld() *lb.World {
	w := threeNodes()
	w.Config.Pools = append(w.Config.Pools, &lb.Pool{Name: "wan", Ranges: []netipx.IPRange{
		netipx.MustParseIPRange("198.51.100.0-198.51.100.255"), netipx.MustParseIPRange("2001:db8:1::-2001:db8:1::ffff")}})
	w.Config.BGP = []*lb.BGPAdvertisement{{Name: "wan", Pools: []string{"wan"}, AggregationLength: 32, AggregationLengthV6: 128}}
	w.Config.Peers = []*lb.Peer{{Name: "r1"}, {Name: "r2"}}
	w.Config.Index()
	addService(w, "api", "198.51.100.7")
	return w
}

func TestBGPReasons(t *testing.T) {
	pref := func(v uint32) *uint32 { return &v }
	for _, r := range []struct {
		name   string
		change func(w *lb.World)
		want   lb.Reason
		peers  []string
	}{
		{name: "announced to all peers", want: lb.Elected, peers: []string{"r1", "r2"}},
		{name: "named peers only", change: func(w *lb.World) { w.Config.BGP[0].Peers = []string{"r2", "unknown"} }, want: lb.Elected, peers: []string{"r2"}},
		{name: "peers of other nodes do not count", change: func(w *lb.World) {
			w.Config.Peers[0].Nodes = lb.Selectors{sel("kubernetes.io/hostname=n2")}
		}, want: lb.Elected, peers: []string{"r2"}},
		{name: "no peer at all", change: func(w *lb.World) { w.Config.Peers = nil }, want: lb.NoPeer},
		{name: "configuration not read", change: func(w *lb.World) { w.Config = nil }, want: lb.NoConfig},
		{name: "a host name in the status", change: func(w *lb.World) { w.Services[key("api")].ForeignIngress = []string{"x"} }, want: lb.InvalidIngress},
		{name: "address outside all pools", change: func(w *lb.World) { w.Services[key("api")].Addresses[0] = addr("203.0.113.1") }, want: lb.AddressNotInPool},
		{name: "5.1 no advertisement", change: func(w *lb.World) { w.Config.BGP = nil }, want: lb.NoAdvertisement},
		{name: "BGP does not concern a pool with layer 2 alone", change: func(w *lb.World) {
			w.Config.BGP = nil
			w.Config.L2[0].Pools = []string{"lan", "wan"}
		}, want: 0},
		{name: "5.1 serviceSelectors do not match", change: func(w *lb.World) { w.Config.BGP[0].Services = lb.Selectors{sel("app=x")} }, want: lb.ServiceNotSelected},
		{name: "5.1 nodeSelectors do not match", change: func(w *lb.World) { w.Config.BGP[0].Nodes = lb.Selectors{sel("kubernetes.io/hostname=n2")} }, want: lb.NodeNotSelected},
		{name: "no Node object", change: func(w *lb.World) { delete(w.Nodes, "n1") }, want: lb.NodeUnknown},
		{name: "5.1 NetworkUnavailable", change: func(w *lb.World) { w.Nodes["n1"].NetworkUnavailable = true }, want: lb.NodeNetworkUnavailable},
		{name: "5.1 exclusion label", change: func(w *lb.World) { w.Nodes["n1"].Labels[lb.LabelExclude] = "" }, want: lb.NodeExcluded},
		{name: "5.1 exclusion label ignored on request", change: func(w *lb.World) {
			w.Nodes["n1"].Labels[lb.LabelExclude] = ""
			w.Settings.IgnoreExcludeLabel = true
		}, want: lb.Elected, peers: []string{"r1", "r2"}},
		{name: "a drained node announces for a while", change: func(w *lb.World) { w.Nodes["n1"].Labels[lb.LabelDrain] = "" }, want: lb.Elected, peers: []string{"r1", "r2"}},
		{name: "and then withdraws", change: func(w *lb.World) {
			w.Nodes["n1"].Labels[lb.LabelDrain] = ""
			w.Drained["n1"] = true
		}, want: lb.NodeDraining},
		{name: "dataplane gate", change: func(w *lb.World) { w.Gated["n1"] = true }, want: lb.DataplaneNotReady},
		{name: "5.1 Local without endpoint here", change: func(w *lb.World) {
			w.Services[key("api")].TrafficPolicy = lb.Local
			w.Endpoints[key("api")] = endpoints("n2")
		}, want: lb.NoLocalEndpoint},
		{name: "5.1 Cluster with an endpoint elsewhere", change: func(w *lb.World) { w.Endpoints[key("api")] = endpoints("n2") }, want: lb.Elected, peers: []string{"r1", "r2"}},
		{name: "5.1 no endpoints", change: func(w *lb.World) { w.Endpoints[key("api")] = lb.Endpoints{} }, want: lb.NoEndpoints},
		{name: "membership does not matter", change: func(w *lb.World) { w.Members = lb.Members{Enabled: true, Joining: true} }, want: lb.Elected, peers: []string{"r1", "r2"}},
		{name: "5.1 conflicting local preferences", change: func(w *lb.World) {
			w.Config.BGP = append(w.Config.BGP, &lb.BGPAdvertisement{Name: "other", Pools: []string{"wan"}, AggregationLength: 32, AggregationLengthV6: 128, LocalPref: pref(200)})
		}, want: lb.ConflictingAdvertisements},
		{name: "different preferences for different peers", change: func(w *lb.World) {
			w.Config.BGP[0].Peers = []string{"r1"}
			w.Config.BGP = append(w.Config.BGP, &lb.BGPAdvertisement{Name: "other", Pools: []string{"wan"}, Peers: []string{"r2"}, AggregationLength: 32, AggregationLengthV6: 128, LocalPref: pref(200)})
		}, want: lb.Elected, peers: []string{"r1", "r2"}},
	} {
		t.Run(r.name, func(t *testing.T) {
			w := bgpWorld()
			if r.change != nil {
				r.change(w)
			}
			a := w.Services[key("api")].Addresses[0]
			_, v := Decide(w).Routes(key("api"), a, "n1")
			if v.Reason != r.want {
				t.Errorf("got %v, want %v", v.Reason, r.want)
			}
			if diff := cmp.Diff(r.peers, v.Peers); diff != "" {
				t.Errorf("peers (-want +got)\n%s", diff)
			}
		})
	}
}

func TestPrefixesAreAggregated(t *testing.T) {
	w := bgpWorld()
	w.Config.BGP[0].AggregationLength, w.Config.BGP[0].AggregationLengthV6 = 24, 64
	w.Services[key("api")].Addresses = []netip.Addr{addr("198.51.100.7"), addr("2001:db8:1::7")}
	d := Decide(w)
	for a, want := range map[string]string{"198.51.100.7": "198.51.100.0/24", "2001:db8:1::7": "2001:db8:1::/64"} {
		routes, _ := d.Routes(key("api"), addr(a), "n1")
		if len(routes) != 1 || routes[0].Prefix.String() != want {
			t.Errorf("%s: got %v, want %s", a, routes, want)
		}
	}
}

func TestAllVerdictsLeaveOutWhatDoesNotConcern(t *testing.T) {
	protocols := func(w *lb.World, svc string) (out []string) {
		for _, v := range Decide(w).AllVerdicts(key(svc), "n1") {
			out = append(out, v.Protocol.String()+" "+v.Reason.String())
		}
		return out
	}
	owner := order("192.0.2.10", "n1", "n2", "n3")[0]
	layer2 := "layer2 OtherNode"
	if owner == "n1" {
		layer2 = "layer2 Elected"
	}
	for _, row := range []struct {
		name   string
		svc    string
		change func(w *lb.World)
		want   []string
	}{
		{name: "layer 2 alone", svc: "web", want: []string{layer2}},
		{name: "BGP alone", svc: "api", want: []string{"bgp Elected"}},
		{name: "both", svc: "web", change: func(w *lb.World) { w.Config.BGP[0].Pools = []string{"lan", "wan"} }, want: []string{layer2, "bgp Elected"}},
		{name: "neither", svc: "api", change: func(w *lb.World) { w.Config.BGP = nil }, want: []string{"layer2 NoAdvertisement"}},
		{name: "one reason of the Service is told once", svc: "web", change: func(w *lb.World) {
			w.Config.BGP[0].Pools = []string{"lan", "wan"}
			w.Endpoints[key("web")] = lb.Endpoints{}
		}, want: []string{"layer2 NoEndpoints"}},
		{name: "no address", svc: "web", change: func(w *lb.World) { w.Services[key("web")].Addresses = nil }, want: []string{"layer2 NoAddress"}},
	} {
		w := bgpWorld()
		if row.change != nil {
			row.change(w)
		}
		if diff := cmp.Diff(row.want, protocols(w, row.svc)); diff != "" {
			t.Errorf("%s (-want +got)\n%s", row.name, diff)
		}
	}
}
