package ipam

import (
	"net/netip"
	"slices"

	"github.com/lintel-lb/lintel/internal/lb"
)

// Counts are the numbers of addresses of one pool.
type Counts struct {
	// AssignedIPv4 and AssignedIPv6 count distinct addresses in use.
	AssignedIPv4, AssignedIPv6 int64
	// AvailableIPv4 and AvailableIPv6 are what the pool could hold, less what is assigned.
	// As in MetalLB they include addresses that are reserved or retained, and a prefix of
	// 62 or more host bits counts as the largest int64.
	AvailableIPv4, AvailableIPv6 int64
	// Withheld counts addresses that are not in use, but reserved or retained.
	Withheld int64
}

// Counts gives the numbers of a pool; ok is false for an unknown one.
func (a *Allocator) Counts(poolName string) (c Counts, ok bool) {
	p := a.byName[poolName]
	if p == nil {
		return Counts{}, false
	}
	c = Counts{
		AssignedIPv4:  p.assigned[0],
		AssignedIPv6:  p.assigned[1],
		AvailableIPv4: max(0, p.capacity[0]-p.assigned[0]),
		AvailableIPv6: max(0, p.capacity[1]-p.assigned[1]),
	}
	for addr := range p.reserved {
		if a.addrs[addr] == nil && a.poolOf(addr) == p {
			c.Withheld++
		}
	}
	for addr := range a.retained.byAddr {
		if a.addrs[addr] == nil && len(p.reserved[addr]) == 0 && a.poolOf(addr) == p {
			c.Withheld++
		}
	}
	return c, true
}

// Held gives the addresses that a Service holds, in the order of its status.
func (a *Allocator) Held(key lb.ServiceKey) []netip.Addr {
	if h := a.services[key]; h != nil {
		return slices.Clone(h.addrs)
	}
	return nil
}

// Holders gives the Services that hold an address, by key.
func (a *Allocator) Holders(addr netip.Addr) []lb.ServiceKey {
	rec := a.addrs[addr]
	if rec == nil {
		return nil
	}
	out := make([]lb.ServiceKey, 0, len(rec.holders))
	for _, h := range rec.holders {
		out = append(out, h.svc.Key)
	}
	return out
}
