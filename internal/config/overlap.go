package config

import (
	"net/netip"
	"slices"
	"strings"

	"go4.org/netipx"

	"github.com/lintel-lb/lintel/internal/lb"
)

// settleOverlaps refuses pools until no address is in two pools. A pool whose addresses
// are assigned stays, then the older one, then the first by name.
func settleOverlaps(pools []*poolCandidate, assigned map[netip.Addr]string) {
	order := slices.Clone(pools)
	slices.SortStableFunc(order, func(a, b *poolCandidate) int {
		switch ha, hb := holds(a, assigned), holds(b, assigned); {
		case ha && !hb:
			return -1
		case hb && !ha:
			return 1
		}
		return 0
	})
	var kept []*poolCandidate
	for _, c := range order {
		if c.refusal != nil {
			continue
		}
		if c.refusal = overlapRefusal(c, kept); c.refusal == nil {
			kept = append(kept, c)
		}
	}
}

func overlapRefusal(c *poolCandidate, kept []*poolCandidate) *refusal {
	for i, rng := range c.value.Ranges {
		for _, k := range kept {
			if j := overlapping(k.value, rng); j >= 0 {
				return refuse(ReasonOverlappingPool,
					"CIDR %q in pool %q overlaps with already defined CIDR %q of pool %q, which has assigned addresses or is older: remove or narrow one of the two entries",
					c.object.Spec.Addresses[i], c.ref.Name, k.object.Spec.Addresses[j], k.ref.Name)
			}
		}
	}
	return nil
}

// holds tells whether addresses of the pool are assigned. Where it is known from which
// pool an address was assigned, no other one holds it.
func holds(c *poolCandidate, assigned map[netip.Addr]string) bool {
	for a, pool := range assigned {
		if c.value != nil && (pool == "" || pool == c.ref.Name) && inRanges(c.value, a) {
			return true
		}
	}
	return false
}

// holdOver keeps a refused pool in effect for the addresses that Services have from it,
// so that a mistake in an edit takes no address away: the ranges that could be read, less
// those of other pools, and without new assignments.
func holdOver(pools []*poolCandidate, assigned map[netip.Addr]string) []*lb.Pool {
	var taken netipx.IPSetBuilder
	for _, c := range pools {
		if c.refusal == nil {
			for _, r := range c.value.Ranges {
				taken.AddRange(r)
			}
		}
	}
	var out []*lb.Pool
	for _, c := range pools {
		if c.refusal == nil || c.value == nil || !holds(c, assigned) {
			continue
		}
		others, err := taken.IPSet()
		if err != nil {
			return out // cannot happen: only valid ranges were added
		}
		var free []netipx.IPRange
		for _, r := range c.value.Ranges {
			var b netipx.IPSetBuilder
			b.AddRange(r)
			b.RemoveSet(others)
			if set, err := b.IPSet(); err == nil {
				free = append(free, set.Ranges()...)
			}
			taken.AddRange(r)
		}
		c.value.Ranges, c.value.Drain = free, true
		if len(free) == 0 || !holds(c, assigned) {
			continue
		}
		c.refusal.message += "; addresses that Services have from this pool stay, but no new ones are given"
		out = append(out, c.value)
	}
	slices.SortFunc(out, func(a, b *lb.Pool) int { return strings.Compare(a.Name, b.Name) })
	return out
}

// overlapping gives the index of a pool's range that shares an address with r, or -1.
func overlapping(p *lb.Pool, r netipx.IPRange) int {
	return slices.IndexFunc(p.Ranges, r.Overlaps)
}

func inRanges(p *lb.Pool, a netip.Addr) bool {
	return slices.ContainsFunc(p.Ranges, func(r netipx.IPRange) bool { return r.Contains(a) })
}
