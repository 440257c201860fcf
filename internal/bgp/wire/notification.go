package wire

import (
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Code is the error code of a NOTIFICATION.
type Code uint8

// Error codes (RFC 4271, section 4.5, RFC 7313, RFC 9687).
const (
	CodeHeader Code = iota + 1
	CodeOpen
	CodeUpdate
	CodeHoldTimer
	CodeFSM
	CodeCease
	CodeRouteRefresh
	CodeSendHoldTimer
)

// Subcodes of CodeHeader (RFC 4271, section 6.1).
const (
	HeaderNotSynchronized uint8 = iota + 1
	HeaderBadLength
	HeaderBadType
)

// Subcodes of CodeOpen (RFC 4271, section 6.2, RFC 5492). Subcode 5 is withdrawn.
const (
	OpenUnspecific            uint8 = 0
	OpenBadVersion            uint8 = 1
	OpenBadPeerAS             uint8 = 2
	OpenBadIdentifier         uint8 = 3
	OpenBadParameter          uint8 = 4
	OpenBadHoldTime           uint8 = 6
	OpenUnsupportedCapability uint8 = 7
)

// Subcodes of CodeFSM (RFC 6608).
const (
	FSMUnspecific uint8 = iota
	FSMInOpenSent
	FSMInOpenConfirm
	FSMInEstablished
)

// Subcodes of CodeCease (RFC 4486, RFC 8538, RFC 9384).
const (
	CeaseMaxPrefixes uint8 = iota + 1
	CeaseAdminShutdown
	CeasePeerDeconfigured
	CeaseAdminReset
	CeaseConnectionRejected
	CeaseConfigChange
	CeaseCollision
	CeaseOutOfResources
	CeaseHardReset
	CeaseBFDDown
)

// maxShutdownText is the longest shutdown communication in octets (RFC 9003).
const maxShutdownText = 255

// Notification is a NOTIFICATION message (RFC 4271, section 4.5).
type Notification struct {
	Code    Code
	Subcode uint8
	Data    []byte
}

// Shutdown makes an administrative shutdown with a text for the peer's operator, which
// is cut at 255 octets between characters (RFC 9003).
func Shutdown(text string) Notification {
	text = strings.ToValidUTF8(text, "\uFFFD")
	if len(text) > maxShutdownText {
		n := maxShutdownText
		for n > 0 && !utf8.RuneStart(text[n]) {
			n--
		}
		text = text[:n]
	}
	n := Notification{Code: CodeCease, Subcode: CeaseAdminShutdown}
	if text != "" {
		n.Data = append([]byte{byte(len(text))}, text...)
	}
	return n
}

// HardReset wraps a NOTIFICATION so that a peer with the graceful notification flag
// drops the routes (RFC 8538, section 3.1).
func HardReset(n Notification) Notification {
	data := append([]byte{byte(n.Code), n.Subcode}, n.Data...)
	return Notification{Code: CodeCease, Subcode: CeaseHardReset, Data: data}
}

// Append appends the message.
func (n Notification) Append(dst []byte) []byte {
	start := len(dst)
	dst = append(begin(dst, TypeNotification), byte(n.Code), n.Subcode)
	room := MaxMessageLen - notifyMinLen
	dst = append(dst, n.Data[:min(len(n.Data), room)]...)
	return finish(dst, start)
}

// ParseNotification reads the body of a NOTIFICATION. A broken one gets no answer
// (RFC 4271, section 6.4), so the error carries nothing to send.
func ParseNotification(body []byte) (Notification, error) {
	if len(body) < 2 {
		return Notification{}, fmt.Errorf("bgp: NOTIFICATION with %d octets of body", len(body))
	}
	return Notification{
		Code: Code(body[0]), Subcode: body[1], Data: append([]byte(nil), body[2:]...),
	}, nil
}

// Name gives the code and subcode in words.
func (n Notification) Name() string {
	names, ok := codeNames(n.Code)
	if !ok {
		return fmt.Sprintf("error code %d subcode %d", n.Code, n.Subcode)
	}
	sub, ok := names.subcodes[n.Subcode]
	switch {
	case ok:
		return names.code + ": " + sub
	case n.Subcode == 0:
		return names.code
	}
	return names.code + ": subcode " + strconv.Itoa(int(n.Subcode))
}

// String gives code and subcode in words and numbers, and the data where it is readable.
func (n Notification) String() string {
	s := fmt.Sprintf("%s (%d/%d)", n.Name(), n.Code, n.Subcode)
	switch {
	case n.Code == CodeCease && (n.Subcode == CeaseAdminShutdown || n.Subcode == CeaseAdminReset):
		if text, ok := shutdownText(n.Data); ok && text != "" {
			return s + " with the text " + strconv.Quote(text)
		}
	case n.Code == CodeCease && n.Subcode == CeaseHardReset && len(n.Data) >= 2:
		inner := Notification{Code: Code(n.Data[0]), Subcode: n.Data[1], Data: n.Data[2:]}
		if inner.Code == CodeCease && inner.Subcode == CeaseHardReset {
			return s // nested without end is not worth reading
		}
		return s + " because of " + inner.String()
	case n.Code == CodeOpen && n.Subcode == OpenBadPeerAS && len(n.Data) == 2:
		return s + fmt.Sprintf(" with AS %d", uint16(n.Data[0])<<8|uint16(n.Data[1]))
	}
	if len(n.Data) > 0 {
		const shown = 32
		return s + " with data " + hex.EncodeToString(n.Data[:min(len(n.Data), shown)])
	}
	return s
}

// shutdownText reads a shutdown communication; unreadable octets are replaced.
func shutdownText(data []byte) (string, bool) {
	if len(data) == 0 || int(data[0]) != len(data)-1 {
		return "", false
	}
	return strings.ToValidUTF8(string(data[1:]), "\uFFFD"), true
}
