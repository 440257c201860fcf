package announce

import (
	"fmt"
	"net/netip"

	"github.com/lintel-lb/lintel/internal/lb"
)

// Router gives the address of the router that a peer stands for on a node, of a peer that has
// one. Where it is not known, why says what is missing and what to do.
func Router(p *lb.Peer, node *lb.Node, gateways []lb.Gateway) (a netip.Addr, why string) {
	switch {
	case p.From.Gateway != 0:
		best := -1
		for i, g := range gateways {
			if lb.FamilyOf(g.Address) == p.From.Gateway && (best < 0 || g.Metric < gateways[best].Metric) {
				best = i
			}
		}
		if best < 0 {
			return netip.Addr{}, fmt.Sprintf("node %s has no %v default route with a next hop in its main table: add one, or set peerAddress", node.Name, p.From.Gateway)
		}
		return gateways[best].Address, ""
	case p.From.Annotation != "":
		text, ok := node.Annotations[p.From.Annotation]
		if !ok {
			return netip.Addr{}, fmt.Sprintf("node %s has no annotation %s: annotate it with the address of its router", node.Name, p.From.Annotation)
		}
		a, err := netip.ParseAddr(text)
		if err != nil || a.IsUnspecified() || a.IsMulticast() || a.Is6() && a.IsLinkLocalUnicast() && a.Zone() == "" {
			return netip.Addr{}, fmt.Sprintf("annotation %s of node %s is %q: it must be the IPv4 or IPv6 address of a router, a link-local one with an interface (fe80::1%%eth0)",
				p.From.Annotation, node.Name, text)
		}
		return a.Unmap(), ""
	}
	return p.Address, ""
}
