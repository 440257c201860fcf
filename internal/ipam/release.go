package ipam

import (
	"net/netip"
	"slices"
	"time"

	"github.com/lintel-lb/lintel/internal/lb"
)

// Release takes every address from a Service that is gone or is not ours any more, and
// forgets that it waits. Where the user deleted the Service and its pool has a retention,
// the addresses are kept for it until then. It gives the addresses that others may be able
// to get or share now, to be handed to Waiting. For an unknown Service it does nothing.
func (a *Allocator) Release(key lb.ServiceKey, now time.Time, deleted bool) []netip.Addr {
	freed := a.Expire(now)
	a.queue.remove(key)
	h := a.services[key]
	if h == nil {
		return freed
	}
	if deleted {
		for _, addr := range h.addrs {
			if p := a.poolOf(addr); p != nil && p.Retention > 0 {
				a.retained.add(lb.Retained{Service: key, Address: addr, Until: now.Add(p.Retention)})
			}
		}
	}
	return append(freed, a.dropAll(h)...)
}

// dropAll ends a holding and gives the addresses that others may have now.
func (a *Allocator) dropAll(h *holding) []netip.Addr {
	delete(a.services, h.svc.Key)
	for _, addr := range h.addrs {
		a.drop(h, addr)
	}
	return a.opened(h.addrs)
}

// opened gives those of the addresses whose release may help somebody: who could get or share
// the address now, or whose namespace has room in its quota.
func (a *Allocator) opened(addrs []netip.Addr) []netip.Addr {
	var out []netip.Addr
	for _, addr := range addrs {
		if p := a.poolOf(addr); p != nil && (p.Quota != nil || !a.keptForAbsent(addr)) {
			out = append(out, addr)
		}
	}
	return out
}

// keptForAbsent tells whether the address is not in use and retained, and for none that waits.
func (a *Allocator) keptForAbsent(addr netip.Addr) bool {
	entries := a.retained.byAddr[addr]
	return a.addrs[addr] == nil && len(entries) > 0 &&
		!slices.ContainsFunc(entries, func(e lb.Retained) bool { return a.queue.byKey[e.Service] != nil })
}
