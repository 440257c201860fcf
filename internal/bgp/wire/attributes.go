package wire

import (
	"encoding/binary"
	"math"
	"net/netip"
)

// attribute type codes (IANA "BGP Path Attributes").
const (
	attrOrigin      = 1
	attrASPath      = 2
	attrNextHop     = 3
	attrMED         = 4
	attrLocalPref   = 5
	attrCommunities = 8
	attrReach       = 14
	attrUnreach     = 15
	attrExtended    = 16
	attrAS4Path     = 17
	attrLarge       = 32
)

const (
	flagOptional   = 0x80
	flagTransitive = 0x40
	flagLong       = 0x10

	originIGP  = 0
	asSequence = 2
	// maxSegment is the number of AS numbers in one path segment.
	maxSegment = 255
)

// PathAttributes are those of routes that this speaker originates: ORIGIN is always IGP.
type PathAttributes struct {
	// ASPath is one AS_SEQUENCE; empty towards an internal peer.
	ASPath []uint32
	// NextHop is where the routes point to. An IPv6 next hop of IPv4 routes needs RFC 8950.
	NextHop netip.Addr
	// MED and LocalPref are left out where nil.
	MED, LocalPref *uint32
	// Communities are those of RFC 1997, Large of RFC 8092, Extended of RFC 4360.
	Communities []uint32
	Large       [][3]uint32
	Extended    []uint64
	// FourOctetAS tells that both sides speak RFC 6793. Without it AS_PATH has two-octet
	// numbers, and AS4_PATH is added where that loses something.
	FourOctetAS bool
}

// LinkBandwidth makes the extended community of draft-ietf-idr-link-bandwidth, which is
// not transitive. The rate is in octets per second.
func LinkBandwidth(asn uint32, rate float32) uint64 {
	as := uint64(ASTrans)
	if asn <= 0xffff {
		as = uint64(asn)
	}
	return 0x4004<<48 | as<<32 | uint64(math.Float32bits(rate))
}

// append appends all attributes but the next hop's.
func (p *PathAttributes) append(dst []byte) []byte {
	dst = append(dst, flagTransitive, attrOrigin, 1, originIGP)
	dst = p.appendASPath(dst, attrASPath, p.FourOctetAS)
	return dst
}

// appendAfterNextHop appends the attributes whose codes are larger than NEXT_HOP's, in
// the order of their codes, as RFC 4271, section 5, recommends.
func (p *PathAttributes) appendAfterNextHop(dst []byte) []byte {
	if p.MED != nil {
		dst = append(dst, flagOptional, attrMED, 4)
		dst = binary.BigEndian.AppendUint32(dst, *p.MED)
	}
	if p.LocalPref != nil {
		dst = append(dst, flagTransitive, attrLocalPref, 4)
		dst = binary.BigEndian.AppendUint32(dst, *p.LocalPref)
	}
	if n := len(p.Communities); n > 0 {
		dst = appendAttrHeader(dst, flagOptional|flagTransitive, attrCommunities, 4*n)
		for _, c := range p.Communities {
			dst = binary.BigEndian.AppendUint32(dst, c)
		}
	}
	if n := len(p.Extended); n > 0 {
		dst = appendAttrHeader(dst, flagOptional|flagTransitive, attrExtended, 8*n)
		for _, c := range p.Extended {
			dst = binary.BigEndian.AppendUint64(dst, c)
		}
	}
	if !p.FourOctetAS && p.hasLargeAS() {
		dst = p.appendASPath(dst, attrAS4Path, true)
	}
	if n := len(p.Large); n > 0 {
		dst = appendAttrHeader(dst, flagOptional|flagTransitive, attrLarge, 12*n)
		for _, c := range p.Large {
			for _, part := range c {
				dst = binary.BigEndian.AppendUint32(dst, part)
			}
		}
	}
	return dst
}

func (p *PathAttributes) appendASPath(dst []byte, code byte, four bool) []byte {
	flags, size := byte(flagTransitive), 2
	if four {
		size = 4
	}
	if code == attrAS4Path {
		flags |= flagOptional
	}
	n := 0
	for rest := len(p.ASPath); rest > 0; rest -= maxSegment {
		n += 2 + size*min(rest, maxSegment)
	}
	dst = appendAttrHeader(dst, flags, code, n)
	for rest := p.ASPath; len(rest) > 0; {
		seg := rest[:min(len(rest), maxSegment)]
		rest = rest[len(seg):]
		dst = append(dst, asSequence, byte(len(seg)))
		for _, as := range seg {
			switch {
			case four:
				dst = binary.BigEndian.AppendUint32(dst, as)
			case as > 0xffff:
				dst = binary.BigEndian.AppendUint16(dst, ASTrans)
			default:
				dst = binary.BigEndian.AppendUint16(dst, uint16(as))
			}
		}
	}
	return dst
}

func (p *PathAttributes) hasLargeAS() bool {
	for _, as := range p.ASPath {
		if as > 0xffff {
			return true
		}
	}
	return false
}

func appendAttrHeader(dst []byte, flags, code byte, length int) []byte {
	if length > 0xff {
		dst = append(dst, flags|flagLong, code)
		return binary.BigEndian.AppendUint16(dst, uint16(length))
	}
	return append(dst, flags, code, byte(length))
}
