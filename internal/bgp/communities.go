package bgp

import (
	"cmp"
	"encoding/binary"
	"slices"
)

// GracefulShutdownCommunity is GRACEFUL_SHUTDOWN, 65535:0 (RFC 8326).
const GracefulShutdownCommunity = 0xffff0000

// Communities is a set of communities of all kinds. It is comparable with ==, so equal
// sets are equal however they were made. The zero value is the empty set.
type Communities struct {
	// Sorted, without duplicates, in network byte order.
	standard, large, extended string
}

// NewCommunities makes a set of communities (RFC 1997), large (RFC 8092) and extended
// ones (RFC 4360), each in any order.
func NewCommunities(standard []uint32, large [][3]uint32, extended []uint64) Communities {
	var c Communities
	var b []byte
	for _, v := range sortedSet(standard, cmp.Compare[uint32]) {
		b = binary.BigEndian.AppendUint32(b, v)
	}
	c.standard, b = string(b), b[:0]
	for _, v := range sortedSet(large, func(a, b [3]uint32) int { return slices.Compare(a[:], b[:]) }) {
		for _, part := range v {
			b = binary.BigEndian.AppendUint32(b, part)
		}
	}
	c.large, b = string(b), b[:0]
	for _, v := range sortedSet(extended, cmp.Compare[uint64]) {
		b = binary.BigEndian.AppendUint64(b, v)
	}
	c.extended = string(b)
	return c
}

func sortedSet[T comparable](in []T, compare func(a, b T) int) []T {
	out := slices.Clone(in)
	slices.SortFunc(out, compare)
	return slices.Compact(out)
}

// Standard lists the communities of RFC 1997.
func (c Communities) Standard() []uint32 {
	return chunks(c.standard, 4, func(b []byte) uint32 { return binary.BigEndian.Uint32(b) })
}

// Large lists the communities of RFC 8092.
func (c Communities) Large() [][3]uint32 {
	return chunks(c.large, 12, func(b []byte) [3]uint32 {
		return [3]uint32{binary.BigEndian.Uint32(b), binary.BigEndian.Uint32(b[4:]), binary.BigEndian.Uint32(b[8:])}
	})
}

// Extended lists the communities of RFC 4360.
func (c Communities) Extended() []uint64 {
	return chunks(c.extended, 8, func(b []byte) uint64 { return binary.BigEndian.Uint64(b) })
}

func chunks[T any](s string, size int, read func([]byte) T) []T {
	var out []T
	for b := []byte(s); len(b) > 0; b = b[size:] {
		out = append(out, read(b))
	}
	return out
}

// octets is the room that the set takes in a message, attribute headers left out.
func (c Communities) octets() int { return len(c.standard) + len(c.large) + len(c.extended) }
