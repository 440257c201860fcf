package l2

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/netip"
	"regexp"
	"sync"
	"sync/atomic"
	"time"

	"github.com/lintel-lb/lintel/internal/links"
)

const (
	// DefaultRate is the number of unsolicited frames sent per second at most. Two frames
	// announce an IPv4 address, one an IPv6 address.
	DefaultRate = 2000
	// DefaultRefresh is the mean time between unsolicited rounds for an owned address.
	DefaultRefresh = 60 * time.Second

	// retryAfter is the pause before what the operating system refused is tried again.
	retryAfter = time.Second
	// joinChunk is the number of groups joined at one go, so that a withdrawal never waits
	// for thousands of them.
	joinChunk = 128
)

// burst are the pauses between the rounds that announce an address: quick at first, to
// take over at once even if a frame is lost, then spaced for networks that need seconds
// to forward after a change.
func burst() []time.Duration {
	return []time.Duration{
		100 * time.Millisecond, 200 * time.Millisecond, 400 * time.Millisecond,
		800 * time.Millisecond, 1600 * time.Millisecond,
	}
}

// LinkSource tells what links there are; links.Watcher is one.
type LinkSource interface {
	Snapshot() *links.Snapshot
	Subscribe() <-chan struct{}
}

// Options configure an Engine.
type Options struct {
	// Log and Links must be set.
	Log   *slog.Logger
	Links LinkSource
	// Exclude keeps links whose name matches any of the patterns from being used.
	Exclude []*regexp.Regexp
	// Rate is the most unsolicited frames sent per second; DefaultRate if not positive.
	Rate int
	// Refresh is the mean time between unsolicited rounds for an address, varied by a
	// tenth; DefaultRefresh if not positive.
	Refresh time.Duration
}

// Engine answers for the desired addresses on the links that exist. Make it with New; one
// Run serves it.
type Engine struct {
	log     *slog.Logger
	source  LinkSource
	exclude []*regexp.Regexp
	pacer   *pacer[round]

	desired  atomic.Pointer[versioned]
	version  atomic.Uint64
	wake     chan struct{}
	announce chan []netip.Addr
	jobs     chan func()
	stopped  chan struct{}

	view    atomic.Pointer[view]
	changed chan struct{}
}

type versioned struct {
	Desired
	version uint64
	// names are the links that scopes name.
	names map[string]bool
}

// round is what the pacer schedules: one address on one link.
type round struct {
	port  *port
	entry *entry
}

// New makes an Engine that answers for nothing yet.
func New(o Options) *Engine {
	if o.Rate <= 0 {
		o.Rate = DefaultRate
	}
	if o.Refresh <= 0 {
		o.Refresh = DefaultRefresh
	}
	e := &Engine{
		log:      o.Log,
		source:   o.Links,
		exclude:  o.Exclude,
		wake:     make(chan struct{}, 1),
		announce: make(chan []netip.Addr),
		jobs:     make(chan func()),
		stopped:  make(chan struct{}),
		changed:  make(chan struct{}, 1),
	}
	r := rhythm{gaps: burst(), refresh: o.Refresh, spread: func() float64 { return 0.9 + 0.2*rand.Float64() }}
	e.pacer = newPacer(r, o.Rate, func(r round) int { return r.port.announce(r.entry) })
	e.desired.Store(&versioned{})
	e.view.Store(&view{})
	return e
}

// Set replaces the whole desired set and returns its version, which State.Applied shows
// once it is in force. It does not block; of several sets only the latest counts. What is
// in both the old and the new set goes on undisturbed: it is not announced again.
func (e *Engine) Set(d Desired) (version uint64) {
	v := &versioned{Desired: d, version: e.version.Add(1), names: namesIn(d)}
	for {
		old := e.desired.Load()
		if old.version > v.version || e.desired.CompareAndSwap(old, v) {
			break
		}
	}
	signal(e.wake)
	return v.version
}

// Announce begins the burst afresh for those of the addresses that are answered, on all
// their links: after a dispute that this host has won, neighbours may know the loser.
func (e *Engine) Announce(ctx context.Context, addrs ...netip.Addr) error {
	select {
	case e.announce <- addrs:
		return nil
	case <-e.stopped:
		return ErrStopped
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Changed receives after the state has changed in anything but its counters, and after
// every Set that has come into force. It is for one receiver.
func (e *Engine) Changed() <-chan struct{} { return e.changed }

// Run does the work until the context ends, and returns its error. All sockets are opened
// from the calling goroutine: one that is locked to a thread in another network namespace
// answers in that namespace. Run may be called once.
func (e *Engine) Run(ctx context.Context) error {
	defer close(e.stopped)
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	wg.Go(func() { e.pacer.run(ctx) })

	w := newWorker(e, ctx)
	defer w.close()
	linksChanged := e.source.Subscribe()
	retry := time.NewTimer(0)
	defer retry.Stop()
	more := make(chan struct{}, 1)
	for {
		proceed := w.reconcile
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-e.wake:
		case <-linksChanged:
		case <-more:
			proceed = w.resume
		case <-retry.C:
		case p := <-w.died:
			w.lose(p)
		case addrs := <-e.announce:
			w.again(addrs)
			continue
		case job := <-e.jobs:
			job()
			continue
		}
		unfinished, failed := proceed()
		if unfinished {
			signal(more)
		}
		if failed {
			retry.Reset(retryAfter)
		}
	}
}

// inRun has Run's goroutine execute f, for the sake of the network namespace, and waits.
func (e *Engine) inRun(ctx context.Context, f func()) error {
	done := make(chan struct{})
	select {
	case e.jobs <- func() { f(); close(done) }:
		<-done // f does not block
		return nil
	case <-e.stopped:
		return ErrStopped
	case <-ctx.Done():
		return fmt.Errorf("l2: %w", ctx.Err())
	}
}

func signal(ch chan struct{}) {
	select {
	case ch <- struct{}{}:
	default:
	}
}
