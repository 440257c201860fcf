package members

import (
	"errors"
	"maps"
	"slices"
	"time"
)

// membersChanged logs who came and went, and sees that the states of those who came are learnt:
// also of one who told a state before, since it may be another process now, or have told another
// while it was away.
func (o *owner) membersChanged(before map[string]Member, now time.Time) {
	self := o.g.cfg.NodeName
	for node, m := range o.news.alive {
		old, was := before[node]
		if was && old.Addr == m.Addr && old.Foreign == m.Foreign {
			continue
		}
		if node == self {
			continue
		}
		o.log.Info("member joined", "node", node, "address", m.Addr, "foreign", m.Foreign)
		if !m.Foreign {
			o.exchange.joined(node, now)
		}
	}
	for node := range before {
		if !o.alive(node) && node != self {
			o.log.Info("member gone", "node", node)
		}
	}
}

// announce tells the members that this node holds a new state of node.
func (o *owner) announce(node string) {
	e, ok := o.store.get(node)
	if !ok {
		return
	}
	o.g.box.gossip.put(node, o.noticeOf(e))
}

// noticeOf is the message that this node holds a state.
func (o *owner) noticeOf(e entry) []byte {
	return message{kind: kindNotice, from: o.g.cfg.NodeName, entries: []entry{{node: e.node, stamp: e.stamp}}}.marshal()
}

// receive handles one user message.
func (o *owner) receive(raw []byte, now time.Time) {
	m, err := unmarshal(raw)
	switch {
	case errors.Is(err, errUnknown):
		return // a later release's, or somebody else's
	case err != nil:
		o.log.Warn("message not understood", "err", err)
		return
	}
	self := o.g.cfg.NodeName
	if m.kind == kindRequest {
		o.exchange.asked(m.from, m.entries, now)
		return
	}
	for _, e := range m.entries {
		switch {
		case e.node == self:
			if o.store.outbid(e.stamp) {
				o.announce(self)
			}
		case !o.alive(e.node):
			// Whoever it is, it is not one of us, or not yet; then its state is asked for when it is.
		case m.kind == kindNotice:
			if known, _ := o.store.get(e.node); e.stamp.newerThan(known.stamp) {
				o.exchange.offered(e.node, e.stamp, m.from, now)
			}
		default:
			if o.store.merge(e) {
				o.announce(e.node)
			}
			known, _ := o.store.get(e.node)
			o.exchange.have(e.node, known.stamp, now)
		}
	}
}

// remind tells one member after the other, one each poll, which state this node is in. Whoever
// missed that, since gossip goes by datagrams and may be lost, does not have to wait for a push/pull
// to learn that a link of this node is gone, or that it announces again.
func (o *owner) remind() {
	self := o.g.cfg.NodeName
	e, told := o.store.get(self)
	if !told || o.leaving {
		return
	}
	var others []string
	for node, m := range o.news.alive {
		if node != self && !m.Foreign {
			others = append(others, node)
		}
	}
	if len(others) == 0 {
		return
	}
	slices.Sort(others)
	i, _ := slices.BinarySearch(others, o.reminded+"\x00")
	o.reminded = others[i%len(others)]
	list, node, body := o.list, o.recipient(o.reminded), o.noticeOf(e)
	o.task(func() func(time.Time) {
		err := list.SendBestEffort(node, body)
		return func(time.Time) {
			if err != nil {
				o.log.Debug("reminder not sent", "node", node.Name, "err", err)
			}
		}
	})
}

// checkHealth looks, once in a while, at what no event tells, and reminds a member of this node.
func (o *owner) checkHealth(now time.Time) {
	if o.health.next.After(now) {
		return
	}
	o.health.next = now.Add(poll)
	if o.list == nil {
		return
	}
	o.health.score = o.list.GetHealthScore()
	o.health.udp = o.g.box.udpBlocked(now, 10*o.g.ml.ProbeInterval)
	o.g.box.forgetConflicts(now.Add(-conflictMemory))
	o.remind()
}

// snapshot makes the immutable picture of what is known.
func (o *owner) snapshot() Snapshot {
	self := o.g.cfg.NodeName
	s := Snapshot{Enabled: true, Self: self, Alive: maps.Clone(o.news.alive)}
	if o.list == nil && !o.hasLeft {
		s.Alive[self] = Member{Name: self}
	}
	others := 0
	for node, m := range s.Alive {
		if e, told := o.store.get(node); told {
			m.State, m.Incarnation, m.Version = e.content, e.stamp.incarnation, e.stamp.version
			s.Alive[node] = m
		}
		if node != self {
			others++
			s.Health.Mixed = s.Health.Mixed || m.Foreign
		}
	}

	h := &s.Health
	h.Port = o.g.cfg.BindPort
	h.Joined = others > 0 || o.list != nil && o.news.listed && len(o.news.peers) == 0
	h.Keyed = o.g.cfg.Keyed && o.list != nil
	h.WaitingForKey = o.g.cfg.Keyed && o.news.keys == nil
	h.BindError = o.bind.err
	h.Left = o.hasLeft
	h.Score = o.health.score
	h.UDPBlocked = o.health.udp
	for _, name := range sortedKeys(o.news.conflicts) {
		h.Conflicts = append(h.Conflicts, o.news.conflicts[name].Conflict)
	}
	if !o.leaving {
		h.UnreachablePeers = o.joins.unreachable()
	}
	if len(h.UnreachablePeers) > 0 {
		h.LastJoinError = o.joinErr
	}
	return s
}
