package ipam

import (
	"cmp"
	"slices"
	"strings"

	"github.com/lintel-lb/lintel/internal/lb"
)

// pinned finds the pinned pools for a Service. Pools that name their namespaces are found
// by namespace, so that a thousand tenants with a pool each do not slow one another down.
type pinned struct {
	byNamespace map[string][]*pool
	// general are the pools whose namespaces are not a plain list of names.
	general []*pool
}

func newPinned(pools []*pool) pinned {
	x := pinned{byNamespace: map[string][]*pool{}}
	for _, p := range pools {
		if p.Allocation == nil || !p.gives() {
			continue
		}
		set := p.Allocation.Namespaces
		if set == nil || len(set.Selectors) > 0 {
			x.general = append(x.general, p)
			continue
		}
		for _, ns := range slices.Compact(slices.Sorted(slices.Values(set.Names))) {
			x.byNamespace[ns] = append(x.byNamespace[ns], p)
		}
	}
	slices.SortFunc(x.general, comparePinned)
	for _, list := range x.byNamespace {
		slices.SortFunc(list, comparePinned)
	}
	return x
}

// comparePinned orders by priority, then by name.
func comparePinned(x, y *pool) int {
	return cmp.Or(comparePriority(x.Allocation.Priority, y.Allocation.Priority), strings.Compare(x.Name, y.Name))
}

// comparePriority puts positive numbers first, then 0, then negative ones, each ascending.
func comparePriority(x, y int) int {
	rank := func(p int) int {
		switch {
		case p > 0:
			return 0
		case p == 0:
			return 1
		}
		return 2
	}
	return cmp.Or(cmp.Compare(rank(x), rank(y)), cmp.Compare(x, y))
}

// pools gives the pinned pools that admit a Service, in order.
func (x *pinned) pools(svc *lb.Service, ns Namespace) []*pool {
	var out []*pool
	for _, list := range [][]*pool{x.byNamespace[svc.Key.Namespace], x.general} {
		for _, p := range list {
			if p.Admits(svc.Key.Namespace, ns.Labels, svc.Labels) {
				out = append(out, p)
			}
		}
	}
	slices.SortFunc(out, comparePinned)
	return out
}

// tiers gives the same pools in groups of equal priority.
func (x *pinned) tiers(svc *lb.Service, ns Namespace) [][]*pool {
	var out [][]*pool
	for _, p := range x.pools(svc, ns) {
		if n := len(out); n > 0 && out[n-1][0].Allocation.Priority == p.Allocation.Priority {
			out[n-1] = append(out[n-1], p)
		} else {
			out = append(out, []*pool{p})
		}
	}
	return out
}
