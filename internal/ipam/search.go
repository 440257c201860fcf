package ipam

import (
	"net/netip"
	"slices"

	"github.com/lintel-lb/lintel/internal/lb"
)

// search looks for addresses for one Service. It changes nothing.
type search struct {
	a   *Allocator
	svc *lb.Service
	ns  Namespace
	// present are the addresses that the Service holds or, if it holds none, that its status
	// shows. They are chosen again where that is allowed.
	present []netip.Addr
}

// choice is a set of addresses out of one pool.
type choice struct {
	pool  *pool
	addrs []netip.Addr
	// shared counts those that other Services hold already.
	shared int
	// own tells that one of them is reserved or retained for the Service.
	own bool
}

// mine tells whether the Service holds the address now.
func (s *search) mine(addr netip.Addr) bool { return s.a.addrs[addr].heldBy(s.svc.Key) }

// admits tells whether the pool's pinning allows the Service.
func (s *search) admits(p *pool) bool {
	return p.Admits(s.svc.Key.Namespace, s.ns.Labels, s.svc.Labels)
}

// valid says why the Service may not keep, or may not have, the address by the rules that
// hold for every assignment; nil if it may.
func (s *search) valid(addr netip.Addr) *refusal {
	if r := s.covered(addr); r != nil {
		return r
	}
	return s.a.sharingRefusal(s.svc, addr)
}

// covered is the part of valid that does not depend on other Services.
func (s *search) covered(addr netip.Addr) *refusal {
	at := s.a.spanOf(addr)
	switch {
	case at == nil:
		return refuse(NotCovered, "add the address to an IPAddressPool, or choose another one", `[%q] is not allowed in config`, addr)
	case !at.usable(addr):
		return refuse(NotCovered, "turn avoidBuggyIPs off, or choose another address",
			`[%q] is not allowed in config: pool %s avoids addresses ending in .0 and .255`, addr, at.pool.Name)
	case !s.admits(at.pool):
		return refuse(NotAllowedByPool, "change the serviceAllocation of the pool, or choose another pool",
			"pool %s not compatible for ip assignment", at.pool.Name)
	}
	return nil
}

// withheld says why the address is kept from a Service that does not hold it; nil if it is not.
func (s *search) withheld(p *pool, addr netip.Addr) *refusal {
	key := s.svc.Key
	if p.reservedForOther(addr, key) {
		return refuse(AddressReserved, "choose another address, or change the reservations of the pool",
			"address %s of pool %s is reserved for %s", addr, p.Name, p.reserved[addr][0])
	}
	if s.a.addrs[addr] != nil {
		return nil
	}
	if e, kept := s.a.retained.forOther(addr, key); kept {
		return refuse(AddressRetained, "choose another address, or wait",
			"address %s of pool %s is kept for %s until %s", addr, p.Name, e.Service, e.Until.UTC().Format("2006-01-02T15:04:05Z"))
	}
	return nil
}

// eligible tells whether the Service may have the address out of the pool; the quota is apart.
func (s *search) eligible(p *pool, addr netip.Addr) bool {
	at := s.a.spanOf(addr)
	if at == nil || at.pool != p || !at.usable(addr) || !s.admits(p) || s.a.mayHold(s.svc, addr) != shareable {
		return false
	}
	return s.mine(addr) || (!p.Drain && s.withheld(p, addr) == nil)
}

// cost is what the address adds to the distinct addresses that the namespace holds.
func (s *search) cost(addr netip.Addr) int {
	if rec := s.a.addrs[addr]; rec != nil && rec.heldInNamespace(s.svc.Key) {
		return 0
	}
	return 1
}

// room tells how many further distinct addresses of the pool the namespace may hold, with
// those counted out that only this Service holds. ok is false where there is no bound.
func (s *search) room(p *pool) (n int, ok bool) {
	limit, ok := p.Quota.Limit(s.svc.Key.Namespace)
	if !ok {
		return 0, false
	}
	n = limit - p.usage[s.svc.Key.Namespace]
	if h := s.a.services[s.svc.Key]; h != nil {
		for _, addr := range h.addrs {
			if s.a.poolOf(addr) == p && s.cost(addr) == 1 {
				n++
			}
		}
	}
	return n, true
}

// choose takes one address of each family out of the pool. Fixed addresses were checked by
// the caller and take the place of a choice. The result holds the families in their order.
func (s *search) choose(p *pool, families []lb.Family, fixed ...netip.Addr) (choice, bool) {
	b := budget{}
	b.room, b.bounded = s.room(p)
	c, ok := s.fill(p, families, fixed, b, false)
	if !ok && b.bounded && len(families) > 1 {
		c, ok = s.fill(p, families, fixed, b, true)
	}
	return c, ok
}

// budget is what the quota of a namespace allows during one choice. What the Service holds
// may be kept beyond the quota, but not be kept and added to.
type budget struct {
	bounded bool
	room    int
	// gained tells that an address was chosen that the namespace did not hold.
	gained bool
}

func (b budget) allows(cost int, mine bool) bool {
	return !b.bounded || cost == 0 || cost <= b.room || (mine && !b.gained)
}

func (b *budget) spend(cost int, mine bool) {
	b.room -= cost
	b.gained = b.gained || (cost > 0 && !mine)
}

// fill is one attempt to choose. A thrifty one takes, for the first family, only an address
// that costs the quota nothing, in order to leave room for the second.
func (s *search) fill(p *pool, families []lb.Family, fixed []netip.Addr, b budget, thrifty bool) (choice, bool) {
	c := choice{pool: p}
	for i, f := range families {
		affordable := func(addr netip.Addr) bool {
			cost := s.cost(addr)
			return b.allows(cost, s.mine(addr)) && (cost == 0 || !thrifty || i > 0)
		}
		addr, own, ok := s.pick(p, f, fixed, affordable)
		if !ok {
			return choice{}, false
		}
		b.spend(s.cost(addr), s.mine(addr))
		c.addrs = append(c.addrs, addr)
		c.own = c.own || own
		if rec := s.a.addrs[addr]; rec != nil && !(len(rec.holders) == 1 && s.mine(addr)) {
			c.shared++
		}
	}
	return c, true
}

// pick takes the best address of a family: one that the Service has, one that waits for it,
// one that it can share, the first free one.
func (s *search) pick(p *pool, f lb.Family, fixed []netip.Addr, affordable func(netip.Addr) bool) (addr netip.Addr, own, ok bool) {
	for _, addr := range fixed {
		if lb.FamilyOf(addr) == f {
			return addr, false, affordable(addr)
		}
	}
	for _, addr := range s.present {
		if lb.FamilyOf(addr) == f && s.eligible(p, addr) && affordable(addr) {
			return addr, false, true
		}
	}
	if p.Drain {
		return addr, false, false
	}
	for _, addr := range s.ownIn(p) {
		if lb.FamilyOf(addr) == f && s.eligible(p, addr) && affordable(addr) {
			return addr, true, true
		}
	}
	if addr, ok := s.shareable(p, f, affordable); ok {
		return addr, false, true
	}
	addr, ok = p.free(f)
	return addr, false, ok && affordable(addr)
}

// ownIn lists the addresses of the pool that wait for the Service: reserved ones in the
// order given, then retained ones ascending.
func (s *search) ownIn(p *pool) []netip.Addr {
	var out []netip.Addr
	if slices.Contains(s.a.ownReserved[s.svc.Key], p) {
		for _, r := range p.Reservations {
			if r.Service == s.svc.Key {
				out = append(out, r.Addresses...)
			}
		}
	}
	for _, addr := range slices.SortedFunc(slices.Values(s.a.retained.byKey[s.svc.Key]), netip.Addr.Compare) {
		if s.a.poolOf(addr) == p {
			out = append(out, addr)
		}
	}
	return out
}

// shareable gives the first address of the pool in use under the sharing key of the Service
// that it may join.
func (s *search) shareable(p *pool, f lb.Family, affordable func(netip.Addr) bool) (out netip.Addr, ok bool) {
	g := s.a.sharers.group(s.svc, f)
	if g == nil {
		return out, false
	}
	g.tree.AscendGreaterOrEqual(sharedItem{ord: p.ord}, func(item sharedItem) bool {
		if item.ord != p.ord {
			return false
		}
		addr := item.rec.addr
		if s.eligible(p, addr) && affordable(addr) {
			out, ok = addr, true
		}
		return !ok
	})
	return out, ok
}
