package config

import (
	"net/netip"
	"slices"
	"strings"

	"go4.org/netipx"

	"github.com/lintel-lb/lintel/internal/lb"
)

// settleOverlaps refuses pools until no address is in two pools. A pool whose addresses
// are assigned stays, then the older one, then the first by name. Of two pools with assigned
// addresses, one that reaches for those of the other goes last: its edit is the mistake.
func settleOverlaps(pools []*poolCandidate, holders, intruders map[string]bool) {
	rank := func(c *poolCandidate) int {
		switch name := c.ref.Name; {
		case !holders[name]:
			return 2
		case intruders[name]:
			return 1
		}
		return 0
	}
	order := slices.Clone(pools)
	slices.SortStableFunc(order, func(a, b *poolCandidate) int { return rank(a) - rank(b) })
	var taken claims
	for _, c := range order {
		if c.refusal != nil {
			continue
		}
		if c.refusal = overlapRefusal(c, taken, holders, intruders); c.refusal != nil {
			continue
		}
		for i, r := range c.value.Ranges {
			taken = taken.add(claim{IPRange: r, pool: c.ref.Name, entry: c.object.Spec.Addresses[i]})
		}
	}
}

func overlapRefusal(c *poolCandidate, taken claims, holders, intruders map[string]bool) *refusal {
	for i, rng := range c.value.Ranges {
		other, overlaps := taken.find(rng)
		if !overlaps {
			continue
		}
		why := "was there first"
		if holders[other.pool] && (!holders[c.ref.Name] || intruders[c.ref.Name] && !intruders[other.pool]) {
			why = "has assigned addresses"
		}
		return refuse(ReasonOverlappingPool,
			"CIDR %q in pool %q overlaps with already defined CIDR %q: pool %q %s; remove or narrow one of the two entries",
			c.object.Spec.Addresses[i], c.ref.Name, other.entry, other.pool, why)
	}
	return nil
}

// holders are the names of the pools of which Services have addresses.
func holders(pools map[string]*poolCandidate, assigned map[netip.Addr]string) map[string]bool {
	out := map[string]bool{}
	for a, name := range assigned {
		if c, known := pools[name]; known {
			if inRanges(c.value, a) {
				out[name] = true
			}
			continue
		}
		for _, c := range pools {
			if inRanges(c.value, a) {
				out[c.ref.Name] = true
			}
		}
	}
	return out
}

// intruders are the names of the pools that contain addresses which were assigned from another
// pool that has them still.
func intruders(pools map[string]*poolCandidate, assigned map[netip.Addr]string) map[string]bool {
	out := map[string]bool{}
	suspects := overlapping(pools)
	for a, name := range assigned {
		if c, suspect := suspects[name]; !suspect || !inRanges(c.value, a) {
			continue
		}
		for other, c := range suspects {
			if other != name && inRanges(c.value, a) {
				out[other] = true
			}
		}
	}
	return out
}

// overlapping gives the pools that have an address in common with another one.
func overlapping(pools map[string]*poolCandidate) map[string]*poolCandidate {
	var all claims
	for name, c := range pools {
		for _, r := range c.value.Ranges {
			all = append(all, claim{IPRange: r, pool: name})
		}
	}
	slices.SortFunc(all, func(x, y claim) int { return x.From().Compare(y.From()) })
	out := map[string]*poolCandidate{}
	for i, last := 1, 0; i < len(all); i++ {
		if all[i].Overlaps(all[last].IPRange) && all[i].pool != all[last].pool {
			out[all[i].pool], out[all[last].pool] = pools[all[i].pool], pools[all[last].pool]
		}
		if all[last].To().Less(all[i].To()) {
			last = i
		}
	}
	return out
}

// keepUnread gives a pool with an entry that cannot be read the addresses that were assigned
// from it and that no other entry has: the entry may well be the one that they came from.
func keepUnread(pools []*poolCandidate, assigned map[netip.Addr]string) {
	unread := map[string]*netipx.IPSetBuilder{}
	for _, c := range pools {
		if c.inspected && c.refusal != nil && slices.ContainsFunc(c.object.Spec.Addresses, unreadable) {
			unread[c.ref.Name] = &netipx.IPSetBuilder{}
		}
	}
	for a, name := range assigned {
		if b := unread[name]; b != nil {
			b.Add(a)
		}
	}
	for _, c := range pools {
		b := unread[c.ref.Name]
		if b == nil || !c.inspected {
			continue
		}
		for _, r := range c.value.Ranges {
			b.RemoveRange(r)
		}
		if set, err := b.IPSet(); err == nil {
			c.value.Ranges = append(c.value.Ranges, set.Ranges()...)
		}
	}
}

func unreadable(entry string) bool {
	_, err := ParseRange(entry)
	return err != nil
}

// holdOver keeps a refused pool in effect for the addresses that Services have from it,
// so that a mistake in an edit takes no address away: the ranges that could be read, less
// those of other pools, and without new assignments.
func holdOver(pools []*poolCandidate, assigned map[netip.Addr]string, holding map[string]bool) []*lb.Pool {
	known := byName(pools)
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
		if c.refusal == nil || !c.inspected || !holding[c.ref.Name] {
			continue
		}
		others, err := taken.IPSet()
		if err != nil {
			return out // cannot happen: only valid ranges were added
		}
		free := disjoint(c.value.Ranges, others)
		c.value.Ranges, c.value.Drain = free, true
		if !holders(known, assigned)[c.ref.Name] {
			continue // another pool has what Services got from this one
		}
		c.refusal.message += "; addresses that Services have from this pool stay, but no new ones are given"
		out = append(out, c.value)
		for _, r := range free {
			taken.AddRange(r)
		}
	}
	slices.SortFunc(out, func(a, b *lb.Pool) int { return strings.Compare(a.Name, b.Name) })
	return out
}

// disjoint gives the ranges, in their order, without what others have and without what an
// earlier one of them has: a pool may be refused because its entries overlap one another.
func disjoint(ranges []netipx.IPRange, others *netipx.IPSet) []netipx.IPRange {
	var out []netipx.IPRange
	var taken netipx.IPSetBuilder
	taken.AddSet(others)
	for _, r := range ranges {
		var b netipx.IPSetBuilder
		b.AddRange(r)
		before, err := taken.IPSet()
		if err != nil {
			return out // cannot happen: only valid ranges were added
		}
		b.RemoveSet(before)
		if set, err := b.IPSet(); err == nil {
			out = append(out, set.Ranges()...)
		}
		taken.AddRange(r)
	}
	return out
}

func inRanges(p *lb.Pool, a netip.Addr) bool {
	return slices.ContainsFunc(p.Ranges, func(r netipx.IPRange) bool { return r.Contains(a) })
}
