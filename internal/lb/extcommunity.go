package lb

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

// Types of extended communities by what their administrator is (RFC 4360 section 3, RFC 5668
// section 2), and the sub-types that have names (RFC 4360 sections 4 and 5).
const (
	extTwoOctetAS  = 0x00
	extIPv4Address = 0x01
	extFourOctetAS = 0x02

	extRouteTarget = 0x02
	extRouteOrigin = 0x03
)

// extNames are the words for sub-types in the text of an extended community.
func extName(subtype byte) (name string, ok bool) {
	switch subtype {
	case extRouteTarget:
		return "rt", true
	case extRouteOrigin:
		return "soo", true
	}
	return "", false
}

// isExtended tells whether a text is meant as an extended community.
func isExtended(s string) bool {
	kind, _, found := strings.Cut(s, ":")
	return found && (kind == "rt" || kind == "soo" || kind == "extended")
}

// parseExtended reads "rt:ADMIN:NUMBER" and "soo:ADMIN:NUMBER", where the administrator is an
// AS number or an IPv4 address, and "extended:0x" with 16 hexadecimal digits.
func parseExtended(s string) (Community, error) {
	kind, rest, _ := strings.Cut(s, ":")
	if kind == "extended" {
		digits, found := strings.CutPrefix(rest, "0x")
		v, err := strconv.ParseUint(digits, 16, 64)
		if !found || len(digits) != 16 || err != nil || v == 0 {
			return Community{}, fmt.Errorf("invalid extended community %q: after extended: there must be 0x and 16 hexadecimal digits that are not all zero", s)
		}
		return Community{Extended: v}, nil
	}
	subtype := byte(extRouteTarget)
	if kind == "soo" {
		subtype = extRouteOrigin
	}
	admin, number, found := strings.Cut(rest, ":")
	if !found {
		return Community{}, fmt.Errorf("invalid extended community %q: want %s:ASN:NUMBER or %s:IPV4:NUMBER", s, kind, kind)
	}
	b := [8]byte{1: subtype}
	bits := 16
	asn, err := strconv.ParseUint(admin, 10, 32)
	ip, ipErr := netip.ParseAddr(admin)
	switch {
	case err == nil && asn <= 0xffff:
		b[0], bits = extTwoOctetAS, 32
		binary.BigEndian.PutUint16(b[2:], uint16(asn))
	case err == nil:
		b[0] = extFourOctetAS
		binary.BigEndian.PutUint32(b[2:], uint32(asn))
	case ipErr == nil && ip.Is4():
		b[0] = extIPv4Address
		a := ip.As4()
		copy(b[2:], a[:])
	default:
		return Community{}, fmt.Errorf("invalid extended community %q: %q is neither an AS number nor an IPv4 address", s, admin)
	}
	n, err := strconv.ParseUint(number, 10, bits)
	if err != nil {
		return Community{}, fmt.Errorf("invalid extended community %q: the last part must be a number from 0 to %d", s, uint64(1)<<bits-1)
	}
	if bits == 32 {
		binary.BigEndian.PutUint32(b[4:], uint32(n))
	} else {
		binary.BigEndian.PutUint16(b[6:], uint16(n))
	}
	return Community{Extended: binary.BigEndian.Uint64(b[:])}, nil
}

// extendedText gives the named form where there is one that reads back as the same value.
func extendedText(v uint64) string {
	var b [8]byte
	binary.BigEndian.PutUint64(b[:], v)
	if name, ok := extName(b[1]); ok {
		switch as := binary.BigEndian.Uint32(b[2:]); {
		case b[0] == extTwoOctetAS:
			return fmt.Sprintf("%s:%d:%d", name, binary.BigEndian.Uint16(b[2:]), binary.BigEndian.Uint32(b[4:]))
		case b[0] == extFourOctetAS && as > 0xffff:
			return fmt.Sprintf("%s:%d:%d", name, as, binary.BigEndian.Uint16(b[6:]))
		case b[0] == extIPv4Address:
			return fmt.Sprintf("%s:%v:%d", name, netip.AddrFrom4([4]byte(b[2:6])), binary.BigEndian.Uint16(b[6:]))
		}
	}
	return fmt.Sprintf("extended:0x%016x", v)
}
