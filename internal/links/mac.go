package links

import (
	"fmt"
	"net"
)

// MAC is an Ethernet hardware address. The zero value means that a link has none, or
// one of another size.
type MAC [6]byte

// Broadcast is the Ethernet broadcast address.
func Broadcast() MAC { return MAC{0xff, 0xff, 0xff, 0xff, 0xff, 0xff} }

// MACFrom converts a hardware address. An address that has not six bytes gives zero.
func MACFrom(h net.HardwareAddr) MAC {
	if len(h) != 6 {
		return MAC{}
	}
	return MAC(h)
}

// IsUnicast tells whether the address can belong to one interface: it is neither zero
// nor has the group bit set.
func (m MAC) IsUnicast() bool { return m != MAC{} && m[0]&1 == 0 }

// String gives the usual colon form, or "none" for zero.
func (m MAC) String() string {
	if m == (MAC{}) {
		return "none"
	}
	return net.HardwareAddr(m[:]).String()
}

// MarshalText gives the form of String.
func (m MAC) MarshalText() ([]byte, error) { return []byte(m.String()), nil }

// UnmarshalText reads the form of String.
func (m *MAC) UnmarshalText(b []byte) (err error) {
	*m, err = ParseMAC(string(b))
	return err
}

// ParseMAC reads the form of String.
func ParseMAC(s string) (MAC, error) {
	if s == (MAC{}).String() {
		return MAC{}, nil
	}
	h, err := net.ParseMAC(s)
	if err != nil || len(h) != 6 {
		return MAC{}, fmt.Errorf("links: %q is not an Ethernet address", s)
	}
	return MACFrom(h), nil
}
