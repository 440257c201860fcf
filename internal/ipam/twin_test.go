package ipam_test

import (
	"cmp"
	"net/netip"
	"slices"
	"time"

	"github.com/lintel-lb/lintel/internal/ipam"
	"github.com/lintel-lb/lintel/internal/lb"
)

// twin answers the same questions as the allocator, slowly and plainly: a map of who holds
// what, and a walk through every pool and every address, ranking all that is allowed.
type twin struct {
	pools    []*lb.Pool // by name
	hadPools bool
	held     map[lb.ServiceKey]*twinHolding
	retained []lb.Retained
}

type twinHolding struct {
	svc   *lb.Service
	ns    ipam.Namespace
	addrs []netip.Addr
}

// twinChoice is a tuple of addresses of one pool, with a rank for each.
type twinChoice struct {
	addrs  []netip.Addr
	ranks  []int
	shared int
	own    bool
}

func (w *twin) addresses(p *lb.Pool, f lb.Family) []netip.Addr {
	var out []netip.Addr
	for _, r := range p.Ranges {
		for a := r.From(); r.Contains(a); a = a.Next() {
			if lb.FamilyOf(a) == f && !(p.AvoidBuggyIPs && lb.Buggy(a)) {
				out = append(out, a)
			}
		}
	}
	return out
}

func (w *twin) poolOf(a netip.Addr) *lb.Pool {
	for _, p := range w.pools {
		for _, r := range p.Ranges {
			if r.Contains(a) {
				return p
			}
		}
	}
	return nil
}

func (w *twin) holders(a netip.Addr) []*twinHolding {
	var out []*twinHolding
	for _, h := range w.held {
		if slices.Contains(h.addrs, a) {
			out = append(out, h)
		}
	}
	return out
}

func mayShare(x, y *lb.Service) bool {
	policy := func(s *lb.Service) string {
		if s.TrafficPolicy == lb.Local {
			return s.Backend
		}
		return ""
	}
	for _, p := range x.Ports {
		if slices.Contains(y.Ports, p) {
			return false
		}
	}
	return x.SharingKey != "" && x.SharingKey == y.SharingKey && policy(x) == policy(y)
}

func (w *twin) mine(svc *lb.Service, a netip.Addr) bool {
	h := w.held[svc.Key]
	return h != nil && slices.Contains(h.addrs, a)
}

// valid are the rules for every assignment.
func (w *twin) valid(svc *lb.Service, ns ipam.Namespace, a netip.Addr) bool {
	p := w.poolOf(a)
	if p == nil || !p.Covers(a) || !p.Admits(svc.Key.Namespace, ns.Labels, svc.Labels) {
		return false
	}
	for _, h := range w.holders(a) {
		if h.svc.Key != svc.Key && !mayShare(svc, h.svc) {
			return false
		}
	}
	return true
}

func reservedFor(p *lb.Pool, a netip.Addr) (keys []lb.ServiceKey) {
	for _, r := range p.Reservations {
		if slices.Contains(r.Addresses, a) {
			keys = append(keys, r.Service)
		}
	}
	return keys
}

func (w *twin) retainedFor(a netip.Addr) (keys []lb.ServiceKey) {
	for _, e := range w.retained {
		if e.Address == a {
			keys = append(keys, e.Service)
		}
	}
	return keys
}

// fresh are the rules for new assignments, the drain apart.
func (w *twin) fresh(svc *lb.Service, a netip.Addr) bool {
	if keys := reservedFor(w.poolOf(a), a); len(keys) > 0 && !slices.Contains(keys, svc.Key) {
		return false
	}
	keys := w.retainedFor(a)
	return len(w.holders(a)) > 0 || len(keys) == 0 || slices.Contains(keys, svc.Key)
}

func (w *twin) eligible(svc *lb.Service, ns ipam.Namespace, a netip.Addr) bool {
	return w.valid(svc, ns, a) && (w.mine(svc, a) || (w.fresh(svc, a) && !w.poolOf(a).Drain))
}

// feasible tells whether the quota allows the tuple.
func (w *twin) feasible(svc *lb.Service, p *lb.Pool, addrs []netip.Addr) bool {
	limit, ok := p.Quota.Limit(svc.Key.Namespace)
	if !ok {
		return true
	}
	others := map[netip.Addr]bool{}
	for _, h := range w.held {
		for _, a := range h.addrs {
			if h.svc.Key.Namespace == svc.Key.Namespace && h.svc.Key != svc.Key && w.poolOf(a) == p {
				others[a] = true
			}
		}
	}
	total, gained := len(others), false
	for _, a := range addrs {
		if !others[a] {
			total++
			gained = gained || !w.mine(svc, a)
		}
	}
	return !gained || total <= limit
}

const twinNo = 1 << 30

// rank puts an address in its place among those of its family; twinNo excludes it.
func (w *twin) rank(svc *lb.Service, ns ipam.Namespace, present, fixed []netip.Addr, p *lb.Pool, i int, a netip.Addr) (int, bool) {
	for _, x := range fixed {
		if lb.FamilyOf(x) == lb.FamilyOf(a) {
			if x == a {
				return 0, false
			}
			return twinNo, false
		}
	}
	if !w.eligible(svc, ns, a) {
		return twinNo, false
	}
	if i := slices.Index(present, a); i >= 0 {
		return i, false
	}
	n := 0
	for _, r := range p.Reservations {
		if r.Service == svc.Key {
			if i := slices.Index(r.Addresses, a); i >= 0 {
				return 1000 + n + i, true
			}
			n += len(r.Addresses)
		}
	}
	switch {
	case slices.Contains(w.retainedFor(a), svc.Key):
		return 2000 + i, true
	case p.Drain:
		return twinNo, false
	case len(w.holders(a)) > 0:
		return 3000 + i, false
	}
	return 4000 + i, false
}

func (w *twin) choose(svc *lb.Service, ns ipam.Namespace, present []netip.Addr, p *lb.Pool, families []lb.Family, fixed ...netip.Addr) (twinChoice, bool) {
	tuples := []twinChoice{{}}
	for _, f := range families {
		var next []twinChoice
		for _, t := range tuples {
			for i, a := range w.addresses(p, f) {
				r, own := w.rank(svc, ns, present, fixed, p, i, a)
				if r == twinNo {
					continue
				}
				c := twinChoice{addrs: append(slices.Clone(t.addrs), a), ranks: append(slices.Clone(t.ranks), r), shared: t.shared, own: t.own || own}
				for _, h := range w.holders(a) {
					if h.svc.Key != svc.Key {
						c.shared++
						break
					}
				}
				next = append(next, c)
			}
		}
		tuples = next
	}
	var best twinChoice
	found := false
	for _, t := range tuples {
		if w.feasible(svc, p, t.addrs) && (!found || slices.Compare(t.ranks, best.ranks) < 0) {
			best, found = t, true
		}
	}
	return best, found
}

func twinWanted(svc *lb.Service) [][][]lb.Family {
	both := []lb.Family{lb.IPv4, lb.IPv6}
	first := svc.PrimaryFamily
	switch {
	case len(svc.ClusterIPs) == 1 || svc.FamilyPolicy == lb.SingleStack:
		return [][][]lb.Family{{{first}}}
	case svc.FamilyPolicy == lb.RequireDualStack:
		return [][][]lb.Family{{both}}
	}
	return [][][]lb.Family{{both}, {{first}, {first.Other()}}}
}

// tiers are the groups of pools for automatic assignment.
func (w *twin) tiers(svc *lb.Service, ns ipam.Namespace) [][]*lb.Pool {
	rank := func(n int) int {
		switch {
		case n > 0:
			return n
		case n == 0:
			return 1000
		}
		return 2000 + n
	}
	groups := map[int][]*lb.Pool{}
	for _, p := range w.pools {
		if !p.AutoAssign || p.Drain || !p.Admits(svc.Key.Namespace, ns.Labels, svc.Labels) {
			continue
		}
		g := 5000
		if p.Allocation != nil {
			g = rank(p.Allocation.Priority)
		}
		groups[g] = append(groups[g], p)
	}
	var out [][]*lb.Pool
	for g := range 5001 {
		if len(groups[g]) > 0 {
			out = append(out, groups[g])
		}
	}
	return out
}

// decide gives the addresses for a Service that cannot go on as it is; nil if there are none.
func (w *twin) decide(svc *lb.Service, ns ipam.Namespace, present []netip.Addr) []netip.Addr {
	phases := twinWanted(svc)
	if want := svc.Request.Addresses; len(want) > 0 {
		p := w.poolOf(want[0])
		for _, a := range want {
			if w.poolOf(a) != p || !w.valid(svc, ns, a) || (svc.Request.Pool != "" && svc.Request.Pool != p.Name) {
				return nil
			}
			if w.mine(svc, a) {
				continue
			}
			if p.Drain || !w.fresh(svc, a) {
				return nil
			}
			if p.Requesters != nil && len(reservedFor(p, a)) == 0 && !p.Requesters.Contains(svc.Key.Namespace, ns.Labels) {
				return nil
			}
		}
		families := []lb.Family{}
		for _, a := range want {
			families = append(families, lb.FamilyOf(a))
		}
		if len(families) == 1 && len(svc.ClusterIPs) == 2 && svc.FamilyPolicy != lb.SingleStack {
			if c, ok := w.choose(svc, ns, present, p, append(families, families[0].Other()), want...); ok {
				return c.addrs
			}
			if svc.FamilyPolicy == lb.RequireDualStack {
				return nil
			}
		}
		c, _ := w.choose(svc, ns, present, p, families, want...)
		return c.addrs
	}
	if name := svc.Request.Pool; name != "" {
		for _, p := range w.pools {
			if p.Name != name || !p.Admits(svc.Key.Namespace, ns.Labels, svc.Labels) {
				continue
			}
			for _, phase := range phases {
				for _, families := range phase {
					if c, ok := w.choose(svc, ns, present, p, families); ok {
						return keepFirst(c.addrs, present)
					}
				}
			}
		}
		return nil
	}
	return keepFirst(w.automatic(svc, ns, present, phases), present)
}

func (w *twin) automatic(svc *lb.Service, ns ipam.Namespace, present []netip.Addr, phases [][][]lb.Family) []netip.Addr {
	for i, phase := range phases {
		for _, a := range present {
			if !w.eligible(svc, ns, a) {
				continue
			}
			for _, families := range phase {
				if c, ok := w.choose(svc, ns, present, w.poolOf(a), families); ok && slices.Contains(c.addrs, a) {
					return c.addrs
				}
			}
		}
		if i == 0 {
			for _, phase := range phases {
				for _, p := range w.pools {
					for _, families := range phase {
						if c, ok := w.choose(svc, ns, present, p, families); ok && c.own {
							return c.addrs
						}
					}
				}
			}
		}
		for _, families := range phase {
			for _, tier := range w.tiers(svc, ns) {
				var best twinChoice
				for _, p := range tier {
					if c, ok := w.choose(svc, ns, present, p, families); ok && (best.addrs == nil || c.shared > best.shared) {
						best = c
					}
				}
				if best.addrs != nil {
					return best.addrs
				}
			}
		}
	}
	return nil
}

func keepFirst(addrs, present []netip.Addr) []netip.Addr {
	out := slices.Clone(addrs)
	slices.SortStableFunc(out, func(x, y netip.Addr) int {
		at := func(a netip.Addr) int {
			if i := slices.Index(present, a); i >= 0 {
				return i
			}
			return len(present)
		}
		return cmp.Compare(at(x), at(y))
	})
	return out
}

// sync is the whole convergence. The Service has sound cluster addresses and a readable request.
func (w *twin) sync(svc *lb.Service, ns ipam.Namespace, now time.Time) []netip.Addr {
	w.expire(now)
	if len(w.pools) == 0 && !w.hadPools {
		return svc.Addresses
	}
	present := svc.Addresses
	if h := w.held[svc.Key]; h != nil {
		present = h.addrs
	}
	addrs := present
	if !w.inOrder(svc, ns, present) {
		addrs = w.decide(svc, ns, present)
	}
	if len(addrs) == 0 {
		delete(w.held, svc.Key)
		return nil
	}
	w.hold(svc, ns, addrs)
	if len(addrs) == 1 && len(svc.ClusterIPs) == 2 && svc.FamilyPolicy == lb.PreferDualStack {
		f := lb.FamilyOf(addrs[0])
		if c, ok := w.choose(svc, ns, addrs, w.poolOf(addrs[0]), []lb.Family{f, f.Other()}); ok && c.addrs[0] == addrs[0] {
			w.hold(svc, ns, c.addrs)
			return c.addrs
		}
	}
	return addrs
}

func (w *twin) inOrder(svc *lb.Service, ns ipam.Namespace, present []netip.Addr) bool {
	if len(present) == 0 || len(present) > 2 || (len(present) == 2 && lb.FamilyOf(present[0]) == lb.FamilyOf(present[1])) {
		return false
	}
	if len(svc.ClusterIPs) == 1 && (len(present) == 2 || lb.FamilyOf(present[0]) != svc.PrimaryFamily) {
		return false
	}
	if svc.FamilyPolicy == lb.RequireDualStack && len(present) == 1 {
		return false
	}
	for _, a := range present {
		if !w.valid(svc, ns, a) || w.poolOf(a) != w.poolOf(present[0]) || (!w.mine(svc, a) && !w.fresh(svc, a)) {
			return false
		}
	}
	if !w.feasible(svc, w.poolOf(present[0]), present) {
		return false
	}
	for _, a := range svc.Request.Addresses {
		if !slices.Contains(present, a) {
			return false
		}
	}
	return svc.Request.Pool == "" || w.poolOf(present[0]).Name == svc.Request.Pool
}

func (w *twin) hold(svc *lb.Service, ns ipam.Namespace, addrs []netip.Addr) {
	w.held[svc.Key] = &twinHolding{svc: svc, ns: ns, addrs: slices.Clone(addrs)}
	w.retained = slices.DeleteFunc(w.retained, func(e lb.Retained) bool { return e.Service == svc.Key })
}

func (w *twin) expire(now time.Time) {
	w.retained = slices.DeleteFunc(w.retained, func(e lb.Retained) bool { return !e.Until.After(now) })
}

func (w *twin) release(key lb.ServiceKey, now time.Time, deleted bool) {
	w.expire(now)
	h := w.held[key]
	if h == nil {
		return
	}
	delete(w.held, key)
	for _, a := range h.addrs {
		if p := w.poolOf(a); deleted && p != nil && p.Retention > 0 {
			w.retained = append(w.retained, lb.Retained{Service: key, Address: a, Until: now.Add(p.Retention)})
		}
	}
}

func (w *twin) setConfig(cfg *lb.Config) {
	w.pools = cfg.Pools
	w.hadPools = w.hadPools || len(cfg.Pools) > 0
	w.retained = slices.DeleteFunc(w.retained, func(e lb.Retained) bool {
		p := w.poolOf(e.Address)
		return p == nil || p.Retention == 0
	})
}

// counts recounts a pool.
func (w *twin) counts(p *lb.Pool) ipam.Counts {
	var c ipam.Counts
	used := map[netip.Addr]bool{}
	for _, h := range w.held {
		for _, a := range h.addrs {
			if w.poolOf(a) == p {
				used[a] = true
			}
		}
	}
	for a := range used {
		if a.Is4() {
			c.AssignedIPv4++
		} else {
			c.AssignedIPv6++
		}
	}
	c.AvailableIPv4 = max(0, int64(len(w.addresses(p, lb.IPv4)))-c.AssignedIPv4)
	c.AvailableIPv6 = max(0, int64(len(w.addresses(p, lb.IPv6)))-c.AssignedIPv6)
	for _, r := range p.Ranges {
		for a := r.From(); r.Contains(a); a = a.Next() {
			if !used[a] && len(reservedFor(p, a))+len(w.retainedFor(a)) > 0 {
				c.Withheld++
			}
		}
	}
	return c
}
