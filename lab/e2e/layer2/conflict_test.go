package layer2

import (
	"net/netip"
	"testing"
)

// A host outside of the cluster has the addresses already: no node answers for them, and why
// says so. When they are free, a node does.
func TestForeignStationHasTheAddress(t *testing.T) {
	t.Parallel()
	s := newScene(t, "Cluster", nil)
	addrs := s.addresses("web")
	for _, a := range addrs {
		nodad := ""
		if a.Is6() {
			nodad = " nodad"
		}
		p := netip.PrefixFrom(a, a.BitLen()).String() + " dev eth0"
		s.exec("c1", "ip address add "+p+nodad)
		t.Cleanup(func() {
			if t.Failed() {
				s.exec("c1", "ip address delete "+p)
			}
		})
	}
	s.pods("n1")
	s.agreedForeign("web", "c1")
	for _, a := range addrs {
		s.exec("c1", "ip address delete "+netip.PrefixFrom(a, a.BitLen()).String()+" dev eth0")
	}
	for _, a := range addrs {
		s.answersWithin(conflictBound, a, s.nodes()...)
	}
	s.agreed("web", s.all(candidate))
}
