package bfd

import (
	"encoding/binary"
	"time"
)

// echoLen is the length of the payload of this system's echo packets. Its form is a local matter
// (RFC 5880 section 5): discriminator, sequence number, and a random token, so that nobody off the
// path can forge one.
const echoLen = 16

// echoState is the echo function of one session (RFC 5880 sections 6.4 and 6.8.8 to 6.8.9).
//
// The function sends while the session is Up and the peer accepts echo packets. It judges the path
// only once a packet has come back in the life of the session: a peer that never forwards, or a
// filter between, must not take down a session whose control packets flow. The control packets keep their
// negotiated rate; the lower rate that RFC 5880 section 6.8.3 suggests would trade the faster of two
// detections for less traffic.
type echoState struct {
	token    uint64
	sequence uint32
	armed    bool // a packet has come back in the life of the session
	lastRx   time.Time
	nextTx   time.Time // zero: the function is off
	detectAt time.Time // zero: not armed
	reprieve bool
}

// EchoStatus says whether the echo function works on a session, or why not.
type EchoStatus uint8

// The states of the echo function.
const (
	EchoOff         EchoStatus = iota // not asked for
	EchoUnsupported                   // asked for on a session that is not one IPv4 hop
	EchoNoForward                     // this system does not forward IPv4, so the peer's echo packets cannot be returned; its own are sent
	EchoNotUp                         // the session is not Up
	EchoRefused                       // the peer accepts no echo packets
	EchoUnanswered                    // none has ever come back
	EchoActive                        // packets come back and are judged
)

// String gives the state in words.
func (e EchoStatus) String() string {
	switch e {
	case EchoOff:
		return "off"
	case EchoUnsupported:
		return "not possible: echo works over one IPv4 hop only"
	case EchoNoForward:
		return "active; the peer's own echo is refused because this system does not forward IPv4"
	case EchoNotUp:
		return "waiting for the session to come up"
	case EchoRefused:
		return "refused by the peer: its required minimum echo receive interval is 0"
	case EchoUnanswered:
		return "no echo packet has come back: does the peer forward IPv4, and is UDP port 3785 open?"
	case EchoActive:
		return "active"
	}
	return "unknown"
}

func (s *session) echoWanted() bool {
	return s.echoOK && s.params.EchoMode && s.state == Up && s.remote.minEchoRx > 0
}

// echoInterval is the interval between echo packets before jitter.
func (s *session) echoInterval() time.Duration {
	return max(s.params.EchoInterval, s.remote.minEchoRx)
}

func (s *session) echoDetectionTime() time.Duration {
	return time.Duration(s.params.DetectMultiplier) * s.echoInterval()
}

// rescheduleEcho starts or stops the function.
func (s *session) rescheduleEcho(now time.Time) {
	if !s.echoWanted() {
		s.echo = echoState{sequence: s.echo.sequence, armed: s.echo.armed}
		return
	}
	if s.echo.nextTx.IsZero() {
		s.echo.token, s.echo.nextTx, s.echo.lastRx = s.rng.Uint64(), now, now
	}
	if s.echo.armed && !s.echo.reprieve {
		s.echo.detectAt = s.echo.lastRx.Add(s.echoDetectionTime())
	}
}

func (e *echoState) sent(interval time.Duration, jitter float64, now time.Time) {
	e.sequence++
	e.nextTx = now.Add(scale(interval, jitter))
}

// appendEcho appends the payload of the echo packet to be sent now.
func (s *session) appendEcho(b []byte) []byte {
	b = binary.BigEndian.AppendUint32(b, s.local)
	b = binary.BigEndian.AppendUint32(b, s.echo.sequence)
	return binary.BigEndian.AppendUint64(b, s.echo.token)
}

// echoDiscriminator returns the discriminator in an echo payload of this system's form.
func echoDiscriminator(b []byte) (uint32, bool) {
	if len(b) != echoLen {
		return 0, false
	}
	return binary.BigEndian.Uint32(b), true
}

// receiveEcho handles a payload with the discriminator of the session. It reports whether the
// packet is one that the session sent recently.
func (s *session) receiveEcho(b []byte, at, now time.Time) bool {
	behind := s.echo.sequence - binary.BigEndian.Uint32(b[4:])
	if s.echo.nextTx.IsZero() || binary.BigEndian.Uint64(b[8:]) != s.echo.token ||
		behind > uint32(s.params.DetectMultiplier) {
		return false
	}
	s.echo.armed, s.echo.reprieve = true, false
	if at.After(s.echo.lastRx) {
		s.echo.lastRx = at
	}
	s.rescheduleEcho(now)
	return true
}

// echoDetectionFires judges the echo function, with the same reserve as the detection timer.
func (s *session) echoDetectionFires(lateness time.Duration, out *output, now time.Time) {
	if s.state != Up {
		return
	}
	if late := now.Sub(s.echo.detectAt); late > lateness && !s.echo.reprieve {
		s.echo.reprieve, out.reprieve = true, true
		s.echo.detectAt = now.Add(s.echoInterval())
		return
	}
	s.step(echoExpired, out)
	s.reschedule(now)
}

func (s *session) echoStatus() EchoStatus {
	switch {
	case !s.params.EchoMode:
		return EchoOff
	case !s.echoOK:
		return EchoUnsupported
	case s.state != Up:
		return EchoNotUp
	case s.remote.minEchoRx == 0:
		return EchoRefused
	case !s.echo.armed:
		return EchoUnanswered
	case !s.forwards:
		return EchoNoForward
	}
	return EchoActive
}
