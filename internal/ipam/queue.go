package ipam

import (
	"cmp"
	"iter"
	"maps"
	"net/netip"
	"slices"

	"github.com/google/btree"

	"github.com/lintel-lb/lintel/internal/lb"
)

// waiter is a Service that lacks something.
type waiter struct {
	// seq orders waiters by the time at which they began to wait.
	seq uint64
	svc *lb.Service
	ns  Namespace
	// told is the last event about it.
	told Event
	interest
}

// interest is what a waiter could profit from.
type interest struct {
	addrs []netip.Addr
	pools []string
	// open stands for all open pools.
	open bool
	// fixed tells that nothing helps but a change of the Service itself.
	fixed bool
}

// queue finds waiters by what they wait for. Each list is in order of seq.
type queue struct {
	last   uint64
	byKey  map[lb.ServiceKey]*waiter
	byAddr map[netip.Addr]*line
	byPool map[string]*line
	open   *line
}

type line = btree.BTreeG[*waiter]

func newLine() *line {
	return btree.NewG(treeDegree, func(x, y *waiter) bool { return x.seq < y.seq })
}

func newQueue() queue {
	return queue{
		byKey:  map[lb.ServiceKey]*waiter{},
		byAddr: map[netip.Addr]*line{},
		byPool: map[string]*line{},
		open:   newLine(),
	}
}

// put makes the Service wait, or changes what it waits for; it keeps its turn.
func (q *queue) put(svc *lb.Service, ns Namespace, told Event, in interest) {
	w := &waiter{svc: svc, ns: ns, told: told, interest: in}
	if old := q.byKey[svc.Key]; old != nil {
		w.seq = old.seq
		q.remove(svc.Key)
	} else {
		q.last++
		w.seq = q.last
	}
	q.byKey[svc.Key] = w
	for _, addr := range in.addrs {
		join(q.byAddr, addr, w)
	}
	for _, name := range in.pools {
		join(q.byPool, name, w)
	}
	if in.open {
		q.open.ReplaceOrInsert(w)
	}
}

func (q *queue) remove(key lb.ServiceKey) {
	w := q.byKey[key]
	if w == nil {
		return
	}
	delete(q.byKey, key)
	for _, addr := range w.addrs {
		part(q.byAddr, addr, w)
	}
	for _, name := range w.pools {
		part(q.byPool, name, w)
	}
	q.open.Delete(w)
}

func join[K comparable](m map[K]*line, k K, w *waiter) {
	if m[k] == nil {
		m[k] = newLine()
	}
	m[k].ReplaceOrInsert(w)
}

func part[K comparable](m map[K]*line, k K, w *waiter) {
	if l := m[k]; l != nil {
		if l.Delete(w); l.Len() == 0 {
			delete(m, k)
		}
	}
}

// interest tells what a Service that met this refusal could profit from.
func (s *search) interest(r *refusal) interest {
	switch r.reason {
	case NotEnoughClusterIPs, ClusterIPsInvalid, RequestInvalid:
		return interest{fixed: true}
	}
	if len(s.svc.ClusterIPs) == 0 {
		return interest{fixed: true}
	}
	return s.candidates()
}

// candidates are the addresses and pools that the Service could get something from.
func (s *search) candidates() interest {
	var in interest
	pools := map[*pool]bool{}
	req := s.svc.Request
	switch {
	case len(s.present) > 0 && s.mine(s.present[0]):
		pools[s.a.poolOf(s.present[0])] = true
	case len(req.Addresses) > 0:
		in.addrs = req.Addresses
		pools[s.a.poolOf(req.Addresses[0])] = true
	case req.Pool != "":
		pools[s.a.byName[req.Pool]] = true
	default:
		in.open = true
		for _, p := range s.a.pinned.pools(s.svc, s.ns) {
			pools[p] = true
		}
		for _, p := range s.a.ownReserved[s.svc.Key] {
			pools[p] = true
		}
		for _, addr := range s.a.retained.byKey[s.svc.Key] {
			pools[s.a.poolOf(addr)] = true
		}
	}
	delete(pools, nil)
	for p := range pools {
		in.pools = append(in.pools, p.Name)
	}
	return in
}

// requeue brings what the waiters could profit from in line with a new configuration.
func (a *Allocator) requeue() {
	for _, w := range slices.Collect(maps.Values(a.queue.byKey)) {
		if w.fixed {
			continue
		}
		s := &search{a: a, svc: w.svc, ns: w.ns}
		if h := a.services[w.svc.Key]; h != nil {
			s.present = h.addrs
		}
		a.queue.put(w.svc, w.ns, w.told, s.candidates())
	}
}

// Waiting yields the Services that could get what they lack now that these addresses were
// freed, each list first come, first served: those that ask for one of the addresses, those
// that need its pool, those that take any open pool. The caller is to call Sync for each
// before it takes the next, and must not stop early: Waiting ends by itself once nothing is
// left to be had. What Sync frees meanwhile is to be handed to Waiting again.
func (a *Allocator) Waiting(freed []netip.Addr) iter.Seq[lb.ServiceKey] {
	return func(yield func(lb.ServiceKey) bool) {
		for _, addr := range freed {
			p := a.poolOf(addr)
			if p == nil {
				continue
			}
			lines := []func() *line{
				func() *line { return a.queue.byAddr[addr] },
				func() *line { return a.queue.byPool[p.Name] },
			}
			if p.isOpen() {
				lines = append(lines, func() *line { return a.queue.open })
			}
			for _, l := range lines {
				if !a.serve(addr, l, yield) {
					return
				}
			}
		}
	}
}

// serve goes along one line, which changes while the caller works.
func (a *Allocator) serve(addr netip.Addr, get func() *line, yield func(lb.ServiceKey) bool) bool {
	next := &waiter{}
	for a.useful(addr) {
		var w *waiter
		if l := get(); l != nil {
			l.AscendGreaterOrEqual(next, func(x *waiter) bool {
				w = x
				return false
			})
		}
		if w == nil {
			return true
		}
		next = &waiter{seq: w.seq + 1}
		if a.wouldGain(w) && !yield(w.svc.Key) {
			return false
		}
	}
	return true
}

// useful tells whether somebody could still profit from the address or from the room that
// it left in a quota.
func (a *Allocator) useful(addr netip.Addr) bool {
	p := a.poolOf(addr)
	if p == nil {
		return false
	}
	rec := a.addrs[addr]
	return rec == nil || rec.key() != "" || p.Quota != nil || p.hasFree(lb.FamilyOf(addr))
}

// wouldGain tells whether Sync would give the waiter something.
func (a *Allocator) wouldGain(w *waiter) bool {
	gain, _ := a.outlook(w)
	return gain
}

// outlook tells whether Sync would give the waiter something and, if not, what it would tell.
func (a *Allocator) outlook(w *waiter) (gain bool, told Event) {
	s := &search{a: a, svc: w.svc, ns: w.ns}
	h := a.services[w.svc.Key]
	if h == nil {
		_, r := s.decide()
		if r == nil {
			return true, Event{}
		}
		return false, s.failed(r)
	}
	s.present = h.addrs
	f, more := wantsMore(w.svc, h.addrs)
	in := a.poolOf(h.addrs[0])
	if !more || in == nil {
		return false, w.told
	}
	if _, ok := s.choose(in, []lb.Family{lb.FamilyOf(h.addrs[0]), f}, h.addrs[0]); ok {
		return true, Event{}
	}
	return false, additionalFailed(s.poolRefusal(in, []lb.Family{f}))
}

// concerned lists the waiters whose situation the present configuration changes: they can
// get something, or wait for another cause than they were told. First come, first served.
func (a *Allocator) concerned() []lb.ServiceKey {
	var list []*waiter
	for _, w := range a.queue.byKey {
		if w.fixed {
			continue
		}
		if gain, told := a.outlook(w); gain || told != w.told {
			list = append(list, w)
		}
	}
	slices.SortFunc(list, func(x, y *waiter) int { return cmp.Compare(x.seq, y.seq) })
	var out []lb.ServiceKey
	for _, w := range list {
		out = append(out, w.svc.Key)
	}
	return out
}
