package ipam

import (
	"net/netip"
	"testing"

	"go4.org/netipx"
	"pgregory.net/rapid"

	"github.com/lintel-lb/lintel/internal/lb"
)

// TestBlocks compares a range with a plain set of what is taken. The ranges lie where
// arithmetic on addresses can go wrong: across .255 and .0, and at the ends of the space.
func TestBlocks(t *testing.T) {
	for _, r := range []string{
		"1.0.0.250-1.0.1.5", "1.0.0.255-1.0.1.0", "0.0.0.0-0.0.0.9", "255.255.255.250-255.255.255.255", "1.0.0.0-1.0.0.0",
		"::-::9", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffa-ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
	} {
		for _, avoid := range []bool{false, true} {
			rapid.Check(t, func(t *rapid.T) {
				b := newBlocks(netipx.MustParseIPRange(r), avoid)
				var all []netip.Addr
				for a := b.r.From(); b.r.Contains(a); a = a.Next() {
					if !avoid || !lb.Buggy(a) {
						all = append(all, a)
					}
				}
				taken := map[netip.Addr]bool{}
				for range 40 {
					if len(all) > 0 {
						a := rapid.SampledFrom(all).Draw(t, "address")
						if taken[a] = rapid.Bool().Draw(t, "take"); taken[a] {
							b.add(a)
						} else {
							b.remove(a)
						}
					}
					var want netip.Addr
					runs, free := 0, true
					for _, a := range all {
						if !taken[a] && !want.IsValid() {
							want = a
						}
						if taken[a] && free {
							runs++
						}
						free = !taken[a]
					}
					if got, ok := b.free(); ok != want.IsValid() || (ok && got != want) {
						t.Fatalf("first free is %v (%v), want %v", got, ok, want)
					}
					if b.tree.Len() != runs {
						t.Fatalf("%d runs are kept, want %d", b.tree.Len(), runs)
					}
				}
			})
		}
	}
}

func TestBitset(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var x, y bitset
		in := [2]map[int]bool{{}, {}}
		for range 30 {
			i, side, put := rapid.IntRange(0, 200).Draw(t, "i"), rapid.IntRange(0, 1).Draw(t, "set"), rapid.Bool().Draw(t, "put")
			[]*bitset{&x, &y}[side].put(i, put)
			in[side][i] = put
		}
		from := rapid.IntRange(0, 210).Draw(t, "from")
		one, both := -1, -1
		for i := 300; i >= from; i-- {
			if in[0][i] {
				one = i
			}
			if in[0][i] && in[1][i] {
				both = i
			}
		}
		if got := x.next(from); got != one {
			t.Errorf("next is %d, want %d", got, one)
		}
		if got := nextInAll(from, x, y); got != both {
			t.Errorf("next in both is %d, want %d", got, both)
		}
	})
}
