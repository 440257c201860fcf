package lb

import (
	"net/netip"
	"time"

	"go4.org/netipx"
)

// Pool is an IPAddressPool that was accepted.
type Pool struct {
	Name string
	// Ranges holds one item per entry of spec.addresses, in that order. Ranges of all pools
	// of a Config are disjoint, valid and of one family each.
	Ranges []netipx.IPRange
	// AutoAssign is false for pools used only when a Service names them or one of their addresses.
	AutoAssign bool
	// AvoidBuggyIPs keeps IPv4 addresses that end in .0 or .255 from use.
	AvoidBuggyIPs bool
	// Allocation pins the pool; nil means open to every Service.
	Allocation *Allocation

	// Drain stops new assignments; existing ones stay. (extension)
	Drain bool
	// Reservations give addresses to Services by name, whether these exist or not. (extension)
	Reservations []Reservation
	// Retention is how long the address of a deleted Service is kept for a Service of the
	// same namespace and name; 0 means not at all. (extension)
	Retention time.Duration
	// Retained are addresses of deleted Services that are kept now. (extension, from status)
	Retained []Retained
	// Quota bounds how many addresses a namespace may hold; nil means no bound. (extension)
	Quota *Quota
	// Requesters, if not nil, are the namespaces whose Services may ask for a specific
	// address of this pool. (extension)
	Requesters *NamespaceSet
}

// Allocation says which Services a pinned pool is for (spec.serviceAllocation).
type Allocation struct {
	// Priority orders pinned pools: positive ones ascending, then 0, then negative ones ascending.
	Priority int
	// Namespaces restricts the pool; nil means any namespace.
	Namespaces *NamespaceSet
	// Services restricts the pool by labels of the Service; empty means any.
	Services Selectors
}

// NamespaceSet is the union of names and of namespaces that match a selector. A set whose
// selectors match no namespace is an empty set, not all namespaces.
type NamespaceSet struct {
	Names     []string
	Selectors Selectors
}

// Contains tells whether a namespace with these labels is in the set.
func (s *NamespaceSet) Contains(name string, labels map[string]string) bool {
	for _, n := range s.Names {
		if n == name {
			return true
		}
	}
	return s.Selectors.Matches(labels)
}

// Reservation binds addresses of a pool to one Service.
type Reservation struct {
	Service   ServiceKey
	Addresses []netip.Addr
}

// Retained is an address that waits for its Service to be created again.
type Retained struct {
	Service ServiceKey
	Address netip.Addr
	Until   time.Time
}

// Quota bounds the number of distinct addresses of a pool in use by one namespace.
type Quota struct {
	// PerNamespace applies to namespaces not listed in Namespaces; negative means no bound.
	PerNamespace int
	Namespaces   map[string]int
}

// Limit gives the bound for a namespace; ok is false where there is none.
func (q *Quota) Limit(namespace string) (limit int, ok bool) {
	if q == nil {
		return 0, false
	}
	if n, listed := q.Namespaces[namespace]; listed {
		return n, n >= 0
	}
	return q.PerNamespace, q.PerNamespace >= 0
}

// Admits tells whether the pool's pinning allows a Service with these labels, in a
// namespace with these labels. Open pools admit all.
func (p *Pool) Admits(namespace string, namespaceLabels, serviceLabels map[string]string) bool {
	if p.Allocation == nil {
		return true
	}
	if ns := p.Allocation.Namespaces; ns != nil && !ns.Contains(namespace, namespaceLabels) {
		return false
	}
	return p.Allocation.Services.MatchesOrEmpty(serviceLabels)
}

// Covers tells whether an address lies in the pool and may be used: with AvoidBuggyIPs,
// IPv4 addresses ending in .0 and .255 may not.
func (p *Pool) Covers(a netip.Addr) bool {
	if p.AvoidBuggyIPs && Buggy(a) {
		return false
	}
	for _, r := range p.Ranges {
		if r.Contains(a) {
			return true
		}
	}
	return false
}

// HasFamily tells whether the pool has any range of the family.
func (p *Pool) HasFamily(f Family) bool {
	for _, r := range p.Ranges {
		if FamilyOf(r.From()) == f {
			return true
		}
	}
	return false
}

// Buggy tells whether an address is one that some old equipment mistakes for a network or
// broadcast address: IPv4 ending in .0 or .255.
func Buggy(a netip.Addr) bool {
	if !a.Is4() {
		return false
	}
	last := a.As4()[3]
	return last == 0 || last == 255
}
