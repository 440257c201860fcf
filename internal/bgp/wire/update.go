package wire

import (
	"encoding/binary"
	"errors"
	"net/netip"
)

// ErrTooLarge indicates that the attributes leave no room for a prefix in a message.
var ErrTooLarge = errors.New("bgp: path attributes do not fit in a message")

// AppendAnnouncement appends one UPDATE that announces as many of the prefixes as fit,
// from the first on, and returns how many these are. All must be of the family. IPv4
// routes with an IPv4 next hop use the fields of RFC 4271, all others MP_REACH_NLRI
// (RFC 4760, RFC 8950). On ErrTooLarge dst is returned as it was.
func AppendAnnouncement(dst []byte, f Family, p *PathAttributes, prefixes []netip.Prefix) ([]byte, int, error) {
	start := len(dst)
	var n int
	b := append(begin(dst, TypeUpdate), 0, 0, 0, 0) // no withdrawn routes, length of attributes
	attrs := len(b)
	if f == IPv4Unicast && p.NextHop.Is4() {
		b = p.append(b)
		b = append(b, flagTransitive, attrNextHop, 4)
		b = append(b, p.NextHop.AsSlice()...)
		b = p.appendAfterNextHop(b)
		binary.BigEndian.PutUint16(b[attrs-2:], uint16(len(b)-attrs))
		b, n = appendPrefixes(b, prefixes, start+MaxMessageLen)
	} else {
		// MP_REACH_NLRI comes first (RFC 7606, section 5.1), so what follows it is
		// measured before the prefixes are packed.
		tail := p.appendAfterNextHop(p.append(nil))
		room := start + MaxMessageLen - len(tail)
		b = append(b, flagOptional|flagLong, attrReach, 0, 0)
		value := len(b)
		b = appendFamily(b, f)
		hop := p.NextHop.WithZone("").AsSlice()
		b = append(append(b, byte(len(hop))), hop...)
		b = append(b, 0) // reserved
		b, n = appendPrefixes(b, prefixes, room)
		binary.BigEndian.PutUint16(b[value-2:], uint16(len(b)-value))
		b = append(b, tail...)
		binary.BigEndian.PutUint16(b[attrs-2:], uint16(len(b)-attrs))
	}
	if n == 0 {
		return dst, 0, ErrTooLarge
	}
	return finish(b, start), n, nil
}

// AppendWithdrawal appends one UPDATE that withdraws as many of the prefixes as fit, from
// the first on, and returns how many these are. All must be of the family.
func AppendWithdrawal(dst []byte, f Family, prefixes []netip.Prefix) ([]byte, int) {
	start := len(dst)
	var n int
	b := append(begin(dst, TypeUpdate), 0, 0)
	first := len(b)
	if f == IPv4Unicast {
		b, n = appendPrefixes(b, prefixes, start+MaxMessageLen-2)
		binary.BigEndian.PutUint16(b[first-2:], uint16(len(b)-first))
		b = append(b, 0, 0) // no attributes
	} else {
		b = append(b, 0, 0, flagOptional|flagLong, attrUnreach, 0, 0)
		value := len(b)
		b = appendFamily(b, f)
		b, n = appendPrefixes(b, prefixes, start+MaxMessageLen)
		binary.BigEndian.PutUint16(b[value-2:], uint16(len(b)-value))
		binary.BigEndian.PutUint16(b[first:], uint16(len(b)-first-2))
	}
	return finish(b, start), n
}

// AppendEndOfRIB appends the marker that all routes of a family were sent (RFC 4724,
// section 2).
func AppendEndOfRIB(dst []byte, f Family) []byte {
	b, _ := AppendWithdrawal(dst, f, nil)
	return b
}

// appendPrefixes appends prefixes while the slice stays within limit octets, and returns
// how many it appended.
func appendPrefixes(b []byte, prefixes []netip.Prefix, limit int) ([]byte, int) {
	for i, p := range prefixes {
		octets := (p.Bits() + 7) / 8
		if len(b)+1+octets > limit {
			return b, i
		}
		b = append(b, byte(p.Bits()))
		if p.Addr().Is4() {
			a := p.Addr().As4()
			b = append(b, a[:octets]...)
		} else {
			a := p.Addr().As16()
			b = append(b, a[:octets]...)
		}
	}
	return b, len(prefixes)
}
