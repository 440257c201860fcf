package bfd

import (
	"container/heap"
	"errors"
	"log/slog"
	"time"
)

// retryInterval is the time between attempts to open a socket.
const retryInterval = time.Second

// reconcile brings the sessions in line with the desired set.
func (e *Engine) reconcile(now time.Time) {
	e.mu.Lock()
	desired := e.desired
	e.mu.Unlock()
	if e.stopping {
		desired = nil
	}
	for k, m := range e.members {
		if _, ok := desired[k]; !ok && m.leavingUntil.IsZero() {
			e.leave(m, now)
		}
	}
	for k, p := range desired {
		m, ok := e.members[k]
		if !ok {
			e.join(k, p, now)
			continue
		}
		if m.leavingUntil.IsZero() && m.session.params.Equal(p) {
			continue
		}
		m.leavingUntil = time.Time{}
		delete(e.leaving, m)
		e.settle(m, m.session.update(p, now), now)
	}
	e.repair(now)
	e.publishMembers()
}

func (e *Engine) join(k Key, p Params, now time.Time) {
	m := &member{key: k, since: now}
	m.session = newSession(p, e.discriminator(), !k.MultiHop && k.Peer.Is4(), e.rng, now)
	m.deadline = m.session.deadline()
	e.members[k] = m
	e.demux.add(m)
	heap.Push(&e.queue, m)
	m.publish()
}

// leave begins the end of a session. The peer gets as long as it needs to find out by itself.
func (e *Engine) leave(m *member, now time.Time) {
	wait := time.Duration(m.session.params.DetectMultiplier) * m.session.transmitInterval()
	m.leavingUntil = now.Add(wait)
	e.leaving[m] = true
	p := m.session.params
	p.AdminDown = true
	e.settle(m, m.session.update(p, now), now)
}

// reap closes the sessions whose peers know.
func (e *Engine) reap(now time.Time) {
	gone := false
	for m := range e.leaving {
		if !m.left(now) {
			continue
		}
		m.close()
		delete(e.leaving, m)
		delete(e.members, m.key)
		e.demux.remove(m)
		heap.Remove(&e.queue, m.index)
		gone = true
	}
	if gone {
		e.repair(now)
	}
	if e.stopping && len(e.members) == 0 {
		select {
		case <-e.idle:
		default:
			close(e.idle)
		}
	}
}

func (e *Engine) publishMembers() {
	list := make([]*member, 0, len(e.members))
	for _, m := range e.members {
		if m.leavingUntil.IsZero() {
			list = append(list, m)
		}
	}
	e.public.Store(&list)
	e.dirty = true
}

// repair opens the sockets that are missing and closes those that nothing needs.
func (e *Engine) repair(now time.Time) {
	e.retryAt = time.Time{}
	for k, r := range e.listeners {
		if e.broken[r] {
			e.hangUp(r)
			delete(e.listeners, k)
		}
	}
	needed, failed := map[listenKey]bool{}, map[listenKey]error{}
	for _, m := range e.members {
		err := errors.Join(e.listen(m.listenKey(), needed, failed), e.dial(m), e.repairEcho(m, needed, failed))
		e.report(m, err)
		if err != nil {
			e.retryAt = now.Add(retryInterval)
		}
	}
	for k, r := range e.listeners {
		if !needed[k] {
			e.hangUp(r)
			delete(e.listeners, k)
		}
	}
}

func (m *member) listenKey() listenKey {
	return listenKey{channel: m.key.channel(), v6: m.key.Peer.Is6(), vrf: m.key.VRF}
}

// listen makes sure that a receiving socket is open; it tries each once in a round.
func (e *Engine) listen(k listenKey, needed map[listenKey]bool, failed map[listenKey]error) error {
	needed[k] = true
	if e.listeners[k] != nil {
		return nil
	}
	if err := failed[k]; err != nil {
		return err
	}
	rx, err := e.net.listen(k)
	if err != nil {
		failed[k] = err
		return err
	}
	e.listeners[k] = rx
	return nil
}

func (e *Engine) hangUp(r receiver) {
	delete(e.broken, r)
	_ = r.close() // nothing is buffered that could be lost
}

// dial makes sure that the session has a socket to send from. One that has failed is replaced: the
// interface or the address may have come back as another.
func (e *Engine) dial(m *member) error {
	if m.tx != nil && !m.suspect {
		return nil
	}
	if m.tx != nil {
		_ = m.tx.close() // as above
		m.tx = nil
	}
	if m.session.echoOK {
		m.session.forwards = e.net.forwards(m.key)
	}
	tx, err := e.net.dial(m.key, m.txPort)
	if err != nil {
		return err
	}
	m.tx, m.txPort, m.suspect = tx, tx.port(), false
	return nil
}

// repairEcho opens and closes the sockets of the echo function of a session.
func (e *Engine) repairEcho(m *member, needed map[listenKey]bool, failed map[listenKey]error) error {
	m.echoSeen = m.session.echoWanted()
	if !m.echoSeen {
		m.closeEcho()
		return nil
	}
	k := listenKey{channel: echo, vrf: m.key.VRF, ifindex: m.ifindex}
	if err := e.listen(k, needed, failed); err != nil {
		return err
	}
	if m.echoTx != nil {
		return nil
	}
	var err error
	m.echoTx, err = e.net.dialEcho(m.key, m.local, m.ifindex)
	return err
}

// report keeps what is wrong with the sockets of a session, and logs it when it changes.
func (e *Engine) report(m *member, err error) {
	was := m.last.Error
	m.err = err
	if m.publish() {
		e.dirty = true
	}
	if err != nil && err.Error() != was {
		e.log.write(slog.LevelWarn, "bfd: session has no socket", "session", m.key.String(), "error", err)
	}
}
