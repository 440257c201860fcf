package announce

import (
	"fmt"
	"testing"

	"github.com/lintel-lb/lintel/internal/lb"
)

// TestReasons shows for each reason that decisions can give the smallest World that has it.
// Row names carry the rule; n1 is the node that is asked unless the row says otherwise.
func TestReasons(t *testing.T) {
	type row struct {
		name   string
		change func(w *lb.World)
		node   string
		svc    string
		want   lb.Reason
		out    lb.Outcome
		owner  string
	}
	byHash := order("192.0.2.10", "n1", "n2", "n3")
	rows := []row{
		{name: "the lowest hash of node#address announces", node: byHash[0], want: lb.Elected, out: lb.Announce},
		{name: "the others name the owner", node: byHash[1], want: lb.OtherNode, out: lb.Not, owner: byHash[0]},
		{name: "configuration not read", change: func(w *lb.World) { w.Config = nil }, want: lb.NoConfig, out: lb.Pending},
		{name: "others not met yet", change: func(w *lb.World) { w.Members.Joining = true }, want: lb.JoiningMembers, out: lb.Pending},
		{name: "no address yet", change: func(w *lb.World) { w.Services[key("web")].Addresses = nil }, want: lb.NoAddress, out: lb.Pending},
		{name: "a host name in the status", change: func(w *lb.World) { w.Services[key("web")].ForeignIngress = []string{"lb.example.org"} }, want: lb.InvalidIngress, out: lb.Not},
		{name: "only a host name in the status", change: func(w *lb.World) {
			w.Services[key("web")].ForeignIngress = []string{"lb.example.org"}
			w.Services[key("web")].Addresses = nil
		}, want: lb.InvalidIngress, out: lb.Not},
		{name: "address outside all pools", change: func(w *lb.World) { w.Services[key("web")].Addresses[0] = addr("198.51.100.1") }, want: lb.AddressNotInPool, out: lb.Not},
		{name: "pool without advertisement", change: func(w *lb.World) { w.Config.L2[0].Pools = nil }, want: lb.NoAdvertisement, out: lb.Not},
		{name: "serviceSelectors do not match", change: func(w *lb.World) { w.Config.L2[0].Services = lb.Selectors{sel("app=other")} }, want: lb.ServiceNotSelected, out: lb.Not},
		{name: "no usable endpoint", change: func(w *lb.World) { w.Endpoints[key("web")] = lb.Endpoints{Total: 2} }, want: lb.NoEndpoints, out: lb.Not},
		{name: "endpoints without a node suffice for policy Cluster", change: func(w *lb.World) {
			w.Endpoints[key("web")] = lb.Endpoints{Total: 1, Usable: 1}
			w.Members.Alive = map[string]bool{"n1": true}
		}, want: lb.Elected, out: lb.Announce},
		{name: "nodeSelectors do not match", change: func(w *lb.World) {
			w.Config.L2[0].Nodes = lb.Selectors{sel("kubernetes.io/hostname in (n2)")}
		}, want: lb.NodeNotSelected, out: lb.Not, owner: "n2"},
		{name: "no Node object", node: "n9", want: lb.NodeUnknown, out: lb.Not, owner: byHash[0]},
		{name: "exclusion label", change: func(w *lb.World) { w.Nodes["n1"].Labels[lb.LabelExclude] = "" }, want: lb.NodeExcluded, out: lb.Not, owner: order("192.0.2.10", "n2", "n3")[0]},
		{name: "exclusion label ignored on request", change: func(w *lb.World) {
			w.Settings.IgnoreExcludeLabel = true
			w.Nodes["n1"].Labels[lb.LabelExclude] = ""
			w.Members.Alive = map[string]bool{"n1": true}
		}, want: lb.Elected, out: lb.Announce},
		{name: "NetworkUnavailable", change: func(w *lb.World) { w.Nodes["n1"].NetworkUnavailable = true }, want: lb.NodeNetworkUnavailable, out: lb.Not, owner: order("192.0.2.10", "n2", "n3")[0]},
		{name: "speaker dead", change: func(w *lb.World) { delete(w.Members.Alive, "n1") }, want: lb.SpeakerNotAlive, out: lb.Not, owner: order("192.0.2.10", "n2", "n3")[0]},
		{name: "without membership every node counts as alive", change: func(w *lb.World) {
			w.Members = lb.Members{}
			w.Nodes = map[string]*lb.Node{"n1": w.Nodes["n1"]}
		}, want: lb.Elected, out: lb.Announce},
		{name: "policy Local without endpoint here", change: func(w *lb.World) {
			w.Services[key("web")].TrafficPolicy = lb.Local
			w.Endpoints[key("web")] = endpoints("n3")
		}, want: lb.NoLocalEndpoint, out: lb.Not, owner: "n3"},
		{name: "policy Local with endpoint here", change: func(w *lb.World) {
			w.Services[key("web")].TrafficPolicy = lb.Local
			w.Endpoints[key("web")] = endpoints("n1")
		}, want: lb.Elected, out: lb.Announce},
		{name: "named interface missing", change: func(w *lb.World) {
			w.Config.L2[0].Interfaces = []string{"eth9"}
			w.Links["n2"] = []lb.Link{lan("eth9", "192.0.2.2/24")}
		}, want: lb.NoUsableLink, out: lb.Not, owner: "n2"},
		{name: "link down", change: func(w *lb.World) { w.Links["n1"][0].Usable = false }, want: lb.NoUsableLink, out: lb.Not, owner: order("192.0.2.10", "n2", "n3")[0]},
		{name: "link without ARP", change: func(w *lb.World) { w.Links["n1"][0].ARP = false }, want: lb.NoUsableLink, out: lb.Not, owner: order("192.0.2.10", "n2", "n3")[0]},
		{name: "other nodes are on the subnet", change: func(w *lb.World) {
			w.Links["n1"] = []lb.Link{lan("eth0", "10.0.0.1/24")}
			w.Links["n3"] = []lb.Link{lan("eth0", "10.0.0.3/24")}
		}, want: lb.NotOnSubnet, out: lb.Not, owner: "n2"},
		{name: "no node is on the subnet: all count", change: func(w *lb.World) {
			for n := range w.Links {
				w.Links[n] = []lb.Link{lan("eth0", "10.0.0.1/24")}
			}
			w.Members.Alive = map[string]bool{"n1": true}
		}, want: lb.Elected, out: lb.Announce},
		{name: "without membership only the own links are known: the hash alone decides", node: byHash[1], change: func(w *lb.World) {
			w.Members = lb.Members{}
			w.Links = map[string][]lb.Link{byHash[1]: w.Links[byHash[1]]}
		}, want: lb.OtherNode, out: lb.Not, owner: byHash[0]},
		{name: "without membership the others wait for a node whose link is down", node: byHash[0], change: func(w *lb.World) {
			w.Members = lb.Members{}
			w.Links = map[string][]lb.Link{byHash[0]: {{Name: "eth0"}}}
		}, want: lb.NoUsableLink, out: lb.Not},
		{name: "without membership a node whose link is down knows of the owner", node: byHash[1], change: func(w *lb.World) {
			w.Members = lb.Members{}
			w.Links = map[string][]lb.Link{byHash[1]: {{Name: "eth0"}}}
		}, want: lb.NoUsableLink, out: lb.Not, owner: byHash[0]},
		{name: "links of a node never told: it counts", change: func(w *lb.World) {
			w.Links = map[string][]lb.Link{}
			w.Members.Alive = map[string]bool{"n1": true}
		}, want: lb.Elected, out: lb.Announce},
		{name: "drained", change: func(w *lb.World) { w.Nodes["n1"].Labels[lb.LabelDrain] = "" }, want: lb.NodeDraining, out: lb.Not, owner: order("192.0.2.10", "n2", "n3")[0]},
		{name: "drain label set to false", change: func(w *lb.World) {
			w.Nodes["n1"].Labels[lb.LabelDrain] = "false"
			w.Members.Alive = map[string]bool{"n1": true}
		}, want: lb.Elected, out: lb.Announce},
		{name: "dataplane gate", change: func(w *lb.World) { w.Gated["n1"] = true }, want: lb.DataplaneNotReady, out: lb.Not, owner: order("192.0.2.10", "n2", "n3")[0]},
		{name: "a new address is probed first", node: byHash[0], change: func(w *lb.World) { w.Probes[addr("192.0.2.10")] = lb.Probe{} }, want: lb.AddressProbing, out: lb.Pending},
		{name: "a new address that another station has", node: byHash[0], change: func(w *lb.World) {
			w.Probes[addr("192.0.2.10")] = lb.Probe{Conflict: "02:00:00:00:00:09 on eth0"}
		}, want: lb.AddressConflict, out: lb.Not},
		{name: "nodes that are not chosen do not speak of the probe", node: byHash[1], change: func(w *lb.World) { w.Probes[addr("192.0.2.10")] = lb.Probe{} }, want: lb.OtherNode, out: lb.Not, owner: byHash[0]},
		{name: "sharing: Local sets without a common node", change: func(w *lb.World) {
			other := addService(w, "other", "192.0.2.10")
			for _, s := range []*lb.Service{other, w.Services[key("web")]} {
				s.TrafficPolicy = lb.Local
			}
			w.Endpoints[key("web")] = endpoints("n1")
			w.Endpoints[key("other")] = endpoints("n2")
		}, want: lb.SharedNoCommonNode, out: lb.Not},
		{name: "sharing: Local sets intersect", node: "n2", change: func(w *lb.World) {
			other := addService(w, "other", "192.0.2.10")
			for _, s := range []*lb.Service{other, w.Services[key("web")]} {
				s.TrafficPolicy = lb.Local
			}
			w.Endpoints[key("web")] = endpoints("n1", "n2")
			w.Endpoints[key("other")] = endpoints("n2", "n3")
		}, want: lb.Elected, out: lb.Announce},
		{name: "sharing: a Service without endpoints does not hold the others back", node: "n2", change: func(w *lb.World) {
			addService(w, "other", "192.0.2.10").TrafficPolicy = lb.Local
			w.Endpoints[key("other")] = lb.Endpoints{}
			w.Services[key("web")].TrafficPolicy = lb.Local
			w.Endpoints[key("web")] = endpoints("n2")
		}, want: lb.Elected, out: lb.Announce},
		{name: "sharing: and gets its own reason", node: "n2", svc: "other", change: func(w *lb.World) {
			addService(w, "other", "192.0.2.10").TrafficPolicy = lb.Local
			w.Endpoints[key("other")] = lb.Endpoints{}
		}, want: lb.NoEndpoints, out: lb.Not},
		{name: "a preferred node goes before the hash", node: byHash[2], change: func(w *lb.World) {
			w.Config.L2[0].PreferredNodes = []lb.PreferredNode{
				{Weight: 10, Nodes: sel("kubernetes.io/hostname=" + byHash[1])},
				{Weight: 6, Nodes: sel("kubernetes.io/hostname=" + byHash[2])},
				{Weight: 5, Nodes: sel("kubernetes.io/hostname in (" + byHash[2] + ")")},
			}
		}, want: lb.Elected, out: lb.Announce},
		{name: "a node on the subnet goes before a preferred one", node: byHash[1], change: func(w *lb.World) {
			w.Config.L2[0].PreferredNodes = []lb.PreferredNode{{Weight: 100, Nodes: sel("kubernetes.io/hostname=" + byHash[0])}}
			w.Links[byHash[0]] = []lb.Link{lan("eth0", "10.0.0.1/24")}
		}, want: lb.Elected, out: lb.Announce},
	}
	for _, r := range rows {
		t.Run(r.name, func(t *testing.T) {
			w := threeNodes()
			if r.change != nil {
				r.change(w)
			}
			node, svc := r.node, r.svc
			if node == "" {
				node = "n1"
			}
			if svc == "" {
				svc = "web"
			}
			got := Decide(w).Verdicts(key(svc), node)
			if len(got) != 1 {
				t.Fatalf("want one verdict, got %v", got)
			}
			v := got[0]
			if v.Reason != r.want || v.Outcome != r.out || v.Owner != r.owner {
				t.Errorf("got %v %v owner %q, want %v %v owner %q", v.Outcome, v.Reason, v.Owner, r.out, r.want, r.owner)
			}
		})
	}
}

func TestScopeIsTheUnionOfInterfaces(t *testing.T) {
	w := threeNodes()
	w.Config.L2 = []*lb.L2Advertisement{
		{Name: "a", Pools: []string{"lan"}, Interfaces: []string{"eth1", "eth0"}},
		{Name: "b", Pools: []string{"lan"}, Interfaces: []string{"eth0", "eth2"}},
		{Name: "c", Pools: []string{"lan"}, Interfaces: []string{"eth7"}, Services: lb.Selectors{sel("app=other")}},
	}
	d := Decide(w)
	owner, ok := d.Owner(addr("192.0.2.10"))
	if !ok {
		t.Fatal("no owner")
	}
	got, ok := d.Scope(addr("192.0.2.10"), owner)
	if want := (Scope{Links: []string{"eth0", "eth1", "eth2"}}); !ok || !got.Equal(want) {
		t.Errorf("got %v, want %v", got, want)
	}
	w.Config.L2 = append(w.Config.L2, &lb.L2Advertisement{Name: "d", Pools: []string{"lan"}})
	got, _ = Decide(w).Scope(addr("192.0.2.10"), owner)
	if want := (Scope{All: true}); !got.Equal(want) {
		t.Errorf("with one advertisement for all links: got %v, want %v", got, want)
	}
}

func TestElectionHashIsMetalLBs(t *testing.T) {
	// sha256("n1#192.0.2.10"), computed with sha256sum.
	const want = "9870ca2e99562e2044624725b11711d848b35680626dc334849a3dcce8e4fb1d"
	if got := hex(electionHash("n1", addr("192.0.2.10"))); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func hex(b [32]byte) string { return fmt.Sprintf("%x", b[:]) }
