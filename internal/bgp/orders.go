package bgp

import (
	"fmt"
	"time"

	"github.com/lintel-lb/lintel/internal/bgp/wire"
)

// withdrawTime bounds how long an orderly end waits for the withdrawals to be written.
const withdrawTime = 5 * time.Second

// takeOrder does what the engine wants now.
func (s *session) takeOrder() State {
	o := s.inbox.take()
	s.out.set(o.routes, o.complete)
	if o.trouble != s.trouble {
		s.trouble = o.trouble
		s.publish()
	}
	if o.ending != nil && (s.ending == nil || *o.ending != *s.ending) {
		s.ending = o.ending
		return s.startEnding()
	}
	if s.ending != nil {
		return s.state
	}
	if s.cfg.Resets(o.config) {
		return s.reconfigure(o.config)
	}
	s.cfg = o.config
	if s.state == StateEstablished {
		if s.agreed.lacksHop() {
			s.agreed.hops = s.localAddresses(s.primary) // the link may have got one since
		}
		s.pump()
		s.publish()
	}
	return s.state
}

// reconfigure starts over with other parameters. A peer that restarts gracefully with
// this speaker keeps the routes meanwhile, unless the session goes to another one: nobody
// would come back for them.
func (s *session) reconfigure(c SessionConfig) State {
	s.log.Info("configuration changed, session is reset")
	n := &wire.Notification{Code: wire.CodeCease, Subcode: wire.CeaseConfigChange}
	switch {
	case s.leaves(&c):
		n = s.final(&wire.Notification{Code: wire.CodeCease, Subcode: wire.CeasePeerDeconfigured})
	case s.agreed != nil && s.agreed.graceful && !s.agreed.notification && c.GracefulRestart.Enabled:
		n = nil
	}
	s.dropSecond(n)
	s.drop(n)
	s.leave()
	s.cfg = c
	s.damp.reset()
	s.holdDown = false
	s.idleHold.stop()
	s.lastError = ""
	s.join()
	s.state = StateIdle
	s.since = time.Now()
	next := s.startIfAllowed()
	s.publish()
	return next
}

// leaves tells whether a configuration is for another session in the eyes of the present peer:
// between other addresses, or on another link.
func (s *session) leaves(c *SessionConfig) bool {
	if c.PeerAddress != s.cfg.PeerAddress || c.Interface != s.cfg.Interface || c.Device != s.cfg.Device {
		return true
	}
	return s.primary != nil && c.Source.IsValid() && c.Source.WithZone("") != s.primary.local.Addr().WithZone("")
}

// final makes a NOTIFICATION end the routes too: a hard reset where a mere one would keep them
// (RFC 8538).
func (s *session) final(n *wire.Notification) *wire.Notification {
	if n == nil || s.agreed == nil || !s.agreed.notification {
		return n
	}
	hard := wire.HardReset(*n)
	return &hard
}

// bfdForbids tells whether strict mode keeps BGP from starting. A BFD session that was
// switched off on purpose says nothing about the path (RFC 5882, section 3.2).
func (s *session) bfdForbids() bool {
	return s.cfg.BFD == BFDStrict && s.bfdState != BFDUp && s.bfdState != BFDAdminDown
}

// bfdChanged takes the session down with the path (RFC 5882, section 4.2).
func (s *session) bfdChanged(st BFDState) State {
	was := s.bfdState
	s.bfdState = st
	defer s.publish()
	lost := st == BFDDown && was == BFDUp
	switch {
	case s.state == StateIdle:
		return s.startIfAllowed()
	case lost && s.state == StateEstablished || s.bfdForbids():
		return s.down(fmt.Errorf("bgp: BFD session went from %v to %v", was, st),
			&wire.Notification{Code: wire.CodeCease, Subcode: wire.CeaseBFDDown})
	}
	return s.state
}

// startEnding begins an orderly end.
func (s *session) startEnding() State {
	if s.state != StateEstablished || s.ending.End == EndRestart {
		return s.ended()
	}
	if s.ending.End == EndDrain && !s.out.draining {
		s.out.draining, s.out.dirty = true, true
		s.endStep.start(max(s.ending.Wait, time.Millisecond))
		s.pump()
		return s.state
	}
	return s.withdrawAll()
}

// endingStep goes on when the time of a step is over.
func (s *session) endingStep() State {
	if s.state == StateEstablished && !s.out.withdrawing {
		return s.withdrawAll()
	}
	return s.ended()
}

func (s *session) withdrawAll() State {
	s.out.withdrawing, s.out.dirty = true, true
	s.endStep.start(withdrawTime)
	s.pump()
	return s.endIfWithdrawn()
}

// endIfWithdrawn ends the session once the peer has been told to forget everything.
func (s *session) endIfWithdrawn() State {
	if s.ending != nil && s.out.withdrawing && !s.writing {
		return s.ended()
	}
	return s.state
}

// ended is the last thing a session does. A restart leaves without a word; the other ways
// say why, and end the routes.
func (s *session) ended() State {
	var n *wire.Notification
	switch s.ending.End {
	case EndDrain, EndUninstall:
		m := wire.Shutdown(s.ending.Text)
		n = &m
	case endRemoved:
		n = &wire.Notification{Code: wire.CodeCease, Subcode: wire.CeasePeerDeconfigured}
	}
	n = s.final(n)
	s.dropSecond(n)
	s.drop(n)
	s.idleHold.stop()
	s.endStep.stop()
	s.gone = true
	return StateIdle
}
