package speaker

import (
	"encoding/binary"
	"hash/crc32"
	"net/netip"
	"slices"
	"time"

	"github.com/lintel-lb/lintel/internal/bfd"
	"github.com/lintel-lb/lintel/internal/bgp"
	"github.com/lintel-lb/lintel/internal/lb"
)

// Restart times offered with graceful restart (RFC 4724). Where the user says nothing it is
// short, so that routes of a node that died do not linger; where the user asks for it, it is
// what FRR uses.
const (
	restartTimeUnset = 30 * time.Second
	restartTimeAsked = 120 * time.Second
)

// ownNode is this node, as far as sessions depend on it.
type ownNode struct {
	node  *lb.Node
	links []lb.Link
	// gateways are the next hops of the default routes.
	gateways []lb.Gateway
}

// ownOf is a node of a World.
func ownOf(w *lb.World, node *lb.Node) ownNode {
	return ownNode{node: node, links: w.Links[node.Name], gateways: w.Gateways[node.Name]}
}

// session turns a peer into the parameters of a session.
func (o ownNode) session(p *lb.Peer) bgp.SessionConfig {
	c := bgp.SessionConfig{
		PeerAddress: p.Address, Interface: p.Interface, Port: p.Port,
		LocalASN: p.MyASN, PeerASN: peerAS(p), RouterID: p.RouterID,
		SecurityHops: p.SecurityHops,
		Source:       p.Source, Device: p.VRF, Password: bgp.Password(p.Password),
		Hold: bgp.DefaultHoldTime, Families: families(p), ExtendedNextHop: p.Interface != "",
	}
	if p.LocalASN != 0 {
		c.LocalASN = p.LocalASN
	}
	if !c.RouterID.IsValid() {
		c.RouterID = o.routerID()
	}
	if p.Hold != nil {
		c.Hold = p.Hold.Truncate(time.Second)
	}
	if p.Keepalive != nil {
		c.Keepalive = *p.Keepalive
	}
	if p.Connect != nil {
		c.Connect = *p.Connect
	}
	c.GracefulRestart = gracefulRestart(p)
	if p.BFDProfile != "" && (p.Address.IsValid() || p.Interface != "") {
		c.BFD = bgp.BFDOn
		if p.BFDStrict {
			c.BFD = bgp.BFDStrict
		}
	}
	return c
}

// gracefulRestart is what is offered to a peer.
func gracefulRestart(p *lb.Peer) bgp.GracefulRestart {
	gr := bgp.GracefulRestart{
		Enabled: true, RestartTime: restartTimeUnset, Notification: p.RestartNotification, LongLived: p.LongLivedStaleTime,
	}
	switch {
	case p.GracefulRestart != nil && !*p.GracefulRestart:
		return bgp.GracefulRestart{}
	case p.RestartTime != 0:
		gr.RestartTime = p.RestartTime
	case p.GracefulRestart != nil:
		gr.RestartTime = restartTimeAsked
	}
	return gr
}

func peerAS(p *lb.Peer) bgp.PeerAS {
	switch p.Dynamic {
	case lb.InternalASN:
		return bgp.InternalAS()
	case lb.ExternalASN:
		return bgp.ExternalAS()
	}
	return bgp.ExactAS(p.ASN)
}

// families are that of the session's own transport, or both where the user or an unnumbered
// link asks for it.
func families(p *lb.Peer) bgp.Families {
	switch {
	case p.DualStack || p.Interface != "":
		return bgp.IPv4 | bgp.IPv6
	case p.Address.IsValid():
		return familyOf(p.Address)
	}
	return bgp.IPv4
}

func familyOf(a netip.Addr) bgp.Families {
	if a.Is6() {
		return bgp.IPv6
	}
	return bgp.IPv4
}

// routerID is the node's first IPv4 address, or else a number that its name gives.
func (o ownNode) routerID() netip.Addr {
	if a := o.address(lb.IPv4); a.IsValid() {
		return a
	}
	var b [4]byte
	binary.LittleEndian.PutUint32(b[:], crc32.ChecksumIEEE([]byte(o.node.Name)))
	return netip.AddrFrom4(b)
}

// address is the node's first address of a family; invalid if there is none.
func (o ownNode) address(f lb.Family) netip.Addr {
	for _, a := range o.node.Addresses {
		if lb.FamilyOf(a) == f {
			return a
		}
	}
	return netip.Addr{}
}

// attributes are the path attributes of a prefix towards one peer. Where the session runs over
// the other family, the next hop is the node's own address of the prefix's family, unless that
// is on another link than the peer: then it is left to the session, which takes one of its link.
func (o ownNode) attributes(c bgp.SessionConfig, prefix netip.Prefix, m merged) bgp.Attributes {
	a := bgp.Attributes{Prepend: m.prepend, LinkBandwidth: m.bandwidth, GracefulShutdown: m.gracefulShutdown}
	if m.med != nil {
		a.MED = bgp.Some(*m.med)
	}
	if m.localPref != nil {
		a.LocalPref = bgp.Some(*m.localPref)
	}
	var standard []uint32
	var large [][3]uint32
	var extended []uint64
	for _, com := range m.communities {
		switch {
		case com.Extended != 0:
			extended = append(extended, com.Extended)
		case com.Large:
			large = append(large, [3]uint32{com.A, com.B, com.C})
		default:
			standard = append(standard, com.A<<16|com.B)
		}
	}
	a.Communities = bgp.NewCommunities(standard, large, extended)
	remote := c.PeerAddress
	if c.PeerRange.IsValid() {
		remote = c.PeerRange.Addr()
	}
	if remote.IsValid() && remote.Is4() != prefix.Addr().Is4() {
		a.NextHop = o.nextHop(remote, lb.FamilyOf(prefix.Addr()))
	}
	return a
}

// nextHop is the node's address of a family for a peer that is spoken to over the other one;
// invalid if the link towards the peer has better ones.
func (o ownNode) nextHop(peer netip.Addr, f lb.Family) netip.Addr {
	own := o.address(f)
	for _, l := range o.links {
		hasFamily := slices.ContainsFunc(l.Prefixes, func(p netip.Prefix) bool {
			return lb.FamilyOf(p.Addr()) == f && l.OnSubnet(p.Addr())
		})
		if l.OnSubnet(peer) && hasFamily && !l.OnSubnet(own) {
			return netip.Addr{}
		}
	}
	return own
}

// bfdPath is a BFD session that belongs to a peer. Where the peer is unnumbered, the key has
// an interface and no address: that of the router in use there belongs to it.
type bfdPath struct {
	key    bfd.Key
	params bfd.Params
}

// bfd gives the BFD session of a peer; ok is false where it has none.
func (o ownNode) bfd(p *lb.Peer, profiles []*lb.BFDProfile) (path bfdPath, ok bool) {
	i := slices.IndexFunc(profiles, func(b *lb.BFDProfile) bool { return p.BFDProfile != "" && b.Name == p.BFDProfile })
	if i < 0 || !p.Address.IsValid() && p.Interface == "" {
		return bfdPath{}, false
	}
	key := bfd.Key{Interface: p.Interface, VRF: p.VRF}
	if p.Interface == "" {
		onLink := slices.ContainsFunc(o.links, func(l lb.Link) bool { return l.OnSubnet(p.Address) })
		key.Peer, key.Local = p.Address, p.Source
		key.MultiHop = p.MultiHop || p.MyASN == p.ASN && !onLink
	}
	b := profiles[i]
	return bfdPath{key: key, params: bfd.Params{
		TransmitInterval: b.TransmitInterval, ReceiveInterval: b.ReceiveInterval, DetectMultiplier: b.DetectMultiplier,
		EchoMode: b.EchoMode, EchoInterval: b.EchoInterval, Passive: b.PassiveMode, MinimumTTL: b.MinimumTTL,
		Auth: bfdAuth(b.Auth),
	}}, true
}

// bfdAuth gives the engine's form of an authentication.
func bfdAuth(a lb.BFDAuth) bfd.Auth {
	types := map[lb.BFDAuthType]bfd.AuthType{
		lb.KeyedMD5: bfd.AuthKeyedMD5, lb.MeticulousKeyedMD5: bfd.AuthMeticulousKeyedMD5,
		lb.KeyedSHA1: bfd.AuthKeyedSHA1, lb.MeticulousKeyedSHA1: bfd.AuthMeticulousKeyedSHA1,
	}
	out := bfd.Auth{Type: types[a.Type]}
	for _, k := range a.Keys {
		out.Keys = append(out.Keys, bfd.AuthKey{ID: k.ID, Secret: string(k.Secret)})
	}
	return out
}
