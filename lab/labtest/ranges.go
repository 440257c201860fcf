package labtest

import (
	"fmt"
	"net/netip"

	"go4.org/netipx"

	"github.com/lintel-lb/lintel/lab"
)

const (
	// rangeSize is the number of addresses of a test's ranges on the nodes'
	// segment.
	rangeSize = 8

	// slotCount is how many tests may run at once. The last range of the
	// network is left out: its last address ends in 255.
	slotCount = 15
)

// Range is a contiguous range of addresses of one family.
type Range struct {
	First, Last netip.Addr
}

// String returns the range as an address pool writes it: "first-last".
func (r Range) String() string { return r.First.String() + "-" + r.Last.String() }

// At returns the address i places after the first. It panics if that is
// outside of the range: the test is wrong then.
func (r Range) At(i int) netip.Addr {
	a := plus(r.First, i)
	if i < 0 || !r.Contains(a) {
		panic(fmt.Sprintf("labtest: address %d of the range %s", i, r))
	}
	return a
}

// Contains reports whether a is in the range.
func (r Range) Contains(a netip.Addr) bool {
	return netipx.IPRangeFrom(r.First, r.Last).Contains(a)
}

// ranges are the addresses that belong to one slot.
type ranges struct {
	pool4, pool6     Range
	routed4, routed6 netip.Prefix
}

// rangesOf divides the lab's networks for pools among the slots. Slots count
// from 0.
func rangesOf(slot int) ranges {
	part := func(network string) Range {
		first := plus(netip.MustParsePrefix(network).Addr(), slot*rangeSize)
		return Range{First: first, Last: plus(first, rangeSize-1)}
	}
	r4 := netip.MustParsePrefix(lab.RoutedPoolNet4).Addr().As4()
	r6 := netip.MustParsePrefix(lab.RoutedPoolNet6).Addr().As16()
	// A /24 and a /112 each; the lab's own network is left out by beginning
	// with 1.
	r4[2], r6[13] = byte(slot+1), byte(slot+1)
	return ranges{
		pool4: part(lab.PoolNet4), pool6: part(lab.PoolNet6),
		routed4: netip.PrefixFrom(netip.AddrFrom4(r4), 24),
		routed6: netip.PrefixFrom(netip.AddrFrom16(r6), 112),
	}
}

// plus returns the address n places after a; n is small.
func plus(a netip.Addr, n int) netip.Addr {
	for range n {
		a = a.Next()
	}
	return a
}
