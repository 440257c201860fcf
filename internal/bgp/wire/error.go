package wire

import "fmt"

// Error is a violation of the protocol by the peer, together with its answer.
type Error struct {
	// Notification is to be sent before the connection is closed.
	Notification Notification
	// Reason says what was wrong with the message, in words.
	Reason string
}

// Error gives the reason and the name of the error code.
func (e *Error) Error() string {
	return fmt.Sprintf("bgp: %s: %s", e.Notification.Name(), e.Reason)
}

func fail(code Code, subcode uint8, data []byte, format string, args ...any) *Error {
	return &Error{
		Notification: Notification{Code: code, Subcode: subcode, Data: append([]byte(nil), data...)},
		Reason:       fmt.Sprintf(format, args...),
	}
}
