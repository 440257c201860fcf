package wire

import (
	"encoding/binary"
	"fmt"
)

const (
	// HeaderLen is the length of the message header in octets (RFC 4271, section 4.1).
	HeaderLen = 19
	// MaxMessageLen is the length of the longest message, header included, without the
	// extended message capability, which is neither offered nor accepted.
	MaxMessageLen = 4096
	// Port is the TCP port that BGP speakers listen on.
	Port = 179

	markerLen       = 16
	openMinLen      = 29
	updateMinLen    = 23
	notifyMinLen    = 21
	routeRefreshLen = 23
)

// MessageType is the type field of a message header.
type MessageType uint8

// Message types (RFC 4271, section 4.1, and RFC 2918).
const (
	TypeOpen MessageType = iota + 1
	TypeUpdate
	TypeNotification
	TypeKeepalive
	TypeRouteRefresh
)

// String gives the name used in the RFCs.
func (t MessageType) String() string {
	switch t {
	case TypeOpen:
		return "OPEN"
	case TypeUpdate:
		return "UPDATE"
	case TypeNotification:
		return "NOTIFICATION"
	case TypeKeepalive:
		return "KEEPALIVE"
	case TypeRouteRefresh:
		return "ROUTE-REFRESH"
	}
	return fmt.Sprintf("message type %d", uint8(t))
}

// ParseHeader checks the first HeaderLen octets of a message and returns its type and
// the length of the body that follows. The error is an *Error (RFC 4271, section 6.1).
func ParseHeader(b []byte) (t MessageType, bodyLen int, err error) {
	if len(b) < HeaderLen {
		return 0, 0, fail(CodeHeader, HeaderBadLength, nil, "header of %d octets", len(b))
	}
	for _, o := range b[:markerLen] {
		if o != 0xff {
			return 0, 0, fail(CodeHeader, HeaderNotSynchronized, nil, "marker is not all ones")
		}
	}
	field := b[markerLen : markerLen+2]
	length := int(binary.BigEndian.Uint16(field))
	t = MessageType(b[markerLen+2])
	low, high := HeaderLen, MaxMessageLen
	switch t {
	case TypeOpen:
		low = openMinLen
	case TypeUpdate:
		low = updateMinLen
	case TypeNotification:
		low = notifyMinLen
	case TypeKeepalive:
		high = HeaderLen
	case TypeRouteRefresh:
		// Outbound route filters may follow (RFC 5291).
		low = routeRefreshLen
	default:
		return 0, 0, fail(CodeHeader, HeaderBadType, []byte{byte(t)}, "unknown %v", t)
	}
	if length < low || length > high {
		return 0, 0, fail(CodeHeader, HeaderBadLength, field, "%v of %d octets", t, length)
	}
	return t, length - HeaderLen, nil
}

// begin appends a header whose length is filled in by finish.
func begin(dst []byte, t MessageType) []byte {
	for range markerLen {
		dst = append(dst, 0xff)
	}
	return append(dst, 0, 0, byte(t))
}

// finish writes the length of the message that starts at start and extends to the end.
func finish(b []byte, start int) []byte {
	binary.BigEndian.PutUint16(b[start+markerLen:], uint16(len(b)-start))
	return b
}

// AppendKeepalive appends a KEEPALIVE message (RFC 4271, section 4.4).
func AppendKeepalive(dst []byte) []byte {
	return finish(begin(dst, TypeKeepalive), len(dst))
}
