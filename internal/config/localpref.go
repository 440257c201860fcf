package config

import (
	"slices"

	"github.com/lintel-lb/lintel/internal/lb"
)

// settleLocalPref refuses advertisements that give another LOCAL_PREF to the same routes
// than an older one.
func settleLocalPref(cs []*bgpCandidate, pools poolSet, nodes map[string]*lb.Node) {
	var kept []*bgpCandidate
	for _, c := range cs {
		if c.refusal != nil {
			continue
		}
		for _, other := range kept {
			if pool, conflict := conflicting(c.value, other.value, pools, nodes); conflict {
				c.refusal = refuse(ReasonConflictingLocalPref,
					"invalid local preference %d: local preferernce %d was already set for the same type of BGP update. Check existing BGP advertisements with common pools and aggregation lengths: BGPAdvertisement %q is for pool %q too; make localPref the same, or separate the two by pools, peers or nodes",
					localPref(c.value), localPref(other.value), other.ref.Name, pool)
				break
			}
		}
		if c.refusal == nil {
			kept = append(kept, c)
		}
	}
}

// conflicting tells whether two advertisements disagree about routes of a pool. Those with
// service selectors are compared for each Service when it is announced.
func conflicting(a, b *lb.BGPAdvertisement, pools poolSet, nodes map[string]*lb.Node) (pool string, conflict bool) {
	if localPref(a) == localPref(b) || len(a.Services) > 0 || len(b.Services) > 0 {
		return "", false
	}
	if len(a.Peers) > 0 && len(b.Peers) > 0 && !slices.ContainsFunc(a.Peers, func(p string) bool { return slices.Contains(b.Peers, p) }) {
		return "", false
	}
	if _, shared := commonNode(a.Nodes, b.Nodes, nodes); !shared {
		return "", false
	}
	for _, p := range pools.inEffect {
		if !a.SelectsPool(p.Name) || !b.SelectsPool(p.Name) {
			continue
		}
		v4 := p.HasFamily(lb.IPv4) && a.AggregationLength == b.AggregationLength
		v6 := p.HasFamily(lb.IPv6) && a.AggregationLengthV6 == b.AggregationLengthV6
		if v4 || v6 {
			return p.Name, true
		}
	}
	return "", false
}

func localPref(a *lb.BGPAdvertisement) uint32 {
	if a.LocalPref == nil {
		return 0
	}
	return *a.LocalPref
}
