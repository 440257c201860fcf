package config

import (
	"fmt"
	"net/netip"
	"strings"

	"go4.org/netipx"

	"github.com/lintel-lb/lintel/internal/lb"
)

// checkLengths applies the rules on aggregation lengths that need no pool. Lengths below
// 1 are found against the pools.
func checkLengths(a *lb.BGPAdvertisement) *refusal {
	switch {
	case len(a.Services) > 0 && a.AggregationLength != 32:
		return refuse(ReasonSelectorsWithAggregation,
			"serviceSelectors and aggregationLength are mutually exclusive, both cannot be set in %s: leave out aggregationLength", a.Name)
	case len(a.Services) > 0 && a.AggregationLengthV6 != 128:
		return refuse(ReasonSelectorsWithAggregation,
			"serviceSelectors and aggregationLengthV6 are mutually exclusive, both cannot be set in %s: leave out aggregationLengthV6", a.Name)
	case a.AggregationLength > 32 || a.AggregationLength < 1:
		return refuse(ReasonInvalidAggregationLength, "invalid aggregation length %d for IPv4: must be in 1-32 range", a.AggregationLength)
	case a.AggregationLengthV6 > 128:
		return refuse(ReasonInvalidAggregationLength, "invalid aggregation length %d for IPv6: must be in 1-128 range", a.AggregationLengthV6)
	}
	return nil
}

// aggregatedPools leaves out the pools that are smaller than the prefixes to announce,
// so that a small pool does not end the announcement of others. Where none is left, the
// advertisement is refused.
func aggregatedPools(c *bgpCandidate, a *lb.BGPAdvertisement, pools []pool) ([]pool, *refusal) {
	var fit []pool
	var first *refusal
	var warnings []string
	for _, p := range pools {
		r, outside := checkAggregation(a, p)
		if r == nil {
			fit = append(fit, p)
			warnings = append(warnings, outside...)
			continue
		}
		if first == nil {
			first = r
		}
		warnings = append(warnings, "pool "+p.Name+" is not announced: "+r.message)
	}
	if len(fit) == 0 && first != nil {
		return nil, first
	}
	for _, w := range warnings {
		c.warn("%s", w)
	}
	return fit, nil
}

// checkAggregation refuses a pool with an entry whose largest block is smaller than a
// prefix of the announced length. Entries that do not fill all prefixes come back as
// warnings. A refused pool that is held over may have lost parts of its entries, which is no
// reason to withdraw what is announced of it.
func checkAggregation(a *lb.BGPAdvertisement, p pool) (r *refusal, outside []string) {
	if p.entries == nil {
		return nil, nil
	}
	for i, rng := range p.Ranges {
		bits := a.AggregationLength
		if lb.FamilyOf(rng.From()) == lb.IPv6 {
			bits = a.AggregationLengthV6
		}
		entry := strings.TrimSpace(p.entries[i])
		if shortest := shortestPrefix(rng); bits < shortest {
			return refuse(ReasonInvalidAggregationLength,
				"invalid aggregation length %d: prefix %d in this pool is more specific than the aggregation length for addresses %s: use %d or more",
				bits, shortest, entry, shortest), nil
		}
		if foreign := foreignPrefixes(rng, bits); len(foreign) > 0 {
			outside = append(outside, fmt.Sprintf(
				"aggregation length %d announces %s, which has addresses outside of %s in pool %s: begin and end the range on a boundary of /%d, or use a greater length",
				bits, strings.Join(foreign, " and "), entry, p.Name, bits))
		}
	}
	return nil, outside
}

// shortestPrefix is the length of the largest block in a range.
func shortestPrefix(r netipx.IPRange) int {
	shortest := r.From().BitLen()
	for _, p := range r.Prefixes() {
		shortest = min(shortest, p.Bits())
	}
	return shortest
}

// foreignPrefixes gives the prefixes of a length that a range begins or ends within.
func foreignPrefixes(r netipx.IPRange, bits int) []string {
	var out []string
	first := netip.PrefixFrom(r.From(), bits).Masked()
	last := netip.PrefixFrom(r.To(), bits).Masked()
	if netipx.RangeOfPrefix(first).From() != r.From() || first == last && netipx.RangeOfPrefix(first).To() != r.To() {
		out = append(out, first.String())
	}
	if first != last && netipx.RangeOfPrefix(last).To() != r.To() {
		out = append(out, last.String())
	}
	return out
}
