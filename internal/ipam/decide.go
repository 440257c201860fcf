package ipam

import (
	"net/netip"
	"slices"

	"github.com/lintel-lb/lintel/internal/lb"
)

// decide finds addresses for the Service as its request says, or says why there are none.
// The Service has a cluster address, and its request was found to be readable.
func (s *search) decide() (choice, *refusal) {
	switch {
	case len(s.svc.Request.Addresses) > 0:
		return s.requested()
	case s.svc.Request.Pool != "":
		return s.named()
	}
	return s.automatic()
}

// requested gives the addresses asked for, and the other family from the same pool where
// the Service has two and asked for one.
func (s *search) requested() (choice, *refusal) {
	want := s.svc.Request.Addresses
	var p *pool
	for _, addr := range want {
		at := s.a.spanOf(addr)
		if at == nil || (p != nil && at.pool != p) {
			return choice{}, refuse(RequestNotInPool, "ask for addresses that one IPAddressPool contains", "%q is not allowed in config", want)
		}
		p = at.pool
	}
	if name := s.svc.Request.Pool; name != "" && name != p.Name {
		return choice{}, refuse(RequestNotInPool, "ask for addresses of that pool, or drop one of the two requests",
			"requested loadBalancer IP(s) %q is not compatible with requested address pool %s", want, name)
	}
	for _, addr := range want {
		if r := s.permitted(p, addr); r != nil {
			return choice{}, r
		}
	}
	families := familiesOf(want)
	if f, more := s.missing(want); more {
		if c, ok := s.choose(p, append(slices.Clone(families), f), want...); ok {
			return c, nil
		}
		if s.svc.FamilyPolicy == lb.RequireDualStack {
			return choice{}, s.poolRefusal(p, []lb.Family{f})
		}
	}
	if c, ok := s.choose(p, families, want...); ok {
		return c, nil
	}
	return choice{}, s.quotaRefusal(p, len(families))
}

// permitted says why the Service may not be given an address of the pool that it asks for;
// nil if it may. What makes other remedies useless is told first.
func (s *search) permitted(p *pool, addr netip.Addr) *refusal {
	if r := s.covered(addr); r != nil {
		if r.reason == NotCovered {
			r.reason = RequestNotInPool
		}
		return r
	}
	if !s.mine(addr) {
		if p.Drain {
			return drainRefusal(p)
		}
		if r := s.withheld(p, addr); r != nil {
			return r
		}
		if p.Requesters != nil && len(p.reserved[addr]) == 0 && !p.Requesters.Contains(s.svc.Key.Namespace, s.ns.Labels) {
			return refuse(RequestNotPermitted, "drop the request for a specific address, or have the namespace added to the pool's requesters",
				"namespace %s may not request specific addresses of pool %s", s.svc.Key.Namespace, p.Name)
		}
	}
	return s.a.sharingRefusal(s.svc, addr)
}

// missing gives the family that has to be added to a request for one address.
func (s *search) missing(want []netip.Addr) (lb.Family, bool) {
	if len(s.svc.ClusterIPs) != 2 || len(want) != 1 || s.svc.FamilyPolicy == lb.SingleStack {
		return 0, false
	}
	return lb.FamilyOf(want[0]).Other(), true
}

// named gives addresses of the pool that the Service names.
func (s *search) named() (choice, *refusal) {
	name := s.svc.Request.Pool
	p := s.a.byName[name]
	if p == nil {
		return choice{}, refuse(UnknownPool, "create the IPAddressPool, mend it if its condition Accepted says that it is refused, or name another", "unknown pool %q", name)
	}
	if !s.admits(p) {
		return choice{}, refuse(NotAllowedByPool, "change the serviceAllocation of the pool, or name another pool",
			"pool %s not compatible for ip assignment", name)
	}
	phases := wanted(s.svc)
	for _, phase := range phases {
		for _, families := range phase {
			if c, ok := s.choose(p, families); ok {
				return c, nil
			}
		}
	}
	return choice{}, s.poolRefusal(p, phases[len(phases)-1][0])
}

// automatic gives addresses of the best pool that will do: the pool that the Service is in,
// pools with addresses that wait for it, pinned pools by priority, open pools by name.
func (s *search) automatic() (choice, *refusal) {
	phases := wanted(s.svc)
	for i, phase := range phases {
		if c, ok := s.stay(phase); ok {
			return c, nil
		}
		if i == 0 {
			if c, ok := s.owned(phases); ok {
				return c, nil
			}
		}
		for _, families := range phase {
			if c, ok := s.tiers(families); ok {
				return c, nil
			}
		}
	}
	return choice{}, s.automaticRefusal(phases[len(phases)-1])
}

// stay keeps at least one address that the Service has.
func (s *search) stay(phase [][]lb.Family) (choice, bool) {
	for _, addr := range s.present {
		p := s.a.poolOf(addr)
		if p == nil || !s.eligible(p, addr) {
			continue
		}
		for _, families := range phase {
			if c, ok := s.choose(p, families); ok && slices.Contains(c.addrs, addr) {
				return c, true
			}
		}
	}
	return choice{}, false
}

// owned gives at least one address that is reserved or retained for the Service.
func (s *search) owned(phases [][][]lb.Family) (choice, bool) {
	pools := slices.Clone(s.a.ownReserved[s.svc.Key])
	for _, addr := range s.a.retained.byKey[s.svc.Key] {
		if p := s.a.poolOf(addr); p != nil {
			pools = append(pools, p)
		}
	}
	slices.SortFunc(pools, func(x, y *pool) int { return x.ord - y.ord })
	pools = slices.Compact(pools)
	for _, phase := range phases {
		for _, p := range pools {
			if !s.admits(p) {
				continue
			}
			for _, families := range phase {
				if c, ok := s.choose(p, families); ok && c.own {
					return c, true
				}
			}
		}
	}
	return choice{}, false
}

// tiers goes through pinned pools by priority and then through the open ones. In a tier an
// address to share goes before a free one.
func (s *search) tiers(families []lb.Family) (choice, bool) {
	for _, tier := range s.a.pinned.tiers(s.svc, s.ns) {
		var best choice
		found := false
		for _, p := range tier {
			if c, ok := s.choose(p, families); ok && (!found || c.shared > best.shared) {
				best, found = c, true
			}
			if found && (s.svc.SharingKey == "" || best.shared == len(families)) {
				break
			}
		}
		if found {
			return best, true
		}
	}
	if c, ok := s.openShared(families); ok {
		return c, true
	}
	return s.openFree(families)
}

// openShared looks through the open pools where the sharing key of the Service is in use.
func (s *search) openShared(families []lb.Family) (best choice, ok bool) {
	for ord := 0; best.shared < len(families); ord++ {
		var p *pool
		for _, f := range families {
			if item, found := s.a.sharers.from(s.svc, f, ord); found && (p == nil || item.ord < p.ord) {
				p = item.rec.at.pool
			}
		}
		if p == nil {
			break
		}
		ord = p.ord
		if !p.isOpen() {
			continue
		}
		if c, found := s.choose(p, families); found && c.shared > best.shared {
			best, ok = c, true
		}
	}
	return best, ok
}

// openFree looks through the open pools that have a free address of each family.
func (s *search) openFree(families []lb.Family) (choice, bool) {
	sets := make([]bitset, 0, 2)
	for _, f := range families {
		sets = append(sets, s.a.openFree[f-1])
	}
	for ord := nextInAll(0, sets...); ord >= 0; ord = nextInAll(ord+1, sets...) {
		if c, ok := s.choose(s.a.pools[ord], families); ok {
			return c, true
		}
	}
	return choice{}, false
}
