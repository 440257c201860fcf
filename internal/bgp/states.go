package bgp

import (
	"fmt"
	"net"

	"github.com/lintel-lb/lintel/internal/bgp/wire"
)

// The methods in this file are the states of RFC 4271, section 8.2.2. Each handles one
// event and returns the next state. Events that a state does not name do not concern it.

// idle refuses to do anything until the hold-down is over and nothing else is in the way.
func (s *session) idle(e event) State {
	if e.kind != evIdleHold {
		return StateIdle
	}
	s.holdDown = false
	return s.startIfAllowed()
}

// startIfAllowed leaves Idle. With strict BFD it stays until the path works.
func (s *session) startIfAllowed() State {
	if s.holdDown || s.ending != nil {
		return StateIdle
	}
	if s.bfdForbids() {
		s.fail(errAwaitsBFD)
		return StateIdle
	}
	if nc := s.waiting; nc != nil {
		s.waiting = nil
		return s.begin(nc, true)
	}
	if s.cfg.Mode == ModePassive {
		return StateActive
	}
	return s.startConnect()
}

// startConnect enters Connect.
func (s *session) startConnect() State {
	s.connectRetry.start(jitter(s.cfg.connectTime()))
	s.startDial()
	return StateConnect
}

// begin takes a connection into use: "sends an OPEN message to its peer, sets the
// HoldTimer to a large value, and changes its state to OpenSent".
func (s *session) begin(nc net.Conn, inbound bool) State {
	s.stopDial()
	s.connectRetry.stop()
	s.primary = s.sendOpen(nc, inbound)
	s.hold.start(openHold)
	return StateOpenSent
}

func (s *session) connect(e event) State {
	switch e.kind {
	case evDialed:
		return s.begin(e.net, false)
	case evDialFailed:
		// The retry timer goes on; with it comes the next attempt.
		s.fail(fmt.Errorf("bgp: connect: %w", e.err))
		return StateActive
	case evConnectRetry:
		s.stopDial()
		if s.cfg.Interface != "" {
			s.fail(fmt.Errorf("bgp: connect: no router on link %s was found or answered within %v", s.cfg.Interface, s.cfg.connectTime()))
		} else {
			s.fail(fmt.Errorf("bgp: connect: no answer within %v%s", s.cfg.connectTime(), s.passwordHint()))
		}
		return s.startConnect()
	}
	return StateConnect
}

// passwordHint names a cause of silence that the network does not tell: segments with another
// TCP MD5 key are dropped (RFC 2385, section 2).
func (s *session) passwordHint() string {
	if s.cfg.Password == "" {
		return ""
	}
	return "; the peer may have another password, or none"
}

func (s *session) active(e event) State {
	if e.kind == evConnectRetry {
		return s.startConnect()
	}
	return StateActive
}

func (s *session) openSent(e event) State {
	switch e.kind {
	case evHold:
		return s.holdExpired()
	case evClosed:
		// "If a TcpConnectionFails event is received, [...] restarts the ConnectRetryTimer,
		// continues to listen [...] and changes its state to Active."
		s.fail(fmt.Errorf("bgp: connection ended before the peer's OPEN: %w", e.err))
		s.drop(nil)
		if s.promote() {
			return StateOpenSent
		}
		if s.cfg.Mode != ModePassive {
			s.connectRetry.start(jitter(s.cfg.connectTime()))
		}
		return StateActive
	case evMalformed:
		return s.violated(e.err)
	case evMessage:
		switch e.message {
		case wire.TypeOpen:
			return s.openReceived(s.primary, e.body)
		case wire.TypeNotification:
			return s.notified(e.body)
		}
		return s.unexpected(e.message, wire.FSMInOpenSent)
	}
	return StateOpenSent
}

// openReceived handles the OPEN on a connection that becomes, or is, the primary one.
func (s *session) openReceived(c *conn, body []byte) State {
	o, err := wire.ParseOpen(body)
	if err != nil {
		return s.violated(err)
	}
	n, err := negotiate(&s.cfg, o)
	if err != nil {
		return s.violated(err)
	}
	n.hops = s.localAddresses(c)
	c.open, s.agreed = o, n
	c.hold(n.hold)
	c.send(wire.AppendKeepalive(nil))
	s.hold.start(n.hold)
	s.keepalive.start(jitter(n.keepalive))
	return StateOpenConfirm
}

func (s *session) openConfirm(e event) State {
	switch e.kind {
	case evHold:
		return s.holdExpired()
	case evKeepalive:
		s.sendKeepalive()
	case evClosed:
		return s.broken(e.err)
	case evMalformed:
		return s.violated(e.err)
	case evMessage:
		switch e.message {
		case wire.TypeKeepalive:
			s.hold.start(s.agreed.hold)
			return s.up()
		case wire.TypeNotification:
			return s.notified(e.body)
		}
		return s.unexpected(e.message, wire.FSMInOpenConfirm)
	}
	return StateOpenConfirm
}

// up enters Established. A connection that still competes has lost (section 6.8).
func (s *session) up() State {
	s.dropSecond(collision())
	s.established++
	s.out.open(s.agreed)
	s.writing = false
	s.pump()
	return StateEstablished
}

func (s *session) establishedState(e event) State {
	switch e.kind {
	case evHold:
		return s.holdExpired()
	case evKeepalive:
		s.sendKeepalive()
	case evClosed:
		return s.broken(e.err)
	case evMalformed:
		return s.violated(e.err)
	case evWritten:
		s.written(e.batch)
		return s.endIfWithdrawn()
	case evMessage:
		switch e.message {
		case wire.TypeKeepalive, wire.TypeUpdate:
			s.hold.start(s.agreed.hold)
		case wire.TypeNotification:
			return s.notified(e.body)
		case wire.TypeRouteRefresh:
			r, err := wire.ParseRouteRefresh(e.body)
			if err != nil {
				return s.violated(err)
			}
			// The markers of RFC 7313 are for speakers that keep routes.
			if r.Subtype == wire.RefreshRequest {
				s.out.resend(r.Family)
				s.pump()
			}
		default:
			return s.unexpected(e.message, wire.FSMInEstablished)
		}
	}
	return StateEstablished
}

func (s *session) sendKeepalive() {
	s.primary.send(wire.AppendKeepalive(nil))
	s.keepalive.start(jitter(s.agreed.keepalive))
}

// pump gives the writer the next batch, unless it has one.
func (s *session) pump() {
	if s.writing {
		return
	}
	b := s.out.next()
	if b == nil {
		return
	}
	s.writing = true
	s.primary.bulk <- b // has room: nothing is under way
}

// written notes what the peer has now.
func (s *session) written(b *batch) {
	s.writing = false
	s.out.done(b)
	if len(b.endOfRIB) > 0 {
		s.restarting = false
	}
	s.pump()
	s.publish()
}
