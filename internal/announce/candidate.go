package announce

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"net/netip"
	"slices"
	"strings"

	"github.com/lintel-lb/lintel/internal/lb"
)

// candidate is what one node has to offer for one address.
type candidate struct {
	node string
	// reason is zero for a candidate, else why the node is none.
	reason  lb.Reason
	subject string

	onSubnet bool
	weight   int
	hash     [sha256.Size]byte
	// links to answer on; nil with all set.
	links []string
	all   bool
}

// beats tells whether c goes before o. Both must be candidates, or lack a usable link only.
func (c *candidate) beats(o *candidate) bool { return c.compare(o) < 0 }

func (c *candidate) compare(o *candidate) int {
	if c.onSubnet != o.onSubnet {
		if c.onSubnet {
			return -1
		}
		return 1
	}
	return cmp.Or(
		-cmp.Compare(c.weight, o.weight),
		bytes.Compare(c.hash[:], o.hash[:]),
		strings.Compare(c.node, o.node),
	)
}

// evaluate judges one node for a group that has at least one active member.
func (g *group) evaluate(w *lb.World, name string) candidate {
	c := candidate{node: name}
	refuse := func(r lb.Reason, subject string) candidate {
		c.reason, c.subject = r, subject
		return c
	}
	node := w.Nodes[name]
	if node == nil {
		return refuse(lb.NodeUnknown, "")
	}
	for i := range g.members {
		if m := &g.members[i]; m.reason == 0 {
			if ok, why := m.allows(node); !ok && why == lb.NodeNotSelected {
				return refuse(why, "")
			}
		}
	}
	switch {
	case node.Excluded() && !w.Settings.IgnoreExcludeLabel:
		return refuse(lb.NodeExcluded, "")
	case node.NetworkUnavailable:
		return refuse(lb.NodeNetworkUnavailable, "")
	case !w.Members.Contains(name):
		return refuse(lb.SpeakerNotAlive, "")
	case w.Gated[name]:
		return refuse(lb.DataplaneNotReady, "")
	case node.Draining():
		return refuse(lb.NodeDraining, "")
	}
	for i := range g.members {
		if m := &g.members[i]; m.reason == 0 {
			if ok, why := m.allows(node); !ok {
				return refuse(why, m.svc.Key.String())
			}
		}
	}

	adverts := g.advertsFor(node)
	c.links, c.all = selectedLinks(adverts)
	for _, a := range adverts {
		c.weight += a.Preference(node.Labels)
	}
	c.hash = electionHash(name, g.addr)
	if links, known := w.Links[name]; known {
		usable := false
		for _, l := range links {
			if !l.Answers(lb.FamilyOf(g.addr)) || !c.all && !slices.Contains(c.links, l.Name) {
				continue
			}
			usable = true
			// Without membership no node knows the subnets of another: each would go first in its own
			// eyes, and all would answer.
			if w.Members.Enabled && l.OnSubnet(g.addr) {
				c.onSubnet = true
			}
		}
		if !usable {
			return refuse(lb.NoUsableLink, strings.Join(c.links, ", "))
		}
	}
	return c
}

// advertsFor lists the distinct advertisements of active members that select the node.
func (g *group) advertsFor(node *lb.Node) []*lb.L2Advertisement {
	var found []*lb.L2Advertisement
	for i := range g.members {
		if g.members[i].reason != 0 {
			continue
		}
		for _, a := range g.members[i].adverts {
			if a.Nodes.MatchesOrEmpty(node.Labels) && !slices.Contains(found, a) {
				found = append(found, a)
			}
		}
	}
	return found
}

// selectedLinks is the union of the interfaces, sorted; one advertisement without any means all.
func selectedLinks(adverts []*lb.L2Advertisement) (names []string, all bool) {
	for _, a := range adverts {
		if len(a.Interfaces) == 0 {
			return nil, true
		}
		names = append(names, a.Interfaces...)
	}
	slices.Sort(names)
	return slices.Compact(names), false
}

// electionHash is the tie breaker that MetalLB uses: SHA-256 of "node#address".
func electionHash(node string, addr netip.Addr) [sha256.Size]byte {
	b := make([]byte, 0, 96)
	b = append(b, node...)
	b = append(b, '#')
	b = addr.AppendTo(b)
	return sha256.Sum256(b)
}
