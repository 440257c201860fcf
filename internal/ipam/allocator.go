package ipam

import (
	"net/netip"
	"slices"

	"github.com/lintel-lb/lintel/internal/lb"
)

// Allocator knows which Service has which address. It is not safe for concurrent use.
type Allocator struct {
	cfg *lb.Config
	// hadPools tells that some configuration had pools; from then on their absence is the
	// user's will.
	hadPools bool

	// services and addrs are the truth about what is in use.
	services map[lb.ServiceKey]*holding
	addrs    map[netip.Addr]*address
	retained retained
	queue    queue

	// The rest is derived from the truth and the configuration.
	pools  []*pool
	byName map[string]*pool
	spans  []*span
	pinned pinned
	// openFree holds, per family, the open pools with a free address.
	openFree [2]bitset
	sharers  sharers
	// ownReserved lists the pools with reservations for a Service.
	ownReserved map[lb.ServiceKey][]*pool
}

// New makes an allocator. The configuration may be nil while none was read: then Sync
// decides nothing.
func New(cfg *lb.Config) *Allocator {
	a := &Allocator{
		services: map[lb.ServiceKey]*holding{},
		addrs:    map[netip.Addr]*address{},
		retained: newRetained(),
		queue:    newQueue(),
	}
	a.load(cfg)
	return a
}

// load takes the configuration over and derives everything anew.
func (a *Allocator) load(cfg *lb.Config) {
	a.cfg = cfg
	a.pools, a.spans, a.openFree = nil, nil, [2]bitset{}
	a.byName = map[string]*pool{}
	a.sharers = sharers{}
	a.ownReserved = map[lb.ServiceKey][]*pool{}
	if cfg != nil {
		for i, c := range cfg.Pools {
			a.addPool(newPool(c, i))
		}
	}
	a.hadPools = a.hadPools || len(a.pools) > 0
	slices.SortFunc(a.spans, func(x, y *span) int { return x.r.From().Compare(y.r.From()) })
	a.pinned = newPinned(a.pools)
	a.loadRetained()
	for _, rec := range a.addrs {
		rec.at = a.spanOf(rec.addr)
		a.recount(rec)
		a.refresh(rec.addr)
	}
	for _, p := range a.pools {
		for addr := range p.reserved {
			a.refresh(addr)
		}
	}
	for addr := range a.retained.byAddr {
		a.refresh(addr)
	}
}

func (a *Allocator) addPool(p *pool) {
	a.pools = append(a.pools, p)
	a.byName[p.Name] = p
	for i, b := range p.ranges {
		a.spans = append(a.spans, &span{pool: p, index: i, blocks: b})
	}
	for f := range a.openFree {
		a.openFree[f].put(p.ord, p.isOpen() && !p.open[f].empty())
	}
	for _, r := range p.Reservations {
		if !slices.Contains(a.ownReserved[r.Service], p) {
			a.ownReserved[r.Service] = append(a.ownReserved[r.Service], p)
		}
	}
}

// spanOf gives the range that contains an address, or nil.
func (a *Allocator) spanOf(addr netip.Addr) *span {
	i, found := slices.BinarySearchFunc(a.spans, addr, func(s *span, x netip.Addr) int { return s.r.From().Compare(x) })
	if !found {
		i--
	}
	if i < 0 || !a.spans[i].r.Contains(addr) {
		return nil
	}
	return a.spans[i]
}

// poolOf gives the pool that contains an address, or nil.
func (a *Allocator) poolOf(addr netip.Addr) *pool {
	if rec := a.addrs[addr]; rec != nil {
		if rec.at == nil {
			return nil
		}
		return rec.at.pool
	}
	if s := a.spanOf(addr); s != nil {
		return s.pool
	}
	return nil
}

// refresh brings the free space in line with what is known about one address.
func (a *Allocator) refresh(addr netip.Addr) {
	s := a.spanOf(addr)
	if s == nil || !s.usable(addr) {
		return
	}
	if a.addrs[addr] != nil || len(s.pool.reserved[addr]) > 0 || len(a.retained.byAddr[addr]) > 0 {
		s.add(addr)
	} else {
		s.remove(addr)
	}
	f := lb.FamilyOf(addr)
	_, free := s.free()
	s.pool.open[f-1].put(s.index, free)
	a.openFree[f-1].put(s.pool.ord, s.pool.isOpen() && s.pool.hasFree(f))
}
