package probe

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// extraInFlight is how many attempts beyond those that the timeout allows for
// may be under way before one is skipped.
const extraInFlight = 16

// Probe is a probe under way.
type Probe struct {
	opts   Options
	client client
	ns     *Namespace
	start  time.Time

	ops    chan func(*state) // served by the goroutine that owns the state
	cancel context.CancelFunc
	ready  chan struct{} // closed when the control reading is complete
	done   chan struct{} // closed when reading is complete
	final  reading       // set before done is closed
	stop   func() Report
}

// state is owned by the recorder.
type state struct {
	reading
	progress    Progress
	controlSize int // attempts of the control reading, once known
	controlDone int // of these, how many ended
	controlOver bool
}

// Progress is a Probe's count so far.
type Progress struct {
	OK, Failed int

	// Backend is who answered the newest success. Reason is that of the newest
	// attempt, empty for a success.
	Backend string
	Reason  Reason

	// Control is whether the control reading is still going on.
	Control bool
}

// Start begins to probe. The Probe goes on until ctx ends or Stop is called;
// Stop must be called in any case.
func Start(ctx context.Context, opts Options) (*Probe, error) {
	opts, t, err := opts.normalize()
	if err != nil {
		return nil, err
	}
	p := &Probe{
		opts:   opts,
		client: client{target: t, timeout: opts.Timeout, dial: opts.Dial, neighbor: func() Neighbor { return Neighbor{} }},
		ops:    make(chan func(*state)),
		ready:  make(chan struct{}),
		done:   make(chan struct{}),
	}
	if opts.Dial == nil || opts.Namespace != "" {
		if p.ns, err = In(opts.Namespace); err != nil {
			return nil, err
		}
		p.client.neighbor = func() Neighbor {
			// No route is what the attempt has just failed of.
			n, _ := p.ns.Neighbor(t.addr.Addr())
			return n
		}
		if opts.Dial == nil {
			p.client.dial = p.ns.DialContext
		}
	}
	ctx, p.cancel = context.WithCancel(ctx)
	p.start = time.Now()
	go p.run(ctx)
	p.stop = sync.OnceValue(func() Report {
		p.cancel()
		<-p.done
		return analyse(p.final)
	})
	return p, nil
}

// Mark notes that something called name happens now.
func (p *Probe) Mark(name string) {
	at := p.since()
	p.do(func(s *state) { s.marks = append(s.marks, Mark{Name: name, At: at}) })
}

// Ready waits until the control reading is complete, so that faults may begin.
// It returns an error if an attempt of it failed, or ctx or the probe ended
// first.
func (p *Probe) Ready(ctx context.Context) error {
	select {
	case <-p.ready:
	case <-p.done:
		return errors.New("probe: stopped already")
	case <-ctx.Done():
		return fmt.Errorf("probe: control reading: %w", ctx.Err())
	}
	var failed []Attempt
	p.do(func(s *state) {
		for _, a := range s.attempts {
			if a.Start < p.opts.Control && !a.OK() {
				failed = append(failed, a)
			}
		}
	})
	if len(failed) > 0 {
		return fmt.Errorf("probe: %d attempts of the control reading of %s failed, one with: %s", len(failed), p.opts.URL, failed[0].Error)
	}
	return nil
}

// Progress returns the count so far.
func (p *Probe) Progress() Progress {
	var out Progress
	p.do(func(s *state) {
		out = s.progress
		out.Control = !s.controlOver
	})
	return out
}

// Stop ends the probe, waits for the attempts that are under way, which takes
// at most the timeout, and returns the report. Called again, it returns the
// same report.
func (p *Probe) Stop() Report { return p.stop() }

func (p *Probe) since() time.Duration { return time.Since(p.start) }

// do runs f on the state; once the probe has ended it does nothing.
func (p *Probe) do(f func(*state)) {
	ran := make(chan struct{})
	select {
	case p.ops <- func(s *state) { f(s); close(ran) }:
		<-ran
	case <-p.done:
	}
}

// run starts everything, waits for it and publishes the reading.
func (p *Probe) run(ctx context.Context) {
	s := &state{reading: reading{
		url: p.opts.URL, began: p.start, interval: p.opts.Interval, timeout: p.opts.Timeout, control: p.opts.Control,
	}}
	var work sync.WaitGroup
	work.Go(func() { p.schedule(ctx) })
	for i := range p.opts.Hold {
		work.Go(func() { p.hold(ctx, i+1) })
	}
	finished := make(chan struct{})
	go func() { work.Wait(); close(finished) }()
	for {
		select {
		case op := <-p.ops:
			op(s)
			continue
		case <-finished:
		}
		break
	}
	p.final = s.reading
	if p.ns != nil {
		// Nothing uses the namespace any more, and closing a handle has no
		// error that matters.
		_ = p.ns.Close()
	}
	close(p.done)
}

// schedule starts an attempt every interval, whatever became of earlier ones,
// and returns when ctx has ended and all have.
func (p *Probe) schedule(ctx context.Context) {
	var flying sync.WaitGroup
	slots := make(chan struct{}, int(p.opts.Timeout/p.opts.Interval)+extraInFlight)
	timer := time.NewTimer(0)
	defer timer.Stop()
	launched, skipped, controlOver := 0, 0, false
	var lag time.Duration
	for tick := 0; ; tick++ {
		due := time.Duration(tick) * p.opts.Interval
		timer.Reset(due - p.since())
		select {
		case <-timer.C:
		case <-ctx.Done():
		}
		if ctx.Err() != nil {
			break
		}
		now := p.since()
		lag = max(lag, now-due)
		if !controlOver && now >= p.opts.Control {
			controlOver = true
			p.do(func(s *state) { s.controlOver, s.controlSize = true, launched; p.tellReady(s) })
		}
		if missed := int((now - due) / p.opts.Interval); missed > 0 {
			skipped, tick = skipped+missed, tick+missed
		}
		select {
		case slots <- struct{}{}:
		default:
			skipped++
			continue
		}
		n := launched
		launched++
		flying.Go(func() {
			defer func() { <-slots }()
			start := p.since()
			// An attempt ends by its own timeout: one that the stop cut short
			// would look like a failure.
			a := p.client.attempt(context.WithoutCancel(ctx))
			a.Start, a.End = start, p.since()
			p.do(func(s *state) { p.record(s, n, a) })
		})
	}
	ended := p.since()
	flying.Wait()
	p.do(func(s *state) { s.ended, s.skipped, s.lag = ended, skipped, lag })
}

// record adds the attempt number n to the state.
func (p *Probe) record(s *state, n int, a Attempt) {
	s.attempts = append(s.attempts, a)
	s.progress.Reason = a.Reason
	if a.OK() {
		s.progress.OK++
		s.progress.Backend = a.Backend
	} else {
		s.progress.Failed++
	}
	if !s.controlOver || n < s.controlSize {
		s.controlDone++
	}
	p.tellReady(s)
}

// tellReady closes ready when the last attempt of the control reading ended.
func (p *Probe) tellReady(s *state) {
	if !s.controlOver || s.controlDone < s.controlSize {
		return
	}
	select {
	case <-p.ready:
	default:
		close(p.ready)
	}
}
