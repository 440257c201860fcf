package announce

import (
	"net/netip"
	"slices"

	"go4.org/netipx"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/lintel-lb/lintel/internal/lb"
)

// sel compiles a selector in kubectl's syntax.
func sel(s string) lb.Selector {
	parsed, err := labels.Parse(s)
	if err != nil {
		panic(err)
	}
	return lb.NewSelector(parsed)
}

func addr(s string) netip.Addr { return netip.MustParseAddr(s) }

func key(name string) lb.ServiceKey { return lb.ServiceKey{Namespace: "default", Name: name} }

// threeNodes is a World in which Service web holds 192.0.2.10 out of pool lan and may be
// announced by each of n1, n2 and n3. Tests change one thing in it.
func threeNodes() *lb.World {
	w := lb.NewWorld()
	w.Config = (&lb.Config{
		Pools: []*lb.Pool{{Name: "lan", AutoAssign: true, Ranges: []netipx.IPRange{
			netipx.MustParseIPRange("192.0.2.0-192.0.2.255"),
			netipx.MustParseIPRange("2001:db8::-2001:db8::ffff"),
		}}},
		L2: []*lb.L2Advertisement{{Name: "lan", Pools: []string{"lan"}}},
	}).Index()
	w.Members = lb.Members{Enabled: true, Alive: map[string]bool{}}
	for _, n := range []string{"n1", "n2", "n3"} {
		w.Nodes[n] = &lb.Node{Name: n, Labels: map[string]string{"kubernetes.io/hostname": n}}
		w.Members.Alive[n] = true
		w.Links[n] = []lb.Link{lan("eth0", "192.0.2.1/24", "2001:db8::1/64")}
	}
	addService(w, "web", "192.0.2.10")
	return w
}

func addService(w *lb.World, name string, addrs ...string) *lb.Service {
	s := &lb.Service{Key: key(name), Labels: map[string]string{"app": name}}
	for _, a := range addrs {
		s.Addresses = append(s.Addresses, addr(a))
	}
	w.Services[s.Key] = s
	w.Endpoints[s.Key] = endpoints("n1", "n2", "n3")
	return s
}

func endpoints(nodes ...string) lb.Endpoints {
	e := lb.Endpoints{ByNode: map[string]int{}}
	for _, n := range nodes {
		e.Usable++
		e.Total++
		e.ByNode[n]++
	}
	return e
}

func lan(name string, prefixes ...string) lb.Link {
	l := lb.Link{Name: name, Usable: true, ARP: true, NDP: true}
	for _, p := range prefixes {
		l.Prefixes = append(l.Prefixes, netip.MustParsePrefix(p))
	}
	return l
}

// order lists the nodes in the order in which the hash elects them for an address.
func order(a string, nodes ...string) []string {
	nodes = slices.Clone(nodes)
	slices.SortFunc(nodes, func(x, y string) int {
		cx := candidate{node: x, hash: electionHash(x, addr(a))}
		cy := candidate{node: y, hash: electionHash(y, addr(a))}
		return cx.compare(&cy)
	})
	return nodes
}
