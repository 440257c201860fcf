package l2

import (
	"cmp"
	"slices"

	"golang.org/x/net/bpf"
)

const (
	// maxSpans is how many spans of addresses a filter tells apart at most. Its two trees
	// then have about 1,500 of the 4,096 instructions that Linux permits.
	maxSpans = 256
	// blockSpans keeps the jumps within one block of a tree under 256 instructions, the
	// reach of a conditional jump.
	blockSpans = 64

	// accept is the number of bytes of a frame that are passed on.
	accept = 0xffff

	packetOtherHost = 3 // PACKET_OTHERHOST, linux/if_packet.h
)

// span is a range of keys with both ends.
type span struct{ lo, hi uint32 }

// spansOf covers the keys with at most limit spans, in order. As long as the limit allows,
// they hold nothing else; beyond that the smallest gaps are swallowed: the filter then
// also passes some frames for addresses that are not owned, and never too few.
func spansOf(keys []uint32, limit int) []span {
	keys = slices.Clone(keys)
	slices.Sort(keys)
	var s []span
	for _, k := range keys {
		if n := len(s); n > 0 && k-s[n-1].hi <= 1 {
			s[n-1].hi = k
			continue
		}
		s = append(s, span{k, k})
	}
	if len(s) <= limit {
		return s
	}
	gaps := make([]int, 0, len(s)-1) // gap i lies between spans i and i+1
	for i := range len(s) - 1 {
		gaps = append(gaps, i)
	}
	slices.SortFunc(gaps, func(a, b int) int {
		ga, gb := s[a+1].lo-s[a].hi, s[b+1].lo-s[b].hi
		switch {
		case ga < gb:
			return -1
		case ga > gb:
			return 1
		}
		return a - b
	})
	swallowed := make([]bool, len(s))
	for _, g := range gaps[:len(s)-limit] {
		swallowed[g] = true
	}
	merged := s[:1]
	for i := 1; i < len(s); i++ {
		if swallowed[i-1] {
			merged[len(merged)-1].hi = s[i].hi
		} else {
			merged = append(merged, s[i])
		}
	}
	return merged
}

// passes tells whether a filter made of the spans, which are in order, passes all keys.
func passes(s []span, keys []uint32) bool {
	for _, k := range keys {
		i, found := slices.BinarySearchFunc(s, k, func(s span, k uint32) int { return cmp.Compare(s.lo, k) })
		if !found && (i == 0 || s[i-1].hi < k) {
			return false
		}
	}
	return true
}

// notForUs drops what the card received for other hosts. Among that is all that came with
// a VLAN tag no interface of this host serves: the kernel hands it on without the tag.
// It stands apart because it reads the kernel's data about the frame, not the frame.
func notForUs() []bpf.Instruction {
	return []bpf.Instruction{
		bpf.LoadExtension{Num: bpf.ExtType},
		bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: packetOtherHost, SkipTrue: 1},
		bpf.RetConstant{Val: 0},
	}
}

// arpFilter passes ARP frames whose sender is in the spans, as those may be claims to an
// owned address, and ARP requests whose target is.
func arpFilter(s []span) []bpf.Instruction {
	p := []bpf.Instruction{
		bpf.LoadAbsolute{Off: 12, Size: 2},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: etherTypeARP, SkipTrue: 1},
		bpf.RetConstant{Val: 0},
		bpf.LoadAbsolute{Off: etherLen + 14, Size: 4},
	}
	p = append(p, spanTree(s, bpf.Jump{})...)
	p = append(p,
		bpf.LoadAbsolute{Off: etherLen + 6, Size: 2},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: arpRequest, SkipTrue: 1},
		bpf.RetConstant{Val: 0},
		bpf.LoadAbsolute{Off: etherLen + 24, Size: 4},
	)
	return append(p, spanTree(s, bpf.RetConstant{Val: 0})...)
}

// ndFilter passes Neighbor Solicitations and Advertisements whose target ends in the spans.
func ndFilter(s []span) []bpf.Instruction {
	p := []bpf.Instruction{
		bpf.LoadAbsolute{Off: 12, Size: 2},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: etherTypeIPv6, SkipTrue: 1},
		bpf.RetConstant{Val: 0},
		bpf.LoadAbsolute{Off: etherLen + 6, Size: 1},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: protoICMPv6, SkipTrue: 1},
		bpf.RetConstant{Val: 0},
		bpf.LoadAbsolute{Off: icmpStart, Size: 1},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: typeNS, SkipTrue: 2},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: typeNA, SkipTrue: 1},
		bpf.RetConstant{Val: 0},
		bpf.LoadAbsolute{Off: icmpStart + 20, Size: 4},
	}
	return append(p, spanTree(s, bpf.RetConstant{Val: 0})...)
}

// spanTree is a binary search for the loaded value: it returns accept from the program if
// a span holds it. Otherwise it executes no, or, if that is a jump, goes to whatever
// follows the tree.
func spanTree(s []span, no bpf.Instruction) []bpf.Instruction {
	p := splitTree(s, no)
	if _, ok := no.(bpf.Jump); ok {
		for i, in := range p {
			if in == no {
				p[i] = bpf.Jump{Skip: uint32(len(p) - i - 1)}
			}
		}
	}
	return p
}

// splitTree halves the spans until they fit into blocks. Between blocks unconditional
// jumps are used, which reach any distance.
func splitTree(s []span, no bpf.Instruction) []bpf.Instruction {
	if len(s) <= blockSpans {
		return block(s, no)
	}
	mid := len(s) / 2
	left, right := splitTree(s[:mid], no), splitTree(s[mid:], no)
	p := []bpf.Instruction{
		bpf.JumpIf{Cond: bpf.JumpGreaterOrEqual, Val: s[mid].lo, SkipFalse: 1},
		bpf.Jump{Skip: uint32(len(left))},
	}
	return append(append(p, left...), right...)
}

// block is a tree with conditional jumps alone, and one place each for yes and no.
func block(s []span, no bpf.Instruction) []bpf.Instruction {
	if len(s) == 0 {
		return []bpf.Instruction{no}
	}
	// Targets are first held apart as positions, where -1 is yes and -2 is no.
	const yes, nope = -1, -2
	type jump struct {
		cond bpf.JumpTest
		val  uint32
		t, f int
	}
	var js []jump
	var grow func(s []span)
	grow = func(s []span) {
		at := len(js)
		switch {
		case len(s) == 1 && s[0].lo == s[0].hi:
			js = append(js, jump{bpf.JumpEqual, s[0].lo, yes, nope})
		case len(s) == 1:
			js = append(js, jump{bpf.JumpGreaterOrEqual, s[0].lo, at + 1, nope}, jump{bpf.JumpGreaterThan, s[0].hi, nope, yes})
		default:
			mid := len(s) / 2
			js = append(js, jump{bpf.JumpGreaterOrEqual, s[mid].lo, 0, at + 1})
			grow(s[:mid])
			js[at].t = len(js)
			grow(s[mid:])
		}
	}
	grow(s)
	skip := func(from, to int) uint8 {
		switch to {
		case yes:
			to = len(js)
		case nope:
			to = len(js) + 1
		}
		return uint8(to - from - 1)
	}
	p := make([]bpf.Instruction, 0, len(js)+2)
	for i, j := range js {
		p = append(p, bpf.JumpIf{Cond: j.cond, Val: j.val, SkipTrue: skip(i, j.t), SkipFalse: skip(i, j.f)})
	}
	return append(p, bpf.RetConstant{Val: accept}, no)
}
