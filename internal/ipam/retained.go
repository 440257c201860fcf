package ipam

import (
	"cmp"
	"net/netip"
	"slices"
	"time"

	"github.com/google/btree"

	"github.com/lintel-lb/lintel/internal/lb"
)

// retained holds the addresses of deleted Services that wait for these to come back. An
// address can wait for several Services that shared it.
type retained struct {
	byAddr map[netip.Addr][]lb.Retained
	byKey  map[lb.ServiceKey][]netip.Addr
	// until orders the entries by expiry.
	until *btree.BTreeG[lb.Retained]
	// seen are the pools whose status was read. From then on the entries here are the truth
	// and the status is a copy of them.
	seen map[string]bool
}

func newRetained() retained {
	return retained{
		byAddr: map[netip.Addr][]lb.Retained{},
		byKey:  map[lb.ServiceKey][]netip.Addr{},
		until:  btree.NewG(treeDegree, func(x, y lb.Retained) bool { return compareRetained(x, y) < 0 }),
		seen:   map[string]bool{},
	}
}

func compareRetained(x, y lb.Retained) int {
	return cmp.Or(x.Until.Compare(y.Until), x.Address.Compare(y.Address), x.Service.Compare(y.Service))
}

func (r *retained) add(e lb.Retained) {
	r.remove(e.Service, e.Address)
	r.byAddr[e.Address] = append(r.byAddr[e.Address], e)
	r.byKey[e.Service] = append(r.byKey[e.Service], e.Address)
	r.until.ReplaceOrInsert(e)
}

func (r *retained) remove(key lb.ServiceKey, addr netip.Addr) {
	entries := r.byAddr[addr]
	i := slices.IndexFunc(entries, func(e lb.Retained) bool { return e.Service == key })
	if i < 0 {
		return
	}
	r.until.Delete(entries[i])
	if r.byAddr[addr] = slices.Delete(entries, i, i+1); len(r.byAddr[addr]) == 0 {
		delete(r.byAddr, addr)
	}
	keep := slices.DeleteFunc(r.byKey[key], func(x netip.Addr) bool { return x == addr })
	if r.byKey[key] = keep; len(keep) == 0 {
		delete(r.byKey, key)
	}
}

// forOther gives the entry that keeps the address from this Service, if any.
func (r *retained) forOther(addr netip.Addr, key lb.ServiceKey) (lb.Retained, bool) {
	entries := r.byAddr[addr]
	if len(entries) == 0 || slices.ContainsFunc(entries, func(e lb.Retained) bool { return e.Service == key }) {
		return lb.Retained{}, false
	}
	return slices.MinFunc(entries, func(x, y lb.Retained) int { return x.Service.Compare(y.Service) }), true
}

// loadRetained takes over the entries in the status of pools that are new, and lets go of
// those whose pool does not retain any more.
func (a *Allocator) loadRetained() {
	if a.cfg == nil {
		return
	}
	for _, p := range a.pools {
		if a.retained.seen[p.Name] {
			continue
		}
		a.retained.seen[p.Name] = true
		for _, e := range p.Retained {
			a.retained.add(e)
		}
	}
	for name := range a.retained.seen {
		if a.byName[name] == nil {
			delete(a.retained.seen, name)
		}
	}
	var gone []lb.Retained
	a.retained.until.Ascend(func(e lb.Retained) bool {
		if s := a.spanOf(e.Address); s == nil || s.pool.Retention == 0 {
			gone = append(gone, e)
		}
		return true
	})
	for _, e := range gone {
		a.retained.remove(e.Service, e.Address)
	}
}

// Expire ends the retention of every address whose time is up, and gives those that are free
// now. Sync and Release do it too; it is for the time when nothing else happens.
func (a *Allocator) Expire(now time.Time) []netip.Addr {
	var freed []netip.Addr
	for {
		e, ok := a.retained.until.Min()
		if !ok || e.Until.After(now) {
			return freed
		}
		if a.forget(e.Service, e.Address) {
			freed = append(freed, e.Address)
		}
	}
}

// NextExpiry tells when Expire has something to do; ok is false where nothing is retained.
func (a *Allocator) NextExpiry() (at time.Time, ok bool) {
	e, ok := a.retained.until.Min()
	return e.Until, ok
}

// Retained lists the addresses of a pool that are retained, by address and Service, for
// the status of the pool.
func (a *Allocator) Retained(poolName string) []lb.Retained { return a.RetainedByPool()[poolName] }

// RetainedByPool lists the addresses that are retained, by address and Service, for each pool
// that has any.
func (a *Allocator) RetainedByPool() map[string][]lb.Retained {
	out := map[string][]lb.Retained{}
	for addr, entries := range a.retained.byAddr {
		if p := a.poolOf(addr); p != nil {
			out[p.Name] = append(out[p.Name], entries...)
		}
	}
	for _, list := range out {
		sortRetained(list)
	}
	return out
}

func sortRetained(list []lb.Retained) {
	slices.SortFunc(list, func(x, y lb.Retained) int {
		return cmp.Or(x.Address.Compare(y.Address), x.Service.Compare(y.Service))
	})
}

// forget ends one retention and tells whether others may have the address now.
func (a *Allocator) forget(key lb.ServiceKey, addr netip.Addr) bool {
	a.retained.remove(key, addr)
	a.refresh(addr)
	return len(a.retained.byAddr[addr]) == 0
}

// forgetAll ends the retention of all addresses for a Service that has what it needs.
func (a *Allocator) forgetAll(key lb.ServiceKey) []netip.Addr {
	var freed []netip.Addr
	for _, addr := range slices.Clone(a.retained.byKey[key]) {
		if a.forget(key, addr) && a.addrs[addr] == nil {
			freed = append(freed, addr)
		}
	}
	return freed
}
