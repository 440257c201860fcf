package announce

import (
	"bytes"
	"net/netip"
	"slices"
	"strings"

	"github.com/lintel-lb/lintel/internal/lb"
)

// In mixed membership ([lb.Settings]) the speakers of MetalLB elect as well, each for itself,
// and two sides with different rules would give an address two owners or none. So the rules
// here are those of MetalLB 0.16, and nothing of ours is added: the unit is the Service, the
// hash is over the text of its first address, whichever address is asked about, and neither
// links nor preferences, gates or drains of nodes count.

// electMixed elects for each Service by itself.
func (d *Decider) electMixed(dec *decision) {
	dec.owner, dec.shared = nil, false
	dec.each = make([]*candidate, len(dec.g.members))
	for i := range dec.g.members {
		m := &dec.g.members[i]
		if m.reason != 0 {
			continue
		}
		for name := range d.w.Nodes {
			c := m.evaluateMixed(d.w, name)
			if c.reason == 0 && (dec.each[i] == nil || c.beatsMixed(dec.each[i])) {
				dec.each[i] = &c
			}
		}
		if dec.owner == nil {
			dec.owner = dec.each[i]
		}
	}
}

// retouchMixed elects again and tells whether any outcome changed.
func (d *Decider) retouchMixed(dec *decision) bool {
	before := dec.each
	d.electMixed(dec)
	return !slices.EqualFunc(before, dec.each, func(a, b *candidate) bool {
		if a == nil || b == nil {
			return a == b
		}
		return a.node == b.node && a.all == b.all && slices.Equal(a.links, b.links)
	})
}

// evaluateMixed judges one node for one Service that counts.
func (m *member) evaluateMixed(w *lb.World, name string) candidate {
	c := candidate{node: name}
	refuse := func(r lb.Reason, subject string) candidate {
		c.reason, c.subject = r, subject
		return c
	}
	node := w.Nodes[name]
	if node == nil {
		return refuse(lb.NodeUnknown, "")
	}
	switch ok, why := m.allows(node); {
	case !ok && why == lb.NodeNotSelected:
		return refuse(why, "")
	case node.Excluded() && !w.Settings.IgnoreExcludeLabel:
		return refuse(lb.NodeExcluded, "")
	case node.NetworkUnavailable:
		return refuse(lb.NodeNetworkUnavailable, "")
	case !w.Members.Contains(name):
		return refuse(lb.SpeakerNotAlive, "")
	case !ok:
		return refuse(why, m.svc.Key.String())
	}
	var adverts []*lb.L2Advertisement
	for _, a := range m.adverts {
		if a.Nodes.MatchesOrEmpty(node.Labels) {
			adverts = append(adverts, a)
		}
	}
	c.links, c.all = selectedLinks(adverts)
	c.hash = electionHash(name, m.svc.Addresses[0])
	return c
}

// beatsMixed compares the hashes and nothing else.
func (c *candidate) beatsMixed(o *candidate) bool {
	if n := bytes.Compare(c.hash[:], o.hash[:]); n != 0 {
		return n < 0
	}
	return strings.Compare(c.node, o.node) < 0
}

// mixedScope is the union of what the Services that elect the node ask for.
func (dec *decision) mixedScope(node string) (s Scope, own bool) {
	for _, c := range dec.each {
		if c == nil || c.node != node {
			continue
		}
		own = true
		s.All = s.All || c.all
		s.Links = append(s.Links, c.links...)
	}
	if s.All {
		return Scope{All: true}, true
	}
	slices.Sort(s.Links)
	s.Links = slices.Compact(s.Links)
	return s, own
}

// onePool tells whether one pool holds all addresses. MetalLB does not announce a Service
// whose addresses are from several.
func onePool(c *lb.Config, addrs []netip.Addr) bool {
	for _, a := range addrs[1:] {
		if c.PoolOf(a) != c.PoolOf(addrs[0]) {
			return false
		}
	}
	return true
}
