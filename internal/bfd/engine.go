package bfd

import (
	"cmp"
	"context"
	crand "crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// defaultLateAfter is the quantum after which Go's scheduler takes the processor from a goroutine:
// less than this is no sign of trouble.
const defaultLateAfter = 10 * time.Millisecond

// Options are what an engine is made with. Zero values mean the defaults.
type Options struct {
	// Log takes state changes and socket troubles; nil for none.
	Log *slog.Logger

	// LateAfter is the lateness from which on a timer of this system counts as late, and a
	// detection timer may not judge at once. 0 means 10 ms.
	LateAfter time.Duration

	// Ports are the UDP ports; 0 means 3784, 4784 and 3785. Others are for private use between
	// systems that agree on them.
	SingleHopPort, MultiHopPort, EchoPort uint16
}

// Engine runs a set of BFD sessions. Its methods may be called from any goroutine.
type Engine struct {
	log       *journal
	lateAfter time.Duration
	net       network
	rng       *rand.Rand

	running atomic.Bool
	changed chan struct{}
	idle    chan struct{} // closed when all peers know of the shutdown
	done    chan struct{} // closed when Run has returned

	mu      sync.Mutex
	desired map[Key]Params
	fresh   bool // desired or stopped has not been looked at by Run
	stopped bool // by Shutdown
	subs    []*func(Event)

	public      atomic.Pointer[[]*member]
	subscribers atomic.Pointer[[]*func(Event)]
	discards    struct{ malformed, ttl, noSession, auth atomic.Uint64 }
	maxLateness atomic.Int64
	prioritized atomic.Bool

	// The rest belongs to the goroutine of Run.
	members   map[Key]*member
	leaving   map[*member]bool
	queue     queue
	demux     demux
	listeners map[listenKey]receiver
	broken    map[receiver]bool // to be replaced by the next repair
	retryAt   time.Time         // of the next attempt to open what could not be opened; zero for none
	stopping  bool
	dirty     bool // facts have changed since the last signal
	take      func(*datagram)
	rx, txPkt Packet
	buf       []byte
}

// New makes an engine without sessions.
func New(o Options) *Engine {
	ports := ports{
		singleHop: cmp.Or(o.SingleHopPort, 3784),
		multiHop:  cmp.Or(o.MultiHopPort, 4784),
		echo:      cmp.Or(o.EchoPort, 3785),
	}
	return newEngine(o, newNetwork(ports))
}

func newEngine(o Options, n network) *Engine {
	var seed [32]byte
	_, _ = crand.Read(seed[:]) // it never fails, as its documentation says
	e := &Engine{
		log:       newJournal(o.Log),
		lateAfter: cmp.Or(o.LateAfter, defaultLateAfter),
		net:       n,
		rng:       rand.New(rand.NewChaCha8(seed)),
		changed:   make(chan struct{}, 1),
		idle:      make(chan struct{}),
		done:      make(chan struct{}),
		members:   map[Key]*member{},
		leaving:   map[*member]bool{},
		demux:     newDemux(),
		listeners: map[listenKey]receiver{},
		broken:    map[receiver]bool{},
		buf:       make([]byte, 0, maxPacketLen),
	}
	e.take = e.receive
	return e
}

// Set gives the whole desired set of sessions. Sessions that are no longer in it go to AdminDown and
// are closed once the peer knows; new ones start Down; those with other parameters change in flight,
// without going down. Sessions with impossible keys or parameters are refused, each with an error
// that wraps [ErrParams], and take no other with them. Set does not wait and keeps no reference to
// the map; after Shutdown it has no effect.
func (e *Engine) Set(desired map[Key]Params) error {
	accepted := make(map[Key]Params, len(desired))
	var errs []error
	for k, p := range desired {
		p = p.withDefaults()
		if err := errors.Join(k.validate(), p.validate()); err != nil {
			errs = append(errs, fmt.Errorf("%w: %v: %w", ErrParams, k, err))
			continue
		}
		p.Auth.Keys = slices.Clone(p.Auth.Keys)
		accepted[k] = p
	}
	e.mu.Lock()
	e.desired, e.fresh = accepted, true
	e.mu.Unlock()
	e.net.poke()
	return errors.Join(errs...)
}

// Snapshot returns the state of all sessions that the engine has taken up.
func (e *Engine) Snapshot() Snapshot {
	s := Snapshot{
		Sessions: map[Key]Status{},
		Discards: Discards{
			Malformed: e.discards.malformed.Load(),
			TTL:       e.discards.ttl.Load(),
			NoSession: e.discards.noSession.Load(),
			Auth:      e.discards.auth.Load(),
		},
		MaxLateness: time.Duration(e.maxLateness.Load()),
		Prioritized: e.prioritized.Load(),
	}
	if members := e.public.Load(); members != nil {
		for _, m := range *members {
			s.Sessions[m.key] = Status{Facts: *m.facts.Load(), Counters: m.meter.read()}
		}
	}
	return s
}

// Changed receives after the snapshot has changed in more than counters; several changes may be told
// as one. There is one such channel: it has one reader.
func (e *Engine) Changed() <-chan struct{} { return e.changed }

// Subscribe has every later state change told to f, in order, on the engine's own goroutine and
// before anything else is done about it. f must not block, and not call the engine but for Snapshot
// and Set. cancel ends it; a call of f may still be under way when it returns. What was before is in
// Snapshot: subscribe first, then look.
func (e *Engine) Subscribe(f func(Event)) (cancel func()) {
	e.mu.Lock()
	defer e.mu.Unlock()
	s := &f
	e.subs = append(slices.Clone(e.subs), s)
	subs := e.subs
	e.subscribers.Store(&subs)
	return func() {
		e.mu.Lock()
		defer e.mu.Unlock()
		e.subs = slices.DeleteFunc(slices.Clone(e.subs), func(o *func(Event)) bool { return o == s })
		subs := e.subs
		e.subscribers.Store(&subs)
	}
}

// Shutdown takes all sessions to AdminDown and tells the peers, so that they do not take the end of
// this system for a failure of the path. It returns when every peer has answered or has had its
// detection time, or with the error of the context. The engine runs on until the context of Run is
// done: end that afterwards.
func (e *Engine) Shutdown(ctx context.Context) error {
	e.mu.Lock()
	e.stopped, e.fresh = true, true
	e.mu.Unlock()
	e.net.poke()
	select {
	case <-e.idle:
		return nil
	case <-e.done:
		return ErrStopped
	case <-ctx.Done():
		return fmt.Errorf("bfd: shutdown: %w", ctx.Err())
	}
}

// Run runs the sessions until the context is done, and returns nil then. Peers are told nothing of
// the end: see Shutdown. Sockets that cannot be opened are tried again every second, and the status
// of the sessions says why. An engine runs once, on a thread of its own, which the kernel prefers to
// other work if this process has CAP_SYS_NICE.
func (e *Engine) Run(ctx context.Context) error {
	if e.running.Swap(true) {
		return errRunning
	}
	defer close(e.done)
	var writer sync.WaitGroup
	quit := make(chan struct{})
	writer.Go(func() { e.log.run(quit) })
	defer writer.Wait()
	defer close(quit)
	if err := e.net.begin(); err != nil {
		e.log.write(slog.LevelInfo, "bfd: no preference over other programs; short intervals need it on a busy system", "error", err)
	} else {
		e.prioritized.Store(true)
	}
	defer e.net.end()
	defer e.closeAll()
	defer context.AfterFunc(ctx, e.net.poke)()
	for ctx.Err() == nil {
		if e.look() {
			now := time.Now()
			e.reconcile(now)
			if e.stopping {
				e.reap(now) // without sessions there is nothing to wait for
			}
		}
		for _, r := range e.net.wait(e.deadline()) {
			e.drain(r)
		}
		e.fire()
		if e.dirty {
			e.dirty = false
			select {
			case e.changed <- struct{}{}:
			default:
			}
		}
	}
	return nil
}

// look reports whether the wishes of the callers have changed since it last did.
func (e *Engine) look() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	was := e.fresh
	e.fresh, e.stopping = false, e.stopped
	return was
}

// deadline is the time at which the engine next has something to do by itself.
func (e *Engine) deadline() time.Time {
	d := e.retryAt
	if len(e.queue) > 0 {
		d = earliest(d, e.queue[0].deadline)
	}
	for m := range e.leaving {
		d = earliest(d, m.leavingUntil)
	}
	return d
}

func (e *Engine) closeAll() {
	for _, r := range e.listeners {
		e.hangUp(r)
	}
	for _, m := range e.members {
		m.close()
	}
}

// discriminator chooses an unused one. It is random, so that packets of an earlier life of this
// system, or of somebody off the path, do not hit a session.
func (e *Engine) discriminator() uint32 {
	for {
		d := e.rng.Uint32()
		if _, taken := e.demux.byDiscriminator[d]; d != 0 && !taken {
			return d
		}
	}
}
