package ipam

import "math/bits"

// bitset is a set of small numbers. Its zero value is empty.
type bitset []uint64

func (b *bitset) put(i int, in bool) {
	for len(*b) <= i/64 {
		if !in {
			return
		}
		*b = append(*b, 0)
	}
	if in {
		(*b)[i/64] |= 1 << (i % 64)
	} else {
		(*b)[i/64] &^= 1 << (i % 64)
	}
}

func (b bitset) empty() bool { return b.next(0) < 0 }

// next gives the lowest member that is at least i, or -1.
func (b bitset) next(i int) int { return nextInAll(i, b) }

// nextInAll gives the lowest number of at least i that all sets contain, or -1.
func nextInAll(i int, sets ...bitset) int {
	for w := i / 64; ; w++ {
		word := ^uint64(0)
		for _, s := range sets {
			if w >= len(s) {
				return -1
			}
			word &= s[w]
		}
		if w == i/64 {
			word &= ^uint64(0) << (i % 64)
		}
		if word != 0 {
			return w*64 + bits.TrailingZeros64(word)
		}
	}
}
