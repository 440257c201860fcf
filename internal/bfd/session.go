package bfd

import (
	"math/rand/v2"
	"time"
)

// remote is what the peer has told (RFC 5880 section 6.8.1).
type remote struct {
	state         State
	diag          Diagnostic
	discriminator uint32
	multiplier    uint8
	desiredMinTx  time.Duration
	requiredMinRx time.Duration
	minEchoRx     time.Duration
	demand        bool
}

// session holds the variables and timers of one session (RFC 5880 section 6.8.1). It does no I/O
// and has no clock: every method takes the time, and what is to be done is returned.
type session struct {
	params Params // defaults filled in
	local  uint32 // discriminator
	rng    *rand.Rand
	echoOK bool // the session is of a kind that can run the echo function

	// forwards reports whether this system returns the peer's echo packets. The owner sets it.
	forwards bool

	state  State
	diag   Diagnostic
	remote remote
	auth   authState
	echo   echoState

	// The intervals as told to the peer, and as in force until the peer has confirmed a change
	// that would surprise it (RFC 5880 section 6.8.3).
	desiredMinTx, txInForce  time.Duration
	requiredMinRx, rxInForce time.Duration

	polling   bool // bfd.DesiredMinTx or RequiredMinRx is being announced by a Poll Sequence
	pollAgain bool // they changed once more meanwhile

	lastTx   time.Time
	nextTx   time.Time // zero: nothing is sent periodically
	lastRx   time.Time // of the last valid packet, by the kernel's clock reading
	detectAt time.Time // zero: nothing was received in the last detection time
	reprieve bool      // a late detection timer has been forgiven since lastRx
}

// output is what a method of session asks of its caller.
type output struct {
	send     bool // a control packet is to be sent now
	final    bool // and carries the F bit
	echo     bool // an echo packet is to be sent now
	from, to State
	late     time.Duration // how late the timer that fired latest was
	reprieve bool          // a detection was put off because its timer was late
}

func (o output) changed() bool { return o.from != o.to }

func newSession(p Params, local uint32, echoOK bool, rng *rand.Rand, now time.Time) *session {
	s := &session{
		params: p,
		local:  local,
		rng:    rng,
		echoOK: echoOK,
		state:  Down,
		remote: remote{state: Down, requiredMinRx: time.Microsecond},
		auth:   authState{xmit: rng.Uint32()},
	}
	if p.AdminDown {
		s.state, s.diag = next(Down, DiagNone, disable)
	}
	s.announceIntervals()
	// The first packet of many sessions that start together is spread over a tenth of a second.
	s.lastTx = now.Add(-scale(s.transmitInterval(), 0.9))
	s.nextTx = now.Add(time.Duration(rng.Int64N(int64(time.Second / 10))))
	s.scheduleTx(now)
	return s
}

// receive handles a packet that has passed the checks of the codec and of the demultiplexer; b is
// the packet as it came, and at the time at which the kernel received it. ok is false if the
// packet fails authentication; then nothing has changed. The order is that of RFC 5880 section
// 6.8.6.
func (s *session) receive(p *Packet, b []byte, at, now time.Time) (out output, ok bool) {
	out.from, out.to = s.state, s.state
	if !s.authentic(p, b, now) {
		return out, false
	}
	s.remote = remote{
		state:         p.State,
		diag:          p.Diagnostic,
		discriminator: p.MyDiscriminator,
		multiplier:    p.DetectMultiplier,
		desiredMinTx:  p.DesiredMinTx,
		requiredMinRx: p.RequiredMinRx,
		minEchoRx:     p.RequiredMinEchoRx,
		demand:        p.Demand,
	}
	if at.After(s.lastRx) {
		s.lastRx = at
	}
	s.reprieve = false
	s.auth.horizon = 2 * s.detectionTime()
	if p.Final && s.polling {
		s.pollEnds(&out)
	}
	if s.state == AdminDown {
		s.reschedule(now)
		return out, true
	}
	s.step(received(p.State), &out)
	s.reschedule(now)
	if p.Poll {
		out.send, out.final = true, true
	}
	return out, true
}

// authentic applies the authentication of the session to a packet.
func (s *session) authentic(p *Packet, b []byte, now time.Time) bool {
	if p.Auth.Type != s.params.Auth.Type {
		return false
	}
	if p.Auth.Type == AuthNone {
		return true
	}
	for _, k := range s.params.Auth.Keys {
		if k.ID == p.Auth.KeyID {
			s.auth.forget(now)
			return k.verify(b, p) && s.auth.accept(p.Auth.Type, p.Auth.Sequence, p.DetectMultiplier, now)
		}
	}
	return false
}

// step runs the state machine and what depends on the state.
func (s *session) step(t trigger, out *output) {
	state, diag := next(s.state, s.diag, t)
	if state == s.state {
		return
	}
	s.state, s.diag = state, diag
	out.to = state
	out.send = true
	s.announceIntervals()
}

// update changes the parameters of a session in flight. Changed intervals are announced to the
// peer by a Poll Sequence and do not disturb the session.
func (s *session) update(p Params, now time.Time) (out output) {
	out.from, out.to = s.state, s.state
	old := s.params
	s.params = p
	if old.Auth.Type != p.Auth.Type {
		s.auth.known = false
	}
	switch {
	case p.AdminDown:
		s.step(disable, &out)
	case s.state == AdminDown:
		s.step(enable, &out)
	}
	echo := old.EchoMode != p.EchoMode || p.EchoMode && old.EchoInterval != p.EchoInterval
	if s.announceIntervals() || old.DetectMultiplier != p.DetectMultiplier || echo || old.Passive && !p.Passive {
		out.send = true
	}
	s.reschedule(now)
	return out
}

// deadline is the time of the next call of expire; zero for none.
func (s *session) deadline() time.Time {
	d := earliest(s.nextTx, s.detectAt)
	d = earliest(d, s.echo.nextTx)
	return earliest(d, s.echo.detectAt)
}

// expire fires the timers that are due. A detection timer that fired more than lateness after its
// time proves that this system was behind, not that the peer is gone: the peer gets one more packet
// interval, once. The caller has read all sockets empty if a detection timer is due.
func (s *session) expire(lateness time.Duration, now time.Time) (out output) {
	out.from, out.to = s.state, s.state
	for _, at := range []time.Time{s.detectAt, s.nextTx, s.echo.nextTx, s.echo.detectAt} {
		if due(at, now) {
			out.late = max(out.late, now.Sub(at))
		}
	}
	if due(s.detectAt, now) {
		s.detectionFires(lateness, &out, now)
	}
	if due(s.echo.detectAt, now) {
		s.echoDetectionFires(lateness, &out, now)
	}
	if due(s.nextTx, now) {
		out.send = true
	}
	if due(s.echo.nextTx, now) {
		out.echo = true
		s.echo.sent(s.echoInterval(), s.jitter(), now)
	}
	return out
}

func (s *session) detectionFires(lateness time.Duration, out *output, now time.Time) {
	if late := now.Sub(s.detectAt); late > lateness && !s.reprieve && s.state >= Init {
		s.reprieve, out.reprieve = true, true
		s.detectAt = now.Add(s.receiveInterval())
		return
	}
	s.detectAt, s.reprieve = time.Time{}, false
	// RFC 5880 section 6.8.1: the discriminator is forgotten after a detection time without packets.
	s.remote = remote{state: Down, requiredMinRx: time.Microsecond, diag: s.remote.diag}
	s.step(detectionExpired, out)
	s.reschedule(now)
}

func earliest(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

func due(at, now time.Time) bool { return !at.IsZero() && !at.After(now) }
