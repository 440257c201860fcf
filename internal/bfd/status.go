package bfd

import (
	"sync/atomic"
	"time"
)

// Event is a change of the state of a session.
type Event struct {
	Key        Key
	From, To   State
	Diagnostic Diagnostic // why this system left Up; DiagNone when To is Up

	// RemoteState and RemoteDiagnostic are what the peer last told.
	RemoteState      State
	RemoteDiagnostic Diagnostic
	At               time.Time
}

// Up reports whether the session is Up now.
func (e Event) Up() bool { return e.To == Up }

// Failed reports whether the path to a peer has been lost. A session that an administrator took
// down at either end has not failed (RFC 5882 section 3.2).
func (e Event) Failed() bool {
	return e.From == Up && e.To == Down && e.RemoteState != AdminDown
}

// Facts are the state of a session apart from counters.
type Facts struct {
	State            State
	RemoteState      State // as last told; Down while the peer is not heard
	Diagnostic       Diagnostic
	RemoteDiagnostic Diagnostic
	Since            time.Time // of State

	// LastDown says why the session last left Up, and when; zero if it never did.
	LastDown   Diagnostic
	LastDownAt time.Time

	LocalDiscriminator  uint32
	RemoteDiscriminator uint32 // 0 while the peer is not heard

	// TransmitInterval and ReceiveInterval are those in force, after negotiation and before
	// jitter. DetectionTime is 0 while the peer is not heard.
	TransmitInterval time.Duration
	ReceiveInterval  time.Duration
	DetectionTime    time.Duration
	EchoInterval     time.Duration // 0 without echo packets

	// What the peer told of itself.
	RemoteTransmitInterval time.Duration
	RemoteReceiveInterval  time.Duration
	RemoteEchoInterval     time.Duration
	RemoteMultiplier       uint8

	Polling bool // a change of intervals is being announced
	Echo    EchoStatus

	// Error is what keeps the session from its sockets, in words; empty if nothing does.
	Error string
}

// Counters count since the session was set.
type Counters struct {
	ControlIn, ControlOut uint64
	EchoIn, EchoOut       uint64
	UpEvents, DownEvents  uint64

	LateTimers   uint64 // timers that fired more than Options.LateAfter after their time
	Reprieves    uint64 // detections put off because the timer was late
	AuthFailures uint64
	SendErrors   uint64
}

// Status is the state of one session.
type Status struct {
	Facts
	Counters
}

// Discards counts received packets that no session took, by reason.
type Discards struct {
	Malformed uint64 // RFC 5880 section 6.8.6
	TTL       uint64 // below the minimum: from too far away, or forged
	NoSession uint64
	Auth      uint64
}

// Snapshot is the state of all sessions. It is the caller's own.
type Snapshot struct {
	Sessions map[Key]Status
	Discards Discards

	// MaxLateness is the most that any timer was late since the engine started.
	MaxLateness time.Duration

	// Prioritized reports whether the kernel prefers the engine to other work of this system.
	Prioritized bool
}

// meter holds counters that the engine writes and anyone reads.
type meter struct {
	controlIn, controlOut, echoIn, echoOut        atomic.Uint64
	upEvents, downEvents                          atomic.Uint64
	lateTimers, reprieves, authFailures, sendErrs atomic.Uint64
}

func (m *meter) read() Counters {
	return Counters{
		ControlIn: m.controlIn.Load(), ControlOut: m.controlOut.Load(),
		EchoIn: m.echoIn.Load(), EchoOut: m.echoOut.Load(),
		UpEvents: m.upEvents.Load(), DownEvents: m.downEvents.Load(),
		LateTimers: m.lateTimers.Load(), Reprieves: m.reprieves.Load(),
		AuthFailures: m.authFailures.Load(), SendErrors: m.sendErrs.Load(),
	}
}

// facts gives what the session itself knows.
func (s *session) facts() Facts {
	f := Facts{
		State:                  s.state,
		RemoteState:            s.remote.state,
		Diagnostic:             s.diag,
		RemoteDiagnostic:       s.remote.diag,
		LocalDiscriminator:     s.local,
		RemoteDiscriminator:    s.remote.discriminator,
		TransmitInterval:       s.transmitInterval(),
		ReceiveInterval:        s.receiveInterval(),
		DetectionTime:          s.detectionTime(),
		RemoteTransmitInterval: s.remote.desiredMinTx,
		RemoteReceiveInterval:  s.remote.requiredMinRx,
		RemoteEchoInterval:     s.remote.minEchoRx,
		RemoteMultiplier:       s.remote.multiplier,
		Polling:                s.polling,
		Echo:                   s.echoStatus(),
	}
	if s.echoWanted() {
		f.EchoInterval = s.echoInterval()
	}
	return f
}
