package ipam

import (
	"fmt"
	"strings"

	"github.com/lintel-lb/lintel/internal/lb"
)

// poolRefusal says why one pool that admits the Service gives none of these families.
func (s *search) poolRefusal(p *pool, families []lb.Family) *refusal {
	dual := ""
	if len(families) > 1 {
		dual = " for dual IPFamily"
	}
	for _, f := range families {
		if !p.HasFamily(f) {
			return refuse(FamilyNotInPool, fmt.Sprintf("add %s addresses to it, or choose another pool", f),
				"no available IPs in pool %s%s: it has no %s addresses", p.Name, dual, f)
		}
	}
	if p.Drain {
		return drainRefusal(p)
	}
	if r := s.quotaRefusal(p, len(families)); r != nil && s.hasAny(p, families) {
		return r
	}
	return refuse(PoolExhausted, "add addresses to it, or choose another pool", "no available IPs in pool %s%s", p.Name, dual)
}

func drainRefusal(p *pool) *refusal {
	return refuse(Draining, "choose another pool, or end the drain", "pool %s is draining and gives no new addresses", p.Name)
}

// hasAny tells whether the pool has a free address of every family.
func (s *search) hasAny(p *pool, families []lb.Family) bool {
	for _, f := range families {
		if !p.hasFree(f) {
			return false
		}
	}
	return true
}

// quotaRefusal tells of the quota of the namespace in a pool, for a Service that needs so
// many addresses; nil where there is none.
func (s *search) quotaRefusal(p *pool, need int) *refusal {
	limit, ok := p.Quota.Limit(s.svc.Key.Namespace)
	if !ok {
		return nil
	}
	more := ""
	if need > 1 {
		more = fmt.Sprintf(", and %d are needed", need)
	}
	return refuse(QuotaExceeded, "delete a Service, share an address, or have the quota raised",
		"namespace %s holds %d of the %d addresses that it may have of pool %s%s",
		s.svc.Key.Namespace, p.usage[s.svc.Key.Namespace], limit, p.Name, more)
}

// automaticRefusal says why no pool will do. It names the cause that is nearest to success.
func (s *search) automaticRefusal(phase [][]lb.Family) *refusal {
	var quota *refusal
	var full, draining, lacking []string
	for _, p := range s.a.pools {
		if !p.AutoAssign || !s.admits(p) {
			continue
		}
		fits := false
		for _, families := range phase {
			has := true
			for _, f := range families {
				has = has && p.HasFamily(f)
			}
			fits = fits || has
			if q := s.quotaRefusal(p, len(families)); quota == nil && q != nil && has && !p.Drain && s.hasAny(p, families) {
				quota = q
			}
		}
		switch {
		case !fits:
			lacking = append(lacking, p.Name)
		case p.Drain:
			draining = append(draining, p.Name)
		default:
			full = append(full, p.Name)
		}
	}
	switch {
	case quota != nil:
		return quota
	case len(full) > 0:
		return refuse(PoolExhausted, "add addresses to one of them", "no available IPs: no free address in %s", enumerate(full))
	case len(draining) > 0:
		return refuse(Draining, "end a drain, or add a pool", "no available IPs: draining: %s", enumerate(draining))
	case len(lacking) > 0:
		var names []string
		for _, families := range phase {
			for _, f := range families {
				names = append(names, f.String())
			}
		}
		join := " or "
		if len(phase) == 1 {
			join = " and "
		}
		return refuse(FamilyNotInPool, "add such addresses to one of them", "no available IPs: no %s addresses in %s",
			strings.Join(names, join), enumerate(lacking))
	}
	return refuse(NotAllowedByPool, "create a pool that is open to it, or name a pool with "+AnnotationPool,
		"no available IPs: no pool assigns addresses automatically to this Service")
}

// enumerate names the first few of some pools.
func enumerate(names []string) string {
	const most = 5
	switch {
	case len(names) == 1:
		return "pool " + names[0]
	case len(names) > most:
		return fmt.Sprintf("pools %s and %d more", strings.Join(names[:most], ", "), len(names)-most)
	}
	return "pools " + strings.Join(names, ", ")
}
