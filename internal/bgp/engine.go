package bgp

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"sync"
	"sync/atomic"
)

// Options are what an Engine needs from outside.
type Options struct {
	// Log is required.
	Log *slog.Logger
	// Transport makes connections; nil means SystemTransport.
	Transport Transport
	// BFD reports path state for sessions that ask for it. With nil, BFDOn has no effect
	// and BFDStrict never starts.
	BFD BFD
	// Neighbors finds the peers of unnumbered sessions; without it they are refused.
	Neighbors Neighbors
}

// Engine runs the sessions of one node.
type Engine struct {
	opts Options

	mu      sync.Mutex // guards what follows
	desired *Desired
	subs    []chan struct{}

	wake     chan struct{}
	ending   chan Ending
	finished chan struct{} // closed when Run returns
	started  atomic.Bool

	// view is what Snapshot reads: the sessions and the peers that have none.
	view atomic.Pointer[view]

	// Owned by Run.
	sessions  map[string]*running
	done      chan string
	listeners *listeners
	sweep     timer // looks for sessions of ranges whose peer is gone
	// crowded are the ranges that turned a peer away at their limit, and how.
	crowded map[string]string
}

// running is a session and what the engine knows about it.
type running struct {
	*session
	config   SessionConfig
	stopping bool
	// parent is the range that the session came from; empty for a peer that is desired itself.
	parent string
}

// New makes an Engine that does nothing until Run.
func New(opts Options) *Engine {
	if opts.Transport == nil {
		opts.Transport = SystemTransport{}
	}
	e := &Engine{
		opts: opts, wake: make(chan struct{}, 1), ending: make(chan Ending), finished: make(chan struct{}),
		sessions: map[string]*running{}, done: make(chan string), sweep: newTimer(),
		crowded: map[string]string{},
	}
	e.view.Store(&view{})
	e.listeners = newListeners(opts.Transport, opts.Log)
	return e
}

// Set replaces everything that is desired. The engine finds the difference: changed routes
// are sent as UPDATEs, and only a session whose own configuration changed is reset. A
// peer with an invalid configuration has no session, and its status says why. Set never
// blocks, may be called before Run, and the latest call counts.
func (e *Engine) Set(d Desired) {
	e.mu.Lock()
	e.desired = &d
	e.mu.Unlock()
	select {
	case e.wake <- struct{}{}:
	default:
	}
}

// Snapshot returns the status of all desired peers by name.
func (e *Engine) Snapshot() map[string]Status {
	v := e.view.Load()
	out := make(map[string]Status, len(v.sessions)+len(v.others))
	for name, s := range v.sessions {
		out[name] = s.snapshot()
	}
	maps.Copy(out, v.others)
	return out
}

// Subscribe returns a channel that receives after every change of the snapshot other than
// its counters; changes that come faster than they are received are one. Every call makes
// a channel that lives as long as the Engine. Subscribe first, then read the snapshot.
func (e *Engine) Subscribe() <-chan struct{} {
	ch := make(chan struct{}, 1)
	e.mu.Lock()
	e.subs = append(e.subs, ch)
	e.mu.Unlock()
	return ch
}

func (e *Engine) changed() {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, ch := range e.subs {
		select {
		case ch <- struct{}{}:
		default:
		}
	}
}

// Run runs the sessions until Shutdown, and then returns nil, or until the context ends,
// which is the same as Shutdown with EndRestart, and then returns the context's error. It
// can be called once. Sockets are opened in the network namespace of the process.
func (e *Engine) Run(ctx context.Context) error {
	if e.started.Swap(true) {
		return fmt.Errorf("bgp: Run was called before")
	}
	defer close(e.finished)
	defer e.listeners.close()
	for {
		select {
		case <-ctx.Done():
			e.stop(Ending{End: EndRestart})
			return ctx.Err()
		case end := <-e.ending:
			e.stop(end)
			return nil
		case <-e.wake:
			e.reconcile()
		case <-e.listeners.retry.fired():
			e.reconcile()
		case <-e.sweep.fired():
			e.reconcile()
		case name := <-e.done:
			delete(e.sessions, name)
			e.reconcile()
		case in := <-e.listeners.accepted:
			e.dispatch(in)
		}
	}
}

// Shutdown ends all sessions in the given way and waits until they have, or until the
// context ends, after which the remaining connections are closed as for a restart. It
// returns ErrStopped where Run does not run.
func (e *Engine) Shutdown(ctx context.Context, end Ending) error {
	if end.End < EndRestart || end.End > EndUninstall {
		return fmt.Errorf("bgp: shutdown: way to end %d is unknown", end.End)
	}
	if !e.started.Load() {
		return ErrStopped
	}
	select {
	case e.ending <- end:
	case <-e.finished:
		return ErrStopped
	case <-ctx.Done():
		return ctx.Err()
	}
	select {
	case <-e.finished:
		return nil
	case <-ctx.Done():
	}
	for _, s := range e.view.Load().sessions {
		s.inbox.change(func(o *order) { o.ending = &Ending{End: EndRestart} })
	}
	<-e.finished
	return ctx.Err()
}

// stop ends all sessions and waits for them.
func (e *Engine) stop(end Ending) {
	for _, r := range e.sessions {
		if !r.stopping {
			r.inbox.change(func(o *order) { o.ending = &end })
		}
	}
	for len(e.sessions) > 0 {
		select {
		case name := <-e.done:
			delete(e.sessions, name)
		case in := <-e.listeners.accepted:
			in.conn.Close()
		}
	}
	e.view.Store(&view{})
	e.changed()
}

// reconcile makes the sessions match what is desired.
func (e *Engine) reconcile() {
	e.mu.Lock()
	d := e.desired
	e.mu.Unlock()
	if d == nil {
		return
	}
	old := e.view.Load()
	v := &view{sessions: map[string]*session{}, others: map[string]Status{}}
	ranges := map[string]Peer{}
	wanted := map[string]Peer{}
	for name, p := range d.Peers {
		if p.Trouble != "" {
			v.others[name] = old.other(name, StateIdle, p.Trouble)
			continue
		}
		if err := e.admit(&p.Config); err != nil {
			v.others[name] = old.other(name, StateIdle, err.Error())
			continue
		}
		if p.Config.PeerRange.IsValid() {
			ranges[name] = p
			continue
		}
		wanted[name] = p
	}
	trouble := e.listeners.reconcile(wanted, ranges)
	e.keepDynamic(ranges, wanted, trouble)
	for name := range ranges {
		why := trouble[name]
		if why == "" {
			why = e.crowded[name]
		}
		v.others[name] = old.other(name, StateActive, why)
	}
	for name, r := range e.sessions {
		if _, ok := wanted[name]; !ok && !r.stopping {
			r.stopping = true
			r.inbox.change(func(o *order) { o.ending = &Ending{End: endRemoved} })
		}
	}
	for name, p := range wanted {
		o := order{config: p.Config, routes: p.Routes, complete: d.Complete, trouble: trouble[name]}
		r, ok := e.sessions[name]
		switch {
		case !ok:
			r = e.start(name, "", o)
		case r.stopping:
			continue // starts anew when it has ended
		default:
			r.config = p.Config
			r.inbox.change(func(cur *order) { *cur = o })
		}
		v.sessions[name] = r.session
	}
	e.view.Store(v)
	e.sweep.stop()
	if len(ranges) > 0 {
		e.sweep.start(dynamicIdle)
	}
	if !maps.Equal(old.sessions, v.sessions) || !maps.EqualFunc(old.others, v.others, sameOther) {
		e.changed()
	}
}

// admit checks a configuration, also against what this engine was given.
func (e *Engine) admit(c *SessionConfig) error {
	if err := c.Validate(); err != nil {
		return err
	}
	if c.Interface != "" && e.opts.Neighbors == nil {
		return fmt.Errorf("bgp: interface: nothing looks for neighbours on links here")
	}
	return nil
}

func (e *Engine) start(name, parent string, o order) *running {
	r := &running{session: newSession(name, o, &e.opts, e.changed), config: o.config, parent: parent}
	e.sessions[name] = r
	go func() {
		r.run()
		e.done <- name
	}()
	return r
}

// dispatch gives an accepted connection to the session of its peer. A session with a
// password takes none of which the kernel has not demanded it.
func (e *Engine) dispatch(in accepted) {
	remote := endpoint(in.conn.RemoteAddr()).Addr()
	for _, r := range e.sessions {
		c := &r.config
		if !r.stopping && c.Mode != ModeActive && keyOf(c) == in.key && c.PeerAddress == remote {
			if !in.authenticates(remote, c.Password) || !r.offer(in.conn, *c) {
				e.opts.Log.Debug("connection was turned away", "peer", r.name, "remote", remote, "listener", in.key.local)
				in.conn.Close()
			}
			return
		}
	}
	if e.startDynamic(in, remote) {
		return
	}
	e.opts.Log.Debug("connection from an address that is no peer", "remote", remote, "listener", in.key.local)
	in.conn.Close()
}
