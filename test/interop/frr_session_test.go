package interop

import (
	"fmt"
	"net/netip"
	"testing"

	"github.com/lintel-lb/lintel/internal/bgp"
)

var both = []netip.Prefix{netip.MustParsePrefix("198.18.0.1/32"), netip.MustParsePrefix("2001:db8::1/128")}

// neighbor is the configuration of one neighbour in both families.
func neighbor(a any, as string, more ...string) string {
	s := fmt.Sprintf(" neighbor %v remote-as %s\n", a, as)
	for _, m := range more {
		s += fmt.Sprintf(" neighbor %v %s\n", a, m)
	}
	return s + fmt.Sprintf(" address-family ipv4 unicast\n  neighbor %v activate\n  maximum-paths 8\n exit-address-family\n"+
		" address-family ipv6 unicast\n  neighbor %v activate\n  maximum-paths 8\n exit-address-family\n", a, a)
}

// pair is a speaker with one address and an FRR next to it.
func pair(t *testing.T, more ...string) (*frr, link) {
	h := newHost(t, "frr")
	l := h.plug(1)
	return startFRR(h, 64501, neighbor(l.speaker4(0), "64500", more...)), l
}

func TestFRRBothTransportsBothFamilies(t *testing.T) {
	for _, v6 := range []bool{false, true} {
		t.Run(fmt.Sprintf("v6=%v", v6), func(t *testing.T) {
			h := newHost(t, "frr")
			l := h.plug(1)
			us, peer := l.speaker4(0), l.router4
			if v6 {
				us, peer = l.speaker6(0), l.router6
			}
			f := startFRR(h, 64501, neighbor(us, "64500"))
			s := startSpeaker(t, onePeer(config(peer), routes(bgp.Attributes{}, both...)))
			s.wait("tor", bgp.StateEstablished)
			f.waitPrefixes(both...)
			for i, hop := range []netip.Addr{l.speaker4(0), l.speaker6(0)} {
				f.waitPath(both[i], func(p frrPath) bool {
					return p.Valid && p.Nexthops[0].IP == hop.String() && p.ASPath.String == "64500"
				})
			}
		})
	}
}
