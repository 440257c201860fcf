package wire

import (
	"encoding/binary"
	"slices"
	"time"
)

// capability codes (IANA "Capability Codes").
const (
	capMultiprotocol   = 1
	capRouteRefresh    = 2
	capExtendedNextHop = 5
	capGracefulRestart = 64
	capFourOctetAS     = 65
	capLongLived       = 71
)

const (
	// MaxRestartTime is the longest graceful restart time (12 bits of seconds, RFC 4724).
	MaxRestartTime = 4095 * time.Second
	// MaxLongLivedTime is the longest stale time (24 bits of seconds, RFC 9494).
	MaxLongLivedTime = (1<<24 - 1) * time.Second

	flagRestarting   = 0x8000
	flagNotification = 0x4000
	flagForwarding   = 0x80
)

// Capabilities are those of an OPEN (RFC 5492). The zero value offers nothing, which
// means IPv4 unicast only and two-octet AS numbers.
type Capabilities struct {
	// Families are the multiprotocol families (RFC 4760).
	Families []Family
	// RouteRefresh is RFC 2918.
	RouteRefresh bool
	// ExtendedNextHop are the families whose routes may have an IPv6 next hop (RFC 8950).
	ExtendedNextHop []Family
	// FourOctetAS is the AS number of the speaker, 0 without the capability (RFC 6793).
	FourOctetAS uint32
	// GracefulRestart is RFC 4724; the zero value is without the capability.
	GracefulRestart GracefulRestart
	// LongLived is RFC 9494.
	LongLived []LongLivedFamily
	// Unknown are the codes of all other capabilities, in order of appearance.
	Unknown []uint8
}

// GracefulRestart is the capability of RFC 4724 with the flag of RFC 8538.
type GracefulRestart struct {
	// Present tells a capability without families from none.
	Present bool
	// Restarting is the R bit: the speaker has restarted.
	Restarting bool
	// Notification is the N bit: a NOTIFICATION is answered by graceful restart too.
	Notification bool
	// Time is how long the peer should wait for the session, whole seconds.
	Time time.Duration
	// Families are those that are kept over a restart.
	Families []RestartFamily
}

// RestartFamily is a family in GracefulRestart.
type RestartFamily struct {
	Family Family
	// Forwarding is the F bit: forwarding went on during the restart.
	Forwarding bool
}

// LongLivedFamily is a family of the long-lived graceful restart capability.
type LongLivedFamily struct {
	Family     Family
	Forwarding bool
	// StaleTime is how long the peer should keep routes after the restart time.
	StaleTime time.Duration
}

// HasFamily tells whether routes of the family may be exchanged. Without any multiprotocol
// capability IPv4 unicast is implied.
func (c *Capabilities) HasFamily(f Family) bool {
	if len(c.Families) == 0 {
		return f == IPv4Unicast
	}
	return slices.Contains(c.Families, f)
}

func (c *Capabilities) append(dst []byte) []byte {
	for _, f := range c.Families {
		dst = append(dst, capMultiprotocol, 4)
		dst = binary.BigEndian.AppendUint16(dst, f.AFI())
		dst = append(dst, 0, f.SAFI())
	}
	if c.RouteRefresh {
		dst = append(dst, capRouteRefresh, 0)
	}
	if n := len(c.ExtendedNextHop); n > 0 {
		dst = append(dst, capExtendedNextHop, byte(6*n))
		for _, f := range c.ExtendedNextHop {
			dst = binary.BigEndian.AppendUint16(dst, f.AFI())
			dst = binary.BigEndian.AppendUint16(dst, uint16(f.SAFI()))
			dst = binary.BigEndian.AppendUint16(dst, IPv6Unicast.AFI())
		}
	}
	if gr := c.GracefulRestart; gr.Present {
		dst = append(dst, capGracefulRestart, byte(2+4*len(gr.Families)))
		v := uint16(min(gr.Time, MaxRestartTime) / time.Second)
		if gr.Restarting {
			v |= flagRestarting
		}
		if gr.Notification {
			v |= flagNotification
		}
		dst = binary.BigEndian.AppendUint16(dst, v)
		for _, f := range gr.Families {
			dst = append(appendFamily(dst, f.Family), forwardingFlag(f.Forwarding))
		}
	}
	if c.FourOctetAS != 0 {
		dst = append(dst, capFourOctetAS, 4)
		dst = binary.BigEndian.AppendUint32(dst, c.FourOctetAS)
	}
	if n := len(c.LongLived); n > 0 {
		dst = append(dst, capLongLived, byte(7*n))
		for _, f := range c.LongLived {
			dst = append(appendFamily(dst, f.Family), forwardingFlag(f.Forwarding))
			s := uint32(min(f.StaleTime, MaxLongLivedTime) / time.Second)
			dst = append(dst, byte(s>>16), byte(s>>8), byte(s))
		}
	}
	return dst
}

func forwardingFlag(set bool) byte {
	if set {
		return flagForwarding
	}
	return 0
}

// parse adds the capabilities in the value of one optional parameter.
func (c *Capabilities) parse(b []byte) error {
	for len(b) > 0 {
		if len(b) < 2 || len(b)-2 < int(b[1]) {
			return fail(CodeOpen, OpenUnspecific, nil, "capability is cut short")
		}
		code, value := b[0], b[2:2+int(b[1])]
		b = b[2+len(value):]
		if !c.parseOne(code, value) {
			return fail(CodeOpen, OpenUnspecific, nil, "capability %d with a value of %d octets", code, len(value))
		}
	}
	return nil
}

// parseOne reports whether the length of the value is right.
func (c *Capabilities) parseOne(code uint8, v []byte) bool {
	switch code {
	case capMultiprotocol:
		if len(v) != 4 {
			return false
		}
		f := NewFamily(binary.BigEndian.Uint16(v), v[3])
		if !slices.Contains(c.Families, f) {
			c.Families = append(c.Families, f)
		}
	case capRouteRefresh:
		c.RouteRefresh = true
	case capExtendedNextHop:
		if len(v)%6 != 0 {
			return false
		}
		for ; len(v) > 0; v = v[6:] {
			f := NewFamily(binary.BigEndian.Uint16(v), v[3])
			if binary.BigEndian.Uint16(v[4:]) == IPv6Unicast.AFI() && v[2] == 0 && !slices.Contains(c.ExtendedNextHop, f) {
				c.ExtendedNextHop = append(c.ExtendedNextHop, f)
			}
		}
	case capGracefulRestart:
		if len(v) < 2 || (len(v)-2)%4 != 0 {
			return false
		}
		// Only the last instance counts (RFC 4724, section 3).
		w := binary.BigEndian.Uint16(v)
		gr := GracefulRestart{
			Present:      true,
			Restarting:   w&flagRestarting != 0,
			Notification: w&flagNotification != 0,
			Time:         time.Duration(w&0x0fff) * time.Second,
		}
		for v = v[2:]; len(v) > 0; v = v[4:] {
			gr.Families = append(gr.Families, RestartFamily{
				Family: NewFamily(binary.BigEndian.Uint16(v), v[2]), Forwarding: v[3]&flagForwarding != 0,
			})
		}
		c.GracefulRestart = gr
	case capFourOctetAS:
		if len(v) != 4 {
			return false
		}
		c.FourOctetAS = binary.BigEndian.Uint32(v)
	case capLongLived:
		if len(v)%7 != 0 {
			return false
		}
		c.LongLived = nil
		for ; len(v) > 0; v = v[7:] {
			c.LongLived = append(c.LongLived, LongLivedFamily{
				Family:     NewFamily(binary.BigEndian.Uint16(v), v[2]),
				Forwarding: v[3]&flagForwarding != 0,
				StaleTime:  time.Duration(uint32(v[4])<<16|uint32(v[5])<<8|uint32(v[6])) * time.Second,
			})
		}
	default:
		c.Unknown = append(c.Unknown, code)
	}
	return true
}
