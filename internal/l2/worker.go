package l2

import (
	"cmp"
	"context"
	"maps"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/lintel-lb/lintel/internal/links"
)

// worker is the state that Engine.Run owns alone.
type worker struct {
	engine *Engine
	ctx    context.Context
	own    atomic.Pointer[macSet]

	entries map[netip.Addr]*entry
	ports   map[portKey]*member
	// candidates are the links as of the last look at them.
	candidates candidates
	// last is what the last reconcile did.
	last step
	// seen is the input of the last step that left nothing to do.
	seen *input
	// troubled is set while the view shows failures of the operating system.
	troubled bool

	// died receives ports whose socket has failed.
	died    chan *port
	readers sync.WaitGroup
}

// step is one reconcile: its input, the plan made of it, and the ports it could not open.
type step struct {
	input    *input
	plan     plan
	openErrs map[portKey]error
	// changed are the addresses that it was about, if nothing else has changed.
	changed []netip.Addr
}

// member is a port with what belongs to it.
type member struct {
	*port
	groups *groups // nil for ARP
	// failed are the groups that could not be joined, filter the refused filter.
	failed map[netip.Addr]error
	filter error
}

func newWorker(e *Engine, ctx context.Context) *worker {
	w := &worker{
		engine:  e,
		ctx:     ctx,
		entries: map[netip.Addr]*entry{},
		ports:   map[portKey]*member{},
		died:    make(chan *port),
	}
	w.own.Store(&macSet{})
	return w
}

// reconcile makes the sockets, filters, groups and rounds follow the plan. It tells
// whether it has left groups to be joined, and whether something failed.
func (w *worker) reconcile() (unfinished, failed bool) {
	d := w.engine.desired.Load()
	snap := w.engine.source.Snapshot()
	if w.candidates.of != snap {
		w.candidates = candidatesOf(snap, w.engine.exclude)
		w.own.Store(hardwareAddrs(snap))
	}
	in := inputOf(d, w.candidates)
	if w.seen != nil && w.seen.equal(in) {
		return false, false // interfaces of others came or went
	}
	if w.seen != nil && slices.Equal(w.seen.links, in.links) {
		return w.change(in)
	}
	w.seen = nil
	pl := makePlan(d.Desired, w.candidates)

	for a := range w.entries {
		if _, ok := pl.problems[a]; !ok {
			delete(w.entries, a)
		}
	}
	for a := range pl.problems {
		if w.entries[a] == nil {
			w.entries[a] = &entry{addr: a}
		}
	}

	var ch change[round]
	// Closed ports come first: a link with a new hardware address must not answer with
	// the old one.
	for key, m := range w.ports {
		if pl.ports[key] == nil {
			w.drop(m.port, &ch)
		}
	}
	openErrs := map[portKey]error{}
	for key, want := range pl.ports {
		if err := w.serve(key, want, &ch); err != nil {
			openErrs[key] = err
		}
	}
	for _, m := range w.ports {
		if m.groups != nil {
			m.groups.retry()
		}
	}
	w.pace(ch)
	w.last = step{input: in, plan: pl, openErrs: openErrs}
	return w.resume()
}

// change does the work of reconcile where some addresses have changed, and nothing was amiss
// before: it touches no others.
func (w *worker) change(in *input) (unfinished, failed bool) {
	changed := difference(w.seen.desired, in.desired)
	w.seen = nil
	pl := w.last.plan
	touched := pl.change(changed, in.desired, w.candidates)
	for _, a := range changed {
		if _, desired := in.desired.Addresses[a]; !desired {
			delete(w.entries, a)
		} else if w.entries[a] == nil {
			w.entries[a] = &entry{addr: a}
		}
	}
	var ch change[round]
	openErrs := map[portKey]error{}
	for key := range touched {
		if m, want := w.ports[key], pl.ports[key]; want == nil && m != nil {
			w.drop(m.port, &ch)
		} else if err := w.serve(key, want, &ch); err != nil {
			openErrs[key] = err
		}
	}
	w.pace(ch)
	w.last = step{input: in, plan: pl, openErrs: openErrs, changed: changed}
	return w.resume()
}

// resume goes on with the groups of the last step and shows what has come of it.
func (w *worker) resume() (unfinished, failed bool) {
	unfinished, failed = w.followGroups()
	failed = failed || len(w.last.openErrs) > 0
	if !unfinished || w.engine.view.Load().version != w.last.input.version {
		w.publish(w.last)
	}
	if !unfinished && !failed {
		w.seen = w.last.input
	}
	return unfinished, failed
}

// serve opens or updates one port and collects the rounds that begin and end.
func (w *worker) serve(key portKey, want []netip.Addr, ch *change[round]) error {
	m := w.ports[key]
	old := &table{}
	if m != nil {
		old = m.table.Load()
	}
	entries := make([]*entry, len(want))
	same := old.len() == len(entries)
	for i, a := range want {
		entries[i] = w.entries[a]
		same = same && old.get(a) == entries[i]
	}
	if m != nil && same && m.filter == nil {
		return nil
	}
	t := newTable(entries)
	if m == nil {
		p, err := openPort(key, &w.own, t, func() { signal(w.engine.changed) })
		if err != nil {
			w.engine.log.Warn("link cannot be answered on", "link", key.link, "err", err)
			return err
		}
		m = &member{port: p, failed: map[netip.Addr]error{}}
		if key.proto == protoNDP {
			m.groups = newGroups(newKernelGroups(key.index))
		}
		w.ports[key] = m
		w.readers.Go(func() { w.read(p) })
		w.engine.log.Info("answering on link", "link", p.key.link, "mac", key.mac, "protocol", key.proto)
	} else if m.filter = m.setTable(t, grown(old, t)); m.filter != nil {
		w.engine.log.Warn("link filter cannot be set", "link", m.key.link, "err", m.filter)
	}
	old.each(func(e *entry) {
		if t.get(e.addr) != e {
			ch.remove = append(ch.remove, round{m.port, e})
		}
	})
	for _, e := range entries {
		if old.get(e.addr) != e {
			ch.add = append(ch.add, round{m.port, e})
		}
	}
	return m.filter
}

// grown tells whether a table has all that another one has.
func grown(from, to *table) bool {
	all := true
	from.each(func(e *entry) { all = all && to.get(e.addr) != nil })
	return all
}

// read runs the port and reports its failure.
func (w *worker) read(p *port) {
	err := p.run()
	if err == nil {
		return
	}
	w.engine.log.Warn("link socket has failed", "link", p.key.link, "err", err)
	select {
	case w.died <- p:
	case <-w.ctx.Done():
	}
}

// drop closes a port, if it is still among those in use, and collects the rounds that end.
func (w *worker) drop(p *port, ch *change[round]) {
	m := w.ports[p.key]
	if m == nil || m.port != p {
		return
	}
	p.table.Load().each(func(e *entry) { ch.remove = append(ch.remove, round{p, e}) })
	delete(w.ports, p.key)
	w.seen = nil
	if err := p.close(); err != nil {
		w.engine.log.Warn("link socket cannot be closed", "link", p.key.link, "err", err)
	}
	if m.groups != nil {
		if err := m.groups.joiner.close(); err != nil {
			w.engine.log.Warn("link groups cannot be left", "link", p.key.link, "err", err)
		}
	}
	w.engine.log.Info("no longer answering on link", "link", p.key.link, "protocol", p.key.proto)
}

// lose drops a port whose socket has failed. The next reconcile opens another.
func (w *worker) lose(p *port) {
	var ch change[round]
	w.drop(p, &ch)
	w.pace(ch)
}

// again begins the bursts of addresses afresh.
func (w *worker) again(addrs []netip.Addr) {
	var ch change[round]
	for _, m := range w.ports {
		for _, a := range addrs {
			if e := m.table.Load().get(a); e != nil {
				ch.add = append(ch.add, round{m.port, e})
			}
		}
	}
	w.pace(ch)
}

func (w *worker) pace(ch change[round]) {
	if len(ch.add) == 0 && len(ch.remove) == 0 {
		return
	}
	// Addresses taken over at once are announced in their order.
	slices.SortStableFunc(ch.add, func(a, b round) int {
		return cmp.Or(a.entry.addr.Compare(b.entry.addr), cmp.Compare(a.port.key.link, b.port.key.link))
	})
	select {
	case w.engine.pacer.changes <- ch:
	case <-w.ctx.Done():
	}
}

// followGroups joins and leaves groups on every link, some at a time.
func (w *worker) followGroups() (unfinished, failed bool) {
	for _, m := range w.ports {
		if m.groups == nil {
			continue
		}
		more, errs := m.groups.follow(m.table.Load(), joinChunk)
		for a, err := range errs {
			if m.failed[a] == nil {
				w.engine.log.Warn("multicast group", "link", m.key.link, "address", a, "err", err)
			}
		}
		if more {
			maps.Copy(m.failed, errs) // those that failed before are not news when their turn comes
		} else {
			m.failed = errs
		}
		unfinished = unfinished || more
		failed = failed || len(errs) > 0
	}
	return unfinished, failed
}

// close ends all ports and waits for their readers.
func (w *worker) close() {
	for _, m := range slices.Collect(maps.Values(w.ports)) {
		w.drop(m.port, &change[round]{}) // the pacer ends as well
	}
	w.readers.Wait()
	w.engine.view.Store(&view{})
	signal(w.engine.changed)
}

func hardwareAddrs(s *links.Snapshot) *macSet {
	set := macSet{}
	for i := range s.Links {
		set[s.Links[i].MAC] = struct{}{}
	}
	return &set
}
