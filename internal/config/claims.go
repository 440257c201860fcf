package config

import (
	"net/netip"
	"slices"

	"go4.org/netipx"
)

// claim is an entry of a pool's addresses.
type claim struct {
	netipx.IPRange
	pool  string
	entry string
}

// claims are disjoint and sorted by address.
type claims []claim

// find gives a claim that shares an address with a range.
func (cs claims) find(r netipx.IPRange) (claim, bool) {
	i := cs.position(r)
	if i < len(cs) && cs[i].Overlaps(r) {
		return cs[i], true
	}
	return claim{}, false
}

// add puts in a claim that overlaps with none.
func (cs claims) add(c claim) claims {
	return slices.Insert(cs, cs.position(c.IPRange), c)
}

// position is the index of the first claim that does not end before the range begins.
func (cs claims) position(r netipx.IPRange) int {
	i, _ := slices.BinarySearchFunc(cs, r.From(), func(c claim, first netip.Addr) int { return c.To().Compare(first) })
	return i
}
