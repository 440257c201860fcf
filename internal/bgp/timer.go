package bgp

import (
	"math/rand/v2"
	"time"
)

// timer is a timer that always exists and may be off.
type timer struct{ t *time.Timer }

func newTimer() timer {
	t := time.NewTimer(time.Hour)
	t.Stop()
	return timer{t}
}

// start runs the timer anew. A duration of 0 or less turns it off.
func (t timer) start(d time.Duration) {
	if d <= 0 {
		t.t.Stop()
		return
	}
	t.t.Reset(d)
}

func (t timer) stop() { t.t.Stop() }

func (t timer) fired() <-chan time.Time { return t.t.C }

// jitter shortens a duration by up to a quarter (RFC 4271, section 10).
func jitter(d time.Duration) time.Duration {
	if d <= 0 {
		return d
	}
	return d - time.Duration(rand.Int64N(int64(d)/4+1))
}

const (
	// quickHoldDown is for a session that was stable: what ended it may be over already, as when
	// a machine was too busy for BFD.
	quickHoldDown = 100 * time.Millisecond
	firstHoldDown = time.Second
	maxHoldDown   = time.Minute
	// stable is how long a session must have been up for earlier failures to be forgotten.
	stable = 30 * time.Second
)

// backOff counts failures in a row (DampPeerOscillations of RFC 4271, section 8.1.1).
type backOff struct {
	failures  int
	wasStable bool
}

// next returns how long to stay in Idle after one more failure.
func (b *backOff) next() time.Duration {
	if b.wasStable {
		b.wasStable = false
		return jitter(quickHoldDown)
	}
	d := maxHoldDown
	if b.failures < 6 {
		d = firstHoldDown << b.failures
	}
	b.failures++
	return jitter(d)
}

// reset forgets the failures, as the session was stable.
func (b *backOff) reset() { *b = backOff{wasStable: true} }
