package bfd

import (
	"net/netip"
	"sync/atomic"
	"time"
)

// member is a session with its sockets and its public state. The engine's goroutine owns it; facts
// and meter are read by others.
type member struct {
	key     Key
	session *session
	tx      sender // nil while it cannot be opened
	txPort  uint16 // the session's source port, 0 before the first socket
	suspect bool   // tx has failed to send since it last did
	echoTx  sender // nil unless echo packets are sent

	echoSeen bool // what repair last knew of the session's wish for echo packets

	// ifindex and local are where packets last came in by, and to. Echo packets are sent from there
	// and come back there.
	ifindex int
	local   netip.Addr

	since, lastDownAt time.Time
	lastDown          Diagnostic
	err               error // what keeps it from its sockets

	// leavingUntil is set when the session is no longer wanted: the peer is told until then that it
	// is down by administration.
	leavingUntil time.Time

	index    int // in the queue
	deadline time.Time

	last  Facts // as published
	facts atomic.Pointer[Facts]
	meter meter
}

// publish makes the facts visible and reports whether they have changed.
func (m *member) publish() bool {
	f := m.session.facts()
	f.Since, f.LastDown, f.LastDownAt = m.since, m.lastDown, m.lastDownAt
	if m.err != nil {
		f.Error = m.err.Error()
	}
	if f == m.last && m.facts.Load() != nil {
		return false
	}
	m.last = f
	public := f // its own variable: only a change costs an allocation
	m.facts.Store(&public)
	return true
}

// left reports whether a session that is no longer wanted may be closed: the peer has seen that it
// is down, or is not there.
func (m *member) left(now time.Time) bool {
	if m.leavingUntil.IsZero() {
		return false
	}
	return m.session.remote.state != Up && m.session.remote.state != Init || !now.Before(m.leavingUntil)
}

func (m *member) close() {
	if m.tx != nil {
		_ = m.tx.close() // nothing is buffered that could be lost
		m.tx = nil
	}
	m.closeEcho()
}

func (m *member) closeEcho() {
	if m.echoTx != nil {
		_ = m.echoTx.close() // as above
		m.echoTx = nil
	}
}

// queue is a heap of members by deadline; see container/heap.
type queue []*member

func (q queue) Len() int { return len(q) }

func (q queue) Less(i, j int) bool {
	a, b := q[i].deadline, q[j].deadline
	return !a.IsZero() && (b.IsZero() || a.Before(b))
}

func (q queue) Swap(i, j int) {
	q[i], q[j] = q[j], q[i]
	q[i].index, q[j].index = i, j
}

func (q *queue) Push(x any) {
	m := x.(*member)
	m.index = len(*q)
	*q = append(*q, m)
}

func (q *queue) Pop() any {
	old := *q
	m := old[len(old)-1]
	old[len(old)-1] = nil
	*q = old[:len(old)-1]
	return m
}
