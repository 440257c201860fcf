package wire

import (
	"encoding/binary"
	"net/netip"
	"time"
)

const (
	version = 4
	// ASTrans stands for an AS number of four octets in a field of two (RFC 6793).
	ASTrans = 23456

	paramCapabilities = 2
	paramExtended     = 255
)

// Open is an OPEN message (RFC 4271, section 4.2).
type Open struct {
	// ASN is the AS of the speaker; where it does not fit two octets the message says
	// ASTrans and the four-octet capability has it.
	ASN uint32
	// HoldTime is 0, or 3 s or more, in whole seconds.
	HoldTime time.Duration
	// RouterID is the BGP identifier, an IPv4 address that is not 0.0.0.0.
	RouterID netip.Addr
	// Capabilities are those offered.
	Capabilities Capabilities
}

// Append appends the message. Capabilities must not exceed 253 octets, which those of
// the families in this package cannot.
func (o *Open) Append(dst []byte) []byte {
	start := len(dst)
	as := uint16(ASTrans)
	if o.ASN <= 0xffff {
		as = uint16(o.ASN)
	}
	dst = append(begin(dst, TypeOpen), version)
	dst = binary.BigEndian.AppendUint16(dst, as)
	dst = binary.BigEndian.AppendUint16(dst, uint16(o.HoldTime/time.Second))
	id := o.RouterID.As4()
	dst = append(dst, id[:]...)
	if caps := o.Capabilities.append(nil); len(caps) > 0 {
		dst = append(dst, byte(2+len(caps)), paramCapabilities, byte(len(caps)))
		dst = append(dst, caps...)
	} else {
		dst = append(dst, 0)
	}
	return finish(dst, start)
}

// ParseOpen reads the body of an OPEN and checks what can be checked without knowing the
// peer (RFC 4271, section 6.2). ASN is the four-octet one where the capability is there.
// The error is an *Error.
func ParseOpen(body []byte) (*Open, error) {
	if len(body) < openMinLen-HeaderLen {
		return nil, fail(CodeHeader, HeaderBadLength, nil, "OPEN with %d octets of body", len(body))
	}
	if v := body[0]; v != version {
		return nil, fail(CodeOpen, OpenBadVersion, []byte{0, version}, "version %d", v)
	}
	o := &Open{
		ASN:      uint32(binary.BigEndian.Uint16(body[1:])),
		HoldTime: time.Duration(binary.BigEndian.Uint16(body[3:])) * time.Second,
		RouterID: netip.AddrFrom4([4]byte(body[5:9])),
	}
	if o.HoldTime != 0 && o.HoldTime < 3*time.Second {
		return nil, fail(CodeOpen, OpenBadHoldTime, body[3:5], "hold time of %v, must be 0 or at least 3s", o.HoldTime)
	}
	if o.RouterID.IsUnspecified() {
		return nil, fail(CodeOpen, OpenBadIdentifier, body[5:9], "BGP identifier 0.0.0.0")
	}
	if err := o.parseParameters(body[9:]); err != nil {
		return nil, err
	}
	if four := o.Capabilities.FourOctetAS; four != 0 {
		if two := o.ASN; two != ASTrans && two != four {
			return nil, fail(CodeOpen, OpenBadPeerAS, body[1:3], "AS %d in the message, AS %d in the capability", two, four)
		}
		o.ASN = four
	}
	if o.ASN == 0 {
		return nil, fail(CodeOpen, OpenBadPeerAS, body[1:3], "AS 0")
	}
	return o, nil
}

// parseParameters reads the optional parameters, also in the form of RFC 9072.
func (o *Open) parseParameters(b []byte) error {
	short := func() error {
		return fail(CodeOpen, OpenUnspecific, nil, "optional parameters are cut short")
	}
	length, lengthSize := int(b[0]), 1
	b = b[1:]
	if length == paramExtended && len(b) >= 3 && b[0] == paramExtended {
		length, lengthSize = int(binary.BigEndian.Uint16(b[1:])), 2
		b = b[3:]
	}
	if length != len(b) {
		return short()
	}
	for len(b) > 0 {
		if len(b) < 1+lengthSize {
			return short()
		}
		kind, n := b[0], int(b[1])
		if lengthSize == 2 {
			n = int(binary.BigEndian.Uint16(b[1:]))
		}
		b = b[1+lengthSize:]
		if n > len(b) {
			return short()
		}
		if kind != paramCapabilities {
			return fail(CodeOpen, OpenBadParameter, nil, "optional parameter %d", kind)
		}
		if err := o.Capabilities.parse(b[:n]); err != nil {
			return err
		}
		b = b[n:]
	}
	return nil
}
