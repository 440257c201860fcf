package apiserver

import (
	"log/slog"
	"math/rand/v2"
	"net/http"
	"sync"
	"time"
)

// While the API server is away, it is asked again after firstPause, and each time after twice as
// long up to lastPause; half of each pause is left to chance, since all nodes ask.
const (
	firstPause = 100 * time.Millisecond
	lastPause  = 2 * time.Second
)

// patience repeats reads that got no answer at all, over all of a process's requests at the pace
// of one. Answers that refuse are handed on: what they ask for, the caller knows.
//
// The library that lists and watches would wait up to a minute between two attempts, and each
// kind of object for itself.
type patience struct {
	next http.RoundTripper
	log  *slog.Logger

	mu sync.Mutex
	// failures is how many attempts in a row had no answer.
	failures int
	// since is when the first of them ended, and at is when the next attempt may begin.
	since, at time.Time
	// back is closed when an attempt is answered.
	back chan struct{}
}

func newPatience(next http.RoundTripper, log *slog.Logger) *patience {
	return &patience{next: next, log: log}
}

// RoundTrip implements http.RoundTripper.
func (p *patience) RoundTrip(req *http.Request) (*http.Response, error) {
	forAll := false
	for {
		res, err := p.next.RoundTrip(req)
		if err == nil {
			p.answered()
			return res, nil
		}
		if req.Method != http.MethodGet || req.Context().Err() != nil {
			return nil, err
		}
		p.failed(err, forAll)
		var again bool
		if forAll, again = p.wait(req); !again {
			return nil, err
		}
	}
}

func (p *patience) answered() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.failures > 1 {
		p.log.Info("the API server answers again", "away", time.Since(p.since).Round(time.Millisecond))
	}
	if p.failures > 0 {
		close(p.back)
	}
	p.failures, p.back = 0, nil
}

// failed takes note of an attempt without answer: of the first one, and then of those made for all.
func (p *patience) failed(err error, forAll bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.failures > 0 && !forAll {
		return
	}
	now := time.Now()
	if p.failures == 0 {
		p.since, p.back = now, make(chan struct{})
	}
	p.failures++
	if p.failures == 2 {
		p.log.Warn("the API server does not answer; what was known stays in force, and it is asked until it does", "error", err)
	}
	p.at = now.Add(pause(p.failures))
}

// pause is how long to wait after so many failures. The first may be that of an old connection.
func pause(failures int) time.Duration {
	if failures == 1 {
		return 0
	}
	d := min(firstPause<<min(failures-2, 16), lastPause)
	return d/2 + rand.N(d/2)
}

// wait returns when the request may be sent again, with whether that is the attempt that is made
// for all; again is false if the request's context is done.
func (p *patience) wait(req *http.Request) (forAll, again bool) {
	for {
		d, back := p.turn()
		if d <= 0 {
			return back != nil, true
		}
		timer := time.NewTimer(d)
		select {
		case <-timer.C:
		case <-back:
			timer.Stop()
		case <-req.Context().Done():
			timer.Stop()
			return false, false
		}
	}
}

// turn gives the caller the next attempt for all, or else says how long it is until then, and what
// ends the wait before. back is nil if nobody needs to wait any more.
func (p *patience) turn() (d time.Duration, back <-chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.failures == 0 {
		return 0, nil
	}
	now := time.Now()
	if d := p.at.Sub(now); d > 0 {
		return d, p.back
	}
	// The others wait for what becomes of this attempt, but not for long, as it may hang.
	p.at = now.Add(lastPause)
	return 0, p.back
}
