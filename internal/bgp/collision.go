package bgp

import (
	"errors"
	"fmt"
	"net"

	"github.com/lintel-lb/lintel/internal/bgp/wire"
)

// This file is the collision handling of RFC 4271, section 6.8. A session has one primary
// connection and at most one second one, which has sent its OPEN and waits for the
// peer's. The primary is never behind: where the second's OPEN comes first they swap.

func collision() *wire.Notification {
	return &wire.Notification{Code: wire.CodeCease, Subcode: wire.CeaseCollision}
}

// accepted handles a connection that the peer has opened. One that was accepted for another
// configuration, such as an earlier password, is not this peer's.
func (s *session) accepted(nc net.Conn, config *SessionConfig) State {
	if s.ending != nil || *config != s.cfg {
		nc.Close()
		return s.state
	}
	if err := s.transport.Accepted(nc, s.cfg.socket()); err != nil {
		s.fail(fmt.Errorf("bgp: accept: %w", err))
		nc.Close()
		return s.state
	}
	switch s.state {
	case StateIdle:
		// Held until Idle is left: a peer that was refused may not try again for minutes.
		if s.waiting != nil {
			s.waiting.Close()
		}
		s.waiting = nc
		return StateIdle
	case StateConnect, StateActive:
		return s.begin(nc, true)
	case StateEstablished:
		// A peer that has restarted may be back before this side notices that it was gone
		// (RFC 4724, section 4.2). The old connection is given up only when the new one
		// has shown a good OPEN.
		if !s.agreed.graceful {
			s.refuse(nc)
			return StateEstablished
		}
	}
	if s.second != nil {
		s.refuse(nc)
		return s.state
	}
	s.second = s.sendOpen(nc, true)
	return s.state
}

// refuse turns a connection away.
func (s *session) refuse(nc net.Conn) {
	c := newConn(nc, true, s)
	c.start(&s.conns)
	c.finish(collision().Append(nil))
}

// secondEvent handles what happens on the second connection.
func (s *session) secondEvent(e event) State {
	switch {
	case e.kind == evMessage && e.message == wire.TypeOpen && s.second.open == nil:
		return s.secondOpen(e.body)
	case e.kind == evMessage && e.message == wire.TypeNotification:
		s.dropSecond(nil)
	case e.kind == evMessage:
		// Anything else than an OPEN ends it, which is no reason to touch the primary.
		s.dropSecond(&wire.Notification{Code: wire.CodeFSM, Subcode: wire.FSMInOpenSent, Data: []byte{byte(e.message)}})
	case e.kind == evClosed, e.kind == evMalformed:
		s.dropSecond(nil)
	}
	return s.state
}

// secondOpen decides between the two connections.
func (s *session) secondOpen(body []byte) State {
	o, err := wire.ParseOpen(body)
	if err == nil {
		_, err = negotiate(&s.cfg, o)
	}
	if err != nil {
		n := wire.Notification{Code: wire.CodeOpen}
		if we := (*wire.Error)(nil); errors.As(err, &we) {
			n = we.Notification
		}
		s.dropSecond(&n)
		return s.state
	}
	switch s.state {
	case StateEstablished:
		// Without a NOTIFICATION: the routes are to survive.
		old := s.second
		s.second = nil
		s.fail(fmt.Errorf("bgp: the peer has restarted and opened a new connection"))
		s.drop(nil)
		s.primary = old
		return s.openReceived(s.primary, body)
	case StateOpenSent:
		// Neither is confirmed yet, so there is nothing to compare: go on with the one
		// that is further.
		s.primary, s.second = s.second, s.primary
		return s.openReceived(s.primary, body)
	}
	// OpenConfirm: the connection that the speaker with the higher identifier has opened
	// stays. The AS decides between equal identifiers (RFC 6286, section 2.3).
	// Where the peer has opened both, it has given up the older one.
	ours := s.cfg.RouterID.Compare(o.RouterID)
	if ours == 0 && s.cfg.LocalASN < o.ASN {
		ours = -1
	}
	keepOutbound := ours >= 0
	if s.second.inbound != keepOutbound || s.primary.inbound == s.second.inbound {
		lost := s.primary
		s.primary, s.second = s.second, nil
		s.end(lost, collision())
		return s.openReceived(s.primary, body)
	}
	s.dropSecond(collision())
	return s.state
}

// promote makes the second connection the primary one and reports whether there was one.
func (s *session) promote() bool {
	if s.second == nil {
		return false
	}
	s.primary, s.second = s.second, nil
	s.hold.start(openHold)
	return true
}

func (s *session) dropSecond(n *wire.Notification) {
	if s.second == nil {
		return
	}
	s.end(s.second, n)
	s.second = nil
}
