package bfd

import (
	"net/netip"
	"slices"
)

// demux finds the session of a packet: by the discriminator that this system gave to it, or by the
// addresses while the peer does not know that yet (RFC 5880 section 6.8.6, RFC 5881 section 3).
type demux struct {
	byDiscriminator map[uint32]*member
	byPeer          map[peerKey][]*member
}

type peerKey struct {
	peer netip.Addr // without zone
	kind channel
	vrf  string
}

func newDemux() demux {
	return demux{byDiscriminator: map[uint32]*member{}, byPeer: map[peerKey][]*member{}}
}

func (k Key) channel() channel {
	if k.MultiHop {
		return multiHop
	}
	return singleHop
}

func (m *member) peerKey() peerKey {
	return peerKey{peer: m.key.Peer.WithZone(""), kind: m.key.channel(), vrf: m.key.VRF}
}

func (d *demux) add(m *member) {
	d.byDiscriminator[m.session.local] = m
	k := m.peerKey()
	d.byPeer[k] = append(d.byPeer[k], m)
}

func (d *demux) remove(m *member) {
	delete(d.byDiscriminator, m.session.local)
	k := m.peerKey()
	d.byPeer[k] = slices.DeleteFunc(d.byPeer[k], func(o *member) bool { return o == m })
	if len(d.byPeer[k]) == 0 {
		delete(d.byPeer, k)
	}
}

// find returns the session of the packet, or nil. A discriminator alone decides, as the RFC says,
// but never for a session of another kind, VRF or interface: a session that is bound to an interface
// judges that interface only. Among sessions with the same peer, the one that names most wins.
func (d *demux) find(p *Packet, g *datagram) *member {
	if p.YourDiscriminator != 0 {
		m := d.byDiscriminator[p.YourDiscriminator]
		if m == nil || m.key.channel() != g.channel || m.key.VRF != g.vrf || !m.onInterface(g.ifindex) {
			return nil
		}
		return m
	}
	var best *member
	for _, m := range d.byPeer[peerKey{peer: g.src, kind: g.channel, vrf: g.vrf}] {
		if m.onInterface(g.ifindex) && m.toLocal(g.dst) && (best == nil || m.names() > best.names()) {
			best = m
		}
	}
	return best
}

// onInterface reports whether packets of the session may come in by the interface.
func (m *member) onInterface(ifindex int) bool {
	return m.key.zone() == "" || m.tx != nil && m.tx.ifindex() == ifindex
}

func (m *member) toLocal(dst netip.Addr) bool {
	return !m.key.Local.IsValid() || m.key.Local.WithZone("") == dst
}

// names counts the parts of the key that narrow it down.
func (m *member) names() int {
	n := 0
	if m.key.zone() != "" {
		n++
	}
	if m.key.Local.IsValid() {
		n++
	}
	return n
}
