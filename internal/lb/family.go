package lb

import "net/netip"

// Family is an IP address family. The zero value is invalid.
type Family uint8

// The two families.
const (
	IPv4 Family = iota + 1
	IPv6
)

// FamilyOf tells the family of an address; 4-in-6 addresses count as IPv4.
func FamilyOf(a netip.Addr) Family {
	if a.Unmap().Is4() {
		return IPv4
	}
	return IPv6
}

// String gives "IPv4" or "IPv6", as in Service.spec.ipFamilies.
func (f Family) String() string {
	switch f {
	case IPv4:
		return "IPv4"
	case IPv6:
		return "IPv6"
	}
	return "unknown family"
}

// Other gives the other family.
func (f Family) Other() Family {
	if f == IPv4 {
		return IPv6
	}
	return IPv4
}
