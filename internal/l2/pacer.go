package l2

import (
	"context"
	"time"

	"golang.org/x/time/rate"
)

const (
	// roundFrames is the most frames that one round sends: both forms of ARP.
	roundFrames = 2
	// pause is the least time slept for want of budget, so that a long backlog is sent in
	// small groups and not with a wake-up for each frame.
	pause = 5 * time.Millisecond
)

// change tells the pacer about addresses that begin or end.
type change[K comparable] struct {
	add, remove []K
}

// pacer sends the unsolicited rounds of all addresses on all links from one goroutine,
// within a budget of frames per second.
type pacer[K comparable] struct {
	schedule *schedule[K]
	budget   *rate.Limiter
	changes  chan change[K]
	// send transmits one round and returns the number of frames. It does not block.
	send func(K) int
	seq  uint64
}

// newPacer makes a pacer that sends at most so many frames a second, and after quiet an
// eighth of a second's worth at once.
func newPacer[K comparable](r rhythm, framesPerSecond int, send func(K) int) *pacer[K] {
	burst := max(framesPerSecond/8, roundFrames)
	return &pacer[K]{
		schedule: newSchedule[K](r),
		budget:   rate.NewLimiter(rate.Limit(framesPerSecond), burst),
		changes:  make(chan change[K]),
		send:     send,
	}
}

// run sends until the context ends.
func (p *pacer[K]) run(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		wait, ok := p.work(time.Now())
		if ok {
			timer.Reset(wait)
		} else {
			timer.Stop()
		}
		select {
		case <-ctx.Done():
			return
		case c := <-p.changes:
			p.apply(c, time.Now())
		case <-timer.C:
		}
	}
}

func (p *pacer[K]) apply(c change[K], now time.Time) {
	for _, k := range c.remove {
		p.schedule.remove(k)
	}
	for _, k := range c.add {
		p.seq++
		p.schedule.add(k, now, p.seq)
	}
}

// work sends what is due and affordable and tells how long there is nothing to do; false
// means until the next change. The budget's size bounds how long it stays away from
// changes.
func (p *pacer[K]) work(now time.Time) (wait time.Duration, ok bool) {
	for p.budget.TokensAt(now) >= roundFrames {
		k, due := p.schedule.next(now)
		if !due {
			at, ok := p.schedule.wake()
			return at.Sub(now), ok
		}
		p.budget.AllowN(now, p.send(k))
	}
	at, ok := p.schedule.wake()
	return max(at.Sub(now), pause), ok
}
