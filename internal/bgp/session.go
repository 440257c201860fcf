package bgp

import (
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"
)

// session is one peer. Everything that is not said to be shared belongs to the goroutine
// of run.
type session struct {
	// Set once.
	name      string
	log       *slog.Logger
	transport Transport
	neighbors Neighbors
	bfdSource BFD
	changed   func()

	// Shared.
	inbox          *inbox
	inbound        chan inbound // accepted for this session, at most one waits
	events         chan event
	sent, received counters
	status         atomic.Pointer[Status] // without what Status adds

	cfg   SessionConfig
	state State
	gone  bool // run is to return
	since time.Time
	// restarting is true until the first End-of-RIB of this process (RFC 4724, R bit).
	restarting bool
	ending     *Ending
	trouble    string

	// primary is the connection that state is about. second is one that may collide with
	// it (RFC 4271, section 6.8); waiting is one that came while in Idle.
	primary, second *conn
	waiting         net.Conn
	conns           sync.WaitGroup
	dialing         *dialing
	leaveLink       func()

	connectRetry, hold, keepalive, idleHold, endStep timer
	holdDown                                         bool // idleHold runs
	damp                                             backOff

	bfd      <-chan BFDState
	stopBFD  func()
	bfdState BFDState

	agreed      *negotiated // set from OpenConfirm on
	out         *adjOut
	writing     bool // a batch is under way
	established uint64
	lastError   string
	lastErrorAt time.Time
	news        bool // something but the state is to be published
}

// inbound is a connection and the configuration that it was accepted for.
type inbound struct {
	conn   net.Conn
	config SessionConfig
}

// offer gives the session a connection that was accepted for a configuration. It does not
// block, and reports whether the session takes it.
func (s *session) offer(c net.Conn, config SessionConfig) bool {
	select {
	case s.inbound <- inbound{c, config}:
		return true
	default:
		return false
	}
}

func newSession(name string, o order, opts *Options, changed func()) *session {
	s := &session{
		name: name, log: opts.Log.With("peer", name), transport: opts.Transport,
		neighbors: opts.Neighbors, bfdSource: opts.BFD, changed: changed,
		inbox: newInbox(o), inbound: make(chan inbound, 1), events: make(chan event),
		cfg: o.config, restarting: true, since: time.Now(),
		connectRetry: newTimer(), hold: newTimer(), keepalive: newTimer(), idleHold: newTimer(), endStep: newTimer(),
		stopBFD: func() {}, leaveLink: func() {}, out: newAdjOut(),
	}
	s.out.set(o.routes, o.complete)
	s.trouble = o.trouble
	s.publish()
	return s
}

// run lives as long as the peer is desired.
func (s *session) run() {
	s.join()
	s.step(event{kind: evIdleHold}) // RFC 4271, event 1: AutomaticStart
	for !s.gone {
		s.step(s.wait())
	}
	s.leave()
	select {
	case in := <-s.inbound:
		in.conn.Close()
	default:
	}
	s.conns.Wait()
}

// join starts what a configuration needs beyond a connection.
func (s *session) join() {
	if s.cfg.BFD != BFDOff && s.bfdSource != nil {
		s.bfd, s.stopBFD = s.bfdSource.Watch(s.name)
	}
	if s.cfg.Interface != "" {
		s.leaveLink = s.neighbors.Join(s.cfg.Interface)
	}
}

// leave stops what join has started.
func (s *session) leave() {
	s.stopBFD()
	s.leaveLink()
	s.bfd, s.bfdState = nil, BFDUnknown
	s.stopBFD, s.leaveLink = func() {}, func() {}
	if s.waiting != nil {
		s.waiting.Close()
		s.waiting = nil
	}
}

// wait returns the next event.
func (s *session) wait() event {
	var dialed <-chan event
	if s.dialing != nil {
		dialed = s.dialing.result
	}
	select {
	case <-s.inbox.wake:
		return event{kind: evOrder}
	case e := <-s.events:
		return e
	case e := <-dialed:
		s.dialing.cancel()
		s.dialing = nil
		return e
	case in := <-s.inbound:
		return event{kind: evAccepted, net: in.conn, config: &in.config}
	case st, ok := <-s.bfd:
		if !ok {
			s.bfd = nil
		}
		return event{kind: evBFD, bfd: st}
	case <-s.connectRetry.fired():
		return event{kind: evConnectRetry}
	case <-s.hold.fired():
		// A message that waits to be taken is as good as one that was.
		select {
		case e := <-s.events:
			s.hold.start(time.Millisecond)
			return e
		default:
		}
		return event{kind: evHold}
	case <-s.keepalive.fired():
		return event{kind: evKeepalive}
	case <-s.idleHold.fired():
		return event{kind: evIdleHold}
	case <-s.endStep.fired():
		return event{kind: evEnding}
	}
}

// step is the state machine: it handles one event and moves to the next state.
func (s *session) step(e event) {
	if e.conn != nil && e.conn != s.primary && e.conn != s.second {
		return // of a connection that was given up
	}
	if e.kind == evAccepted && *e.config != s.cfg {
		s.step(event{kind: evOrder}) // the engine has given its order before the connection
	}
	next := s.state
	switch {
	case e.kind == evOrder:
		next = s.takeOrder()
	case e.kind == evBFD:
		next = s.bfdChanged(e.bfd)
	case e.kind == evEnding:
		next = s.endingStep()
	case e.kind == evAccepted:
		next = s.accepted(e.net, e.config)
	case e.conn != nil && e.conn == s.second:
		next = s.secondEvent(e)
	default:
		switch s.state {
		case StateIdle:
			next = s.idle(e)
		case StateConnect:
			next = s.connect(e)
		case StateActive:
			next = s.active(e)
		case StateOpenSent:
			next = s.openSent(e)
		case StateOpenConfirm:
			next = s.openConfirm(e)
		case StateEstablished:
			next = s.establishedState(e)
		}
	}
	if next == s.state {
		if s.news {
			s.publish()
		}
		return
	}
	s.log.Debug("state", "from", s.state.String(), "to", next.String())
	if next == StateEstablished {
		s.log.Info("session established", "local", s.primary.local, "remote", s.primary.remote, "asn", s.primary.open.ASN)
	}
	s.state, s.since = next, time.Now()
	s.publish()
}

// publish makes the present state visible.
func (s *session) publish() {
	s.news = false
	st := &Status{
		State: s.state, Since: s.since, LastError: s.lastError, LastErrorAt: s.lastErrorAt,
		Established: s.established, BFD: s.bfdState,
	}
	if s.trouble != "" {
		st.LastError = s.trouble
	}
	if c := s.primary; c != nil {
		st.Local, st.Remote = c.local, c.remote
		if c.open != nil {
			st.RemoteASN, st.RemoteID, st.Capabilities = c.open.ASN, c.open.RouterID, c.open.Capabilities
		}
	}
	if n := s.agreed; n != nil {
		st.Hold, st.Keepalive, st.Families, st.GracefulPeer = n.hold, n.keepalive, n.families.list(), n.graceful
	}
	st.Pending = s.out.pending()
	st.Withheld = s.out.withheld
	st.EndOfRIB = s.state == StateEstablished && len(s.out.ended) == len(st.Families) && !s.writing
	s.status.Store(st)
	s.changed()
}

// snapshot adds to the published status what other goroutines own. It may be called from
// any goroutine.
func (s *session) snapshot() Status {
	st := *s.status.Load()
	st.Sent, st.Received = s.sent.load(), s.received.load()
	st.Routes = s.out.written.snapshot()
	return st
}

// fail notes why a session ended or could not be made.
func (s *session) fail(err error) {
	text := err.Error()
	if text != s.lastError {
		s.log.Warn("session failed", "state", s.state.String(), "err", text)
	}
	s.lastError, s.lastErrorAt, s.news = text, time.Now(), true
}

// localAddresses returns the next hops that the session offers.
func (s *session) localAddresses(c *conn) [2]netip.Addr {
	local := c.local.Addr()
	if !local.IsValid() {
		return [2]netip.Addr{}
	}
	return [2]netip.Addr{local.WithZone(""), otherFamily(local, s.transport.Addresses(local))}
}

// sendOpen takes a new connection into use.
func (s *session) sendOpen(nc net.Conn, inbound bool) *conn {
	c := newConn(nc, inbound, s)
	c.start(&s.conns)
	o := makeOpen(&s.cfg, s.restarting)
	c.send(o.Append(nil))
	return c
}
