package ipam

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"

	"github.com/lintel-lb/lintel/internal/lb"
)

// Claim is a Service with the addresses in its status, and its namespace.
type Claim struct {
	Service   *lb.Service
	Namespace Namespace
}

// Conflict tells that a Service shows an address that another one keeps.
type Conflict struct {
	Service lb.ServiceKey
	Address netip.Addr
	Message string
}

// Adopt takes over the assignments that Services show in their status. It is called once
// with all Services, after the first configuration and before the first Sync, so that no new
// assignment takes an address that is in use. Addresses that no pool covers are taken over
// too; Sync replaces them in time.
//
// Where Services show the same address and may not share it, the result does not depend on
// their order: first come those whose annotation ip-allocated-from-pool names the pool of
// the address, then those with a sharing key, then the lower key. Each loser holds nothing,
// is reported, and gets other addresses from its next Sync.
func (a *Allocator) Adopt(claims []Claim) []Conflict {
	sorted := slices.SortedFunc(slices.Values(claims), func(x, y Claim) int {
		return cmp.Or(
			boolLast(a.matchesPool(x.Service), a.matchesPool(y.Service)),
			boolLast(x.Service.SharingKey != "", y.Service.SharingKey != ""),
			x.Service.Key.Compare(y.Service.Key))
	})
	var conflicts []Conflict
	for _, c := range sorted {
		addrs := unmap(c.Service.Addresses)
		if len(addrs) == 0 || !distinctFamilies(addrs) || a.services[c.Service.Key] != nil {
			continue
		}
		if x, ok := a.conflict(c.Service, addrs); ok {
			conflicts = append(conflicts, x)
			continue
		}
		h := &holding{svc: c.Service, ns: c.Namespace, addrs: slices.Clone(addrs)}
		a.services[c.Service.Key] = h
		for _, addr := range addrs {
			a.hold(h, addr)
		}
		a.forgetAll(c.Service.Key)
	}
	return conflicts
}

// boolLast orders true before false.
func boolLast(x, y bool) int {
	switch {
	case x == y:
		return 0
	case x:
		return -1
	}
	return 1
}

// matchesPool tells whether the annotation that says where the address came from is right.
func (a *Allocator) matchesPool(svc *lb.Service) bool {
	if len(svc.Addresses) == 0 {
		return false
	}
	p := a.poolOf(svc.Addresses[0].Unmap())
	return p != nil && p.Name == svc.AssignedPool
}

func (a *Allocator) conflict(svc *lb.Service, addrs []netip.Addr) (Conflict, bool) {
	for _, addr := range addrs {
		if r := a.sharingRefusal(svc, addr); r != nil {
			return Conflict{
				Service: svc.Key,
				Address: addr,
				Message: fmt.Sprintf("address %s is claimed by %s and kept by %s: %s",
					addr, svc.Key, a.addrs[addr].others(svc.Key), r.message()),
			}, true
		}
	}
	return Conflict{}, false
}
