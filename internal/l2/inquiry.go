package l2

import (
	"net/netip"

	"github.com/lintel-lb/lintel/internal/links"
)

// inquiry is the question on one link whether anyone else has an address.
type inquiry struct {
	addr netip.Addr
	self station
	// own holds this host's hardware addresses; ignore names others that do not matter.
	own    macSet
	ignore func(links.MAC) bool
	// witnesses are addresses that nobody can have. Who answers for them answers for
	// anything: a proxy.
	witnesses []netip.Addr
}

// probeFrame encodes the question for the address or one of the witnesses.
func (q *inquiry) probeFrame(a netip.Addr) []byte {
	if a.Is4() {
		f := arpProbe(q.self.mac, a.As4())
		return f.append(nil)
	}
	f := ndProbe(q.self.mac, a.As16())
	return f.append(nil)
}

// judge reads one frame: the station that claims an address, and which, if it matters. A
// station that probes for the address at the same time claims it as well (RFC 5227
// section 2.1.1, RFC 4862 section 5.4.3).
func (q *inquiry) judge(frame []byte) (claimed netip.Addr, by links.MAC, ok bool) {
	if q.addr.Is4() {
		claimed, by, ok = claimARP(frame)
	} else {
		claimed, by, ok = claimND(frame)
	}
	return claimed, by, ok && !q.own.has(by) && (q.ignore == nil || !q.ignore(by))
}

func claimARP(frame []byte) (netip.Addr, links.MAC, bool) {
	f, ok := parseARP(frame)
	if ok && f.op == arpRequest && f.senderIP == [4]byte{} {
		return netip.AddrFrom4(f.targetIP), f.senderMAC, true
	}
	return netip.AddrFrom4(f.senderIP), f.senderMAC, ok
}

func claimND(frame []byte) (netip.Addr, links.MAC, bool) {
	f, ok := parseND(frame)
	by := f.src
	if f.link.IsUnicast() {
		by = f.link
	}
	return netip.AddrFrom16(f.target), by, ok && (f.typ == typeNA || f.srcIP == [16]byte{})
}

// witnessesFor picks the addresses that nobody can have: one of a documentation range
// (RFC 5737, RFC 9637), for which a router answers that answers for what it has a route
// to, and in IPv4 the network number of the link's subnet, for which answers who answers
// for the whole subnet.
func witnessesFor(a netip.Addr, prefixes []netip.Prefix) []netip.Addr {
	if a.Is6() {
		return []netip.Addr{netip.MustParseAddr("3fff:fff:ffff::1")}
	}
	var w []netip.Addr
	for _, p := range prefixes {
		if p.Addr().Is4() && p.Bits() <= 30 && p.Contains(a) && p.Masked().Addr() != a {
			w = append(w, p.Masked().Addr())
			break
		}
	}
	for _, doc := range []string{"198.51.100.254", "203.0.113.254", "192.0.2.254"} {
		c := netip.MustParseAddr(doc)
		inUse := netip.PrefixFrom(c, 24).Contains(a)
		for _, p := range prefixes {
			inUse = inUse || p.Contains(c)
		}
		if !inUse {
			return append(w, c)
		}
	}
	return w
}
