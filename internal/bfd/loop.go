package bfd

import (
	"container/heap"
	"log/slog"
	"time"
)

// fire runs all timers that are due. Before the first detection timer is judged, all sockets are
// read empty.
func (e *Engine) fire() {
	now := time.Now()
	drained := false
	late, latest := 0, time.Duration(0)
	for len(e.queue) > 0 {
		m := e.queue[0]
		if !due(m.deadline, now) {
			if !m.session.mayHurry(now) {
				break
			}
			e.settle(m, output{send: true}, now)
			continue
		}
		if !drained && (due(m.session.detectAt, now) || due(m.session.echo.detectAt, now)) {
			drained = true
			for _, r := range e.listeners {
				e.drain(r)
			}
			now = time.Now()
			continue
		}
		out := m.session.expire(e.lateAfter, now)
		if out.late > e.lateAfter {
			late++
			latest = max(latest, out.late)
			m.meter.lateTimers.Add(1)
		}
		if out.reprieve {
			m.meter.reprieves.Add(1)
		}
		if int64(out.late) > e.maxLateness.Load() {
			e.maxLateness.Store(int64(out.late))
		}
		e.settle(m, out, now)
	}
	if late > 0 {
		e.log.write(slog.LevelDebug, "bfd: timers ran late", "timers", late, "latest", latest)
	}
	if due(e.retryAt, now) {
		e.repair(now)
	}
	if len(e.leaving) > 0 || e.stopping {
		e.reap(now)
	}
}

// drain reads a socket empty. One that fails is replaced, not at once: the reason may last.
func (e *Engine) drain(r receiver) {
	if e.broken[r] {
		return
	}
	if err := r.drain(e.take); err != nil {
		e.log.write(slog.LevelWarn, "bfd: receiving socket failed", "error", err)
		e.broken[r] = true
		e.retryAt = earliest(e.retryAt, time.Now().Add(retryInterval))
	}
}

// receive handles one datagram.
func (e *Engine) receive(g *datagram) {
	if g.channel == echo {
		e.receiveEcho(g)
		return
	}
	if g.channel == singleHop && g.ttl != maxTTL {
		e.discards.ttl.Add(1) // RFC 5881 section 5
		return
	}
	p := &e.rx
	if p.decode(g.payload) != nil {
		e.discards.malformed.Add(1)
		return
	}
	m := e.demux.find(p, g)
	if m == nil {
		e.discards.noSession.Add(1)
		return
	}
	if g.channel == multiHop && g.ttl < int(m.session.params.MinimumTTL) {
		e.discards.ttl.Add(1)
		return
	}
	now := time.Now()
	out, ok := m.session.receive(p, g.payload, g.at, now)
	if !ok {
		e.discards.auth.Add(1)
		m.meter.authFailures.Add(1)
		return
	}
	if m.ifindex != g.ifindex || m.local != g.dst {
		m.ifindex, m.local = g.ifindex, g.dst
		m.closeEcho()
		m.echoSeen = false
	}
	m.meter.controlIn.Add(1)
	e.settle(m, out, now)
}

func (e *Engine) receiveEcho(g *datagram) {
	d, ok := echoDiscriminator(g.payload)
	m := e.demux.byDiscriminator[d]
	if !ok || m == nil {
		return // the peer's own packet on its way back to it, or not ours
	}
	now := time.Now()
	if m.session.receiveEcho(g.payload, g.at, now) {
		m.meter.echoIn.Add(1)
		e.settle(m, output{}, now)
	}
}

// settle does what a session asks for, and keeps queue and public state in step with it.
func (e *Engine) settle(m *member, out output, now time.Time) {
	if out.changed() {
		e.transition(m, out, now)
	}
	if out.send {
		e.transmit(m, out.final, now)
	}
	if out.echo {
		e.transmitEcho(m)
	}
	m.deadline = m.session.deadline()
	heap.Fix(&e.queue, m.index)
	if m.session.echoWanted() != m.echoSeen {
		e.retryAt = earliest(e.retryAt, now) // sockets are opened and closed by repair
	}
	if m.publish() {
		e.dirty = true
	}
}

// transition tells of a change of state.
func (e *Engine) transition(m *member, out output, now time.Time) {
	m.since = now
	if out.from == Up {
		m.lastDown, m.lastDownAt = m.session.diag, now
		m.meter.downEvents.Add(1)
	}
	if out.to == Up {
		m.meter.upEvents.Add(1)
	}
	m.publish()
	e.dirty = true
	ev := Event{
		Key: m.key, From: out.from, To: out.to, Diagnostic: m.session.diag,
		RemoteState: m.session.remote.state, RemoteDiagnostic: m.session.remote.diag, At: now,
	}
	if subs := e.subscribers.Load(); subs != nil {
		for _, f := range *subs {
			(*f)(ev)
		}
	}
	level := slog.LevelInfo
	if ev.Failed() {
		level = slog.LevelWarn
	}
	e.log.write(level, "bfd: session state", "session", m.key.String(), "from", ev.From.String(), "to", ev.To.String(),
		"diagnostic", ev.Diagnostic.String(), "remoteState", ev.RemoteState.String(),
		"remoteDiagnostic", ev.RemoteDiagnostic.String())
}

// transmit sends a control packet now.
func (e *Engine) transmit(m *member, final bool, now time.Time) {
	s := m.session
	if !s.transmit(&e.txPkt, final, now) || m.tx == nil {
		return
	}
	b := e.txPkt.append(e.buf[:0])
	if a := s.params.Auth; a.Type != AuthNone {
		b = a.Keys[0].sign(b, a.Type, s.auth.next())
	}
	if err := m.tx.send(b); err != nil {
		m.meter.sendErrs.Add(1)
		m.suspect = true
		e.retryAt = earliest(e.retryAt, now.Add(retryInterval))
		return
	}
	m.suspect = false
	m.meter.controlOut.Add(1)
}

func (e *Engine) transmitEcho(m *member) {
	if m.echoTx == nil {
		return
	}
	if err := m.echoTx.send(m.session.appendEcho(e.buf[:0])); err != nil {
		m.meter.sendErrs.Add(1)
		return
	}
	m.meter.echoOut.Add(1)
}

// maxTTL is the TTL or hop limit of all packets sent (RFC 5881 section 5).
const maxTTL = 255
