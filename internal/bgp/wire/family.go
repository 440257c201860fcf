package wire

import (
	"encoding/binary"
	"fmt"
	"net/netip"
)

// Family is an address family and a subsequent one (RFC 4760): the AFI in the upper, the
// SAFI in the lower 16 bits.
type Family uint32

// The families of routes that can be announced.
const (
	IPv4Unicast Family = 1<<16 | 1
	IPv6Unicast Family = 2<<16 | 1
)

// NewFamily joins the numbers of a family.
func NewFamily(afi uint16, safi uint8) Family { return Family(afi)<<16 | Family(safi) }

// FamilyOf returns the unicast family of an address. IPv4-mapped addresses are IPv6.
func FamilyOf(a netip.Addr) Family {
	if a.Is4() {
		return IPv4Unicast
	}
	return IPv6Unicast
}

// AFI returns the address family identifier.
func (f Family) AFI() uint16 { return uint16(f >> 16) }

// SAFI returns the subsequent address family identifier.
func (f Family) SAFI() uint8 { return uint8(f) }

// String gives the customary name, as "ipv4-unicast".
func (f Family) String() string {
	switch f {
	case IPv4Unicast:
		return "ipv4-unicast"
	case IPv6Unicast:
		return "ipv6-unicast"
	}
	return fmt.Sprintf("afi %d safi %d", f.AFI(), f.SAFI())
}

func appendFamily(dst []byte, f Family) []byte {
	return append(binary.BigEndian.AppendUint16(dst, f.AFI()), f.SAFI())
}
