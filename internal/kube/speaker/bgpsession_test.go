package speaker

import (
	"net/netip"
	"testing"

	"github.com/lintel-lb/lintel/internal/lb"
)

func TestNextHopOfTheOtherFamily(t *testing.T) {
	prefixes := func(texts ...string) (out []netip.Prefix) {
		for _, s := range texts {
			out = append(out, netip.MustParsePrefix(s))
		}
		return out
	}
	o := ownNode{
		node: &lb.Node{Addresses: []netip.Addr{netip.MustParseAddr("10.0.0.11"), netip.MustParseAddr("fd00::11")}},
		links: []lb.Link{
			{Name: "eth0", Prefixes: prefixes("10.0.0.0/24", "fd00::/64", "fe80::/64")},
			{Name: "eth1", Prefixes: prefixes("10.1.0.0/24", "fd01::/64", "fe80::/64")},
			{Name: "eth2", Prefixes: prefixes("10.2.0.0/24", "fe80::/64")},
		},
	}
	for peer, want := range map[string]string{
		"10.0.0.1": "fd00::11", // on the link of the node's own address
		"10.1.0.1": "",         // on a link with addresses of the family that the node's own is not on
		"10.2.0.1": "fd00::11", // on a link without any
		"10.9.0.1": "fd00::11", // on none
	} {
		got := o.nextHop(netip.MustParseAddr(peer), lb.IPv6)
		if got.IsValid() != (want != "") || got.IsValid() && got.String() != want {
			t.Errorf("towards %s the next hop is %v, not %q", peer, got, want)
		}
	}
}
