package bgp

import (
	"fmt"
	"net/netip"
	"time"

	"github.com/lintel-lb/lintel/internal/bgp/wire"
)

// negotiated is what both OPEN messages of a session agree on.
type negotiated struct {
	localASN  uint32
	external  bool
	hold      time.Duration
	keepalive time.Duration
	// fourOctetAS: both speak RFC 6793.
	fourOctetAS bool
	// families may be announced; extendedNextHop is for IPv4.
	families        Families
	extendedNextHop bool
	// graceful: the peer keeps routes; notification: also after a NOTIFICATION.
	graceful, notification bool
	// hops are this end of the session and an address of the other family on the same
	// interface; invalid where there is none.
	hops [2]netip.Addr
}

// makeOpen builds the OPEN of a session. restarting sets the R bit: the peer shall not
// wait for this speaker's End-of-RIB, and knows that the routes are about to come again.
func makeOpen(c *SessionConfig, restarting bool) wire.Open {
	families := c.Families.list()
	o := wire.Open{
		ASN: c.LocalASN, HoldTime: c.Hold, RouterID: c.RouterID,
		Capabilities: wire.Capabilities{
			Families:     families,
			RouteRefresh: true,
			FourOctetAS:  c.LocalASN,
		},
	}
	if c.ExtendedNextHop {
		o.Capabilities.ExtendedNextHop = []wire.Family{wire.IPv4Unicast}
	}
	gr := c.GracefulRestart
	if !gr.Enabled {
		return o
	}
	o.Capabilities.GracefulRestart = wire.GracefulRestart{
		Present: true, Restarting: restarting, Notification: gr.Notification, Time: gr.RestartTime,
	}
	for _, f := range families {
		// The data plane is the node's, not this process's: it forwards during a restart,
		// so the F bit is always set.
		o.Capabilities.GracefulRestart.Families = append(o.Capabilities.GracefulRestart.Families,
			wire.RestartFamily{Family: f, Forwarding: true})
		if gr.LongLived > 0 {
			o.Capabilities.LongLived = append(o.Capabilities.LongLived,
				wire.LongLivedFamily{Family: f, Forwarding: true, StaleTime: gr.LongLived})
		}
	}
	return o
}

// negotiate checks the peer's OPEN against the configuration (RFC 4271, section 6.2). The
// error is a *wire.Error.
func negotiate(c *SessionConfig, o *wire.Open) (*negotiated, error) {
	refuse := func(subcode uint8, data []byte, format string, args ...any) error {
		return &wire.Error{
			Notification: wire.Notification{Code: wire.CodeOpen, Subcode: subcode, Data: data},
			Reason:       fmt.Sprintf(format, args...),
		}
	}
	if !c.PeerASN.admits(o.ASN, c.LocalASN) {
		as := uint16(wire.ASTrans)
		if o.ASN <= 0xffff {
			as = uint16(o.ASN)
		}
		return nil, refuse(wire.OpenBadPeerAS, []byte{byte(as >> 8), byte(as)},
			"the peer is AS %d, the configuration wants %v", o.ASN, c.PeerASN)
	}
	n := &negotiated{
		localASN:    c.LocalASN,
		external:    o.ASN != c.LocalASN,
		hold:        min(c.Hold, o.HoldTime),
		fourOctetAS: o.Capabilities.FourOctetAS != 0,
	}
	// RFC 6286, section 2.3: within an AS identifiers are unique.
	if !n.external && o.RouterID == c.RouterID {
		id := o.RouterID.As4()
		return nil, refuse(wire.OpenBadIdentifier, id[:], "the peer has the same BGP identifier %v", o.RouterID)
	}
	n.keepalive = n.hold / 3
	if c.Keepalive > 0 {
		n.keepalive = min(n.keepalive, c.Keepalive)
	}
	for _, f := range c.Families.list() {
		if !o.Capabilities.HasFamily(f) {
			continue
		}
		if f == wire.IPv4Unicast {
			n.families |= IPv4
		} else {
			n.families |= IPv6
		}
	}
	if n.families == 0 {
		var data []byte
		for _, f := range c.Families.list() {
			data = append(data, 1, 4, byte(f.AFI()>>8), byte(f.AFI()), 0, f.SAFI())
		}
		return nil, refuse(wire.OpenUnsupportedCapability, data, "no address family in common: the peer has %v, this side %v",
			o.Capabilities.Families, c.Families.list())
	}
	if c.ExtendedNextHop {
		for _, f := range o.Capabilities.ExtendedNextHop {
			n.extendedNextHop = n.extendedNextHop || f == wire.IPv4Unicast
		}
	}
	if gr := o.Capabilities.GracefulRestart; c.GracefulRestart.Enabled && gr.Present {
		n.graceful = true
		n.notification = c.GracefulRestart.Notification && gr.Notification
	}
	return n, nil
}

// lacksHop tells whether the session has no next hop of its own for one of its families.
func (n *negotiated) lacksHop() bool {
	own := n.hops[0]
	switch {
	case n.hops[1].IsValid() || !own.IsValid():
		return false
	case own.Is4():
		return n.families.has(wire.IPv6Unicast)
	}
	return n.families.has(wire.IPv4Unicast) && !n.extendedNextHop
}

// check resolves the next hop of a route, or tells why the route cannot be announced.
func (n *negotiated) check(p netip.Prefix, a *Attributes) (netip.Addr, Withheld) {
	if !p.IsValid() || p != p.Masked() || p.Addr().Is4In6() {
		return netip.Addr{}, InvalidPrefix
	}
	f := wire.FamilyOf(p.Addr())
	if !n.families.has(f) {
		return netip.Addr{}, FamilyNotNegotiated
	}
	if !a.fits() {
		return netip.Addr{}, AttributesTooLarge
	}
	v4ok := f == wire.IPv4Unicast
	v6ok := f == wire.IPv6Unicast || n.extendedNextHop
	usable := func(hop netip.Addr) bool { return hop.Is4() && v4ok || hop.Is6() && v6ok }
	if a.NextHop.IsValid() {
		// One that was asked for is never replaced by another.
		if usable(a.NextHop) {
			return a.NextHop, 0
		}
		return netip.Addr{}, NoNextHop
	}
	// The session's own address is known to be reachable from the peer, so it goes first.
	for _, hop := range n.hops {
		if usable(hop) {
			return hop, 0
		}
	}
	return netip.Addr{}, NoNextHop
}
