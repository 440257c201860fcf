package bfd

import "time"

// slowInterval is the shortest interval between packets of a session that is not Up (RFC 5880
// section 6.8.3).
const slowInterval = time.Second

// announceIntervals brings what is told to the peer in line with parameters and state. While the
// session is Up, a change starts a Poll Sequence, and a longer transmit or a shorter receive
// interval is not in force before the peer has confirmed it (RFC 5880 section 6.8.3). In other
// states the peer runs no fast timers that a change could surprise, and packets tell it soon enough.
// It reports whether a Poll Sequence has started.
func (s *session) announceIntervals() bool {
	tx, rx := s.params.TransmitInterval, s.params.ReceiveInterval
	if s.state != Up {
		tx = max(tx, slowInterval)
		s.desiredMinTx, s.txInForce = tx, tx
		s.requiredMinRx, s.rxInForce = rx, rx
		s.polling, s.pollAgain = false, false
		return false
	}
	if tx == s.desiredMinTx && rx == s.requiredMinRx {
		return false
	}
	s.desiredMinTx, s.requiredMinRx = tx, rx
	s.txInForce = min(s.txInForce, tx)
	s.rxInForce = max(s.rxInForce, rx)
	s.pollAgain = s.polling
	s.polling = true
	return true
}

// pollEnds handles the F bit. If the intervals changed during the sequence, the answer may be to the
// old ones, and another sequence follows.
func (s *session) pollEnds(out *output) {
	if s.pollAgain {
		s.pollAgain = false
		out.send = true
		return
	}
	s.polling = false
	s.txInForce, s.rxInForce = s.desiredMinTx, s.requiredMinRx
}

// transmitInterval is the interval between packets sent, before jitter (RFC 5880 section 6.8.7).
func (s *session) transmitInterval() time.Duration {
	return max(s.txInForce, s.remote.requiredMinRx)
}

// receiveInterval is the interval at which the peer sends, before its jitter.
func (s *session) receiveInterval() time.Duration {
	return max(s.rxInForce, s.remote.desiredMinTx)
}

// detectionTime is RFC 5880 section 6.8.4 for the asynchronous mode. It is zero before the first
// packet.
func (s *session) detectionTime() time.Duration {
	return time.Duration(s.remote.multiplier) * s.receiveInterval()
}

// silent reports whether no periodic packets are to be sent (RFC 5880 section 6.8.7).
func (s *session) silent() bool {
	switch {
	case s.mute():
		return true
	case s.remote.requiredMinRx == 0:
		return true
	}
	return s.remote.demand && s.state == Up && s.remote.state == Up && !s.polling
}

// mute reports whether no packet at all is to be sent: a passive system waits for the peer.
func (s *session) mute() bool { return s.params.Passive && s.remote.discriminator == 0 }

// jitter is the factor on intervals: 75 to 100 %, and at most 90 % with a multiplier of one
// (RFC 5880 section 6.8.7).
func (s *session) jitter() float64 {
	span := 0.25
	if s.params.DetectMultiplier == 1 {
		span = 0.15
	}
	return 0.75 + span*s.rng.Float64()
}

// reschedule sets all timers after a change of state, parameters or what the peer told.
func (s *session) reschedule(now time.Time) {
	s.scheduleTx(now)
	if d := s.detectionTime(); d > 0 && !s.reprieve {
		s.detectAt = s.lastRx.Add(d)
	}
	s.rescheduleEcho(now)
}

// scheduleTx keeps the packet that is due next if the interval has not changed by it: the timer is
// set anew only where the pending time lies outside of what the interval allows.
func (s *session) scheduleTx(now time.Time) {
	if s.silent() {
		s.nextTx = time.Time{}
		return
	}
	interval := s.transmitInterval()
	earliest := s.lastTx.Add(scale(interval, 0.75))
	if !s.nextTx.IsZero() && !s.nextTx.Before(earliest) && !s.nextTx.After(s.lastTx.Add(interval)) {
		return
	}
	s.nextTx = s.lastTx.Add(scale(interval, s.jitter()))
	if s.nextTx.Before(now) {
		s.nextTx = now
	}
}

// slack is how much early a packet may leave if this system is awake anyway. With hundreds of
// sessions it halves the work.
const slack = time.Millisecond

// mayHurry reports whether the next periodic packet may be sent now, a little early and yet not before
// three quarters of the interval have passed.
func (s *session) mayHurry(now time.Time) bool {
	return due(s.nextTx, now.Add(slack)) && now.Sub(s.lastTx) >= scale(s.transmitInterval(), 0.75)
}

// transmit fills p with the packet to be sent now and sets the timer for the following one. It
// returns false if nothing may be sent.
func (s *session) transmit(p *Packet, final bool, now time.Time) bool {
	if s.mute() {
		s.nextTx = time.Time{}
		return false
	}
	*p = Packet{
		Diagnostic:        s.diag,
		State:             s.state,
		Poll:              s.polling && !final,
		Final:             final,
		DetectMultiplier:  s.params.DetectMultiplier,
		MyDiscriminator:   s.local,
		YourDiscriminator: s.remote.discriminator,
		DesiredMinTx:      s.desiredMinTx,
		RequiredMinRx:     s.requiredMinRx,
	}
	if s.echoOK && s.params.EchoMode && s.forwards {
		p.RequiredMinEchoRx = s.params.EchoInterval
	}
	s.lastTx = now
	s.nextTx = time.Time{}
	s.scheduleTx(now)
	return true
}

func scale(d time.Duration, f float64) time.Duration { return time.Duration(float64(d) * f) }
