package bgp

import (
	"errors"
	"fmt"
	"time"

	"github.com/lintel-lb/lintel/internal/bgp/wire"
)

// violated answers a message that breaks the protocol.
func (s *session) violated(err error) State {
	var we *wire.Error
	if !errors.As(err, &we) {
		return s.down(err, nil)
	}
	return s.down(fmt.Errorf("%w (NOTIFICATION %d/%d was sent)", err, we.Notification.Code, we.Notification.Subcode), &we.Notification)
}

// unexpected answers a message that the state does not allow (RFC 6608).
func (s *session) unexpected(t wire.MessageType, subcode uint8) State {
	var data []byte
	if subcode != wire.FSMUnspecific {
		data = []byte{byte(t)}
	}
	return s.violated(&wire.Error{
		Notification: wire.Notification{Code: wire.CodeFSM, Subcode: subcode, Data: data},
		Reason:       fmt.Sprintf("%v is out of place", t),
	})
}

func (s *session) holdExpired() State {
	return s.down(errHoldTimer, &wire.Notification{Code: wire.CodeHoldTimer})
}

// notified ends the session because the peer did.
func (s *session) notified(body []byte) State {
	n, err := wire.ParseNotification(body)
	if err != nil {
		return s.down(err, nil)
	}
	return s.down(fmt.Errorf("bgp: the peer sent NOTIFICATION %v", n), nil)
}

// broken ends the session because the connection did.
func (s *session) broken(err error) State {
	if errors.Is(err, errSendHold) {
		// The stream may have stopped within a message, so no NOTIFICATION can follow
		// (RFC 9687, section 3.2, leaves it out then).
		return s.down(err, nil)
	}
	return s.down(fmt.Errorf("bgp: connection lost: %w", err), nil)
}

// down gives up the primary connection and goes to Idle, or on with a second connection
// if there is one. n is sent first where it is not nil.
func (s *session) down(err error, n *wire.Notification) State {
	s.fail(err)
	if s.state == StateEstablished && time.Since(s.since) >= stable {
		s.damp.reset()
	}
	s.drop(n)
	if s.ending != nil {
		return s.ended()
	}
	if s.promote() {
		return StateOpenSent
	}
	s.idleHold.start(s.damp.next())
	s.holdDown = true
	return StateIdle
}

// drop ends the primary connection and forgets all that belongs to it.
func (s *session) drop(n *wire.Notification) {
	s.stopDial()
	for _, t := range []timer{s.connectRetry, s.hold, s.keepalive} {
		t.stop()
	}
	if s.primary != nil {
		s.end(s.primary, n)
	}
	s.primary, s.agreed, s.writing = nil, nil, false
	s.out.close()
}

// end closes a connection, with a NOTIFICATION where n is not nil.
func (s *session) end(c *conn, n *wire.Notification) {
	if n == nil {
		c.abort()
		return
	}
	c.finish(n.Append(nil))
}
