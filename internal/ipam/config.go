package ipam

import (
	"net/netip"
	"slices"

	"github.com/lintel-lb/lintel/internal/lb"
)

// Change is what a new configuration means for the Services. Each of them is to be synced;
// everybody else is not concerned.
type Change struct {
	// Lost are Services whose assignment is not allowed any more. They hold it until Sync.
	Lost []Lost
	// Moved are Services whose addresses belong to another pool than before.
	Moved []lb.ServiceKey
	// Retry are Services that wait and can get something now, or now wait for another cause;
	// first come, first served.
	Retry []lb.ServiceKey
}

// Lost is an assignment that is not allowed any more.
type Lost struct {
	Service   lb.ServiceKey
	Addresses []netip.Addr
	Reason    Reason
	Message   string
}

// SetConfig takes a new configuration, and tells what it means for the Services, without
// taking an address from any. A nil configuration is ignored: that nothing was read is no
// reason to change anything.
func (a *Allocator) SetConfig(cfg *lb.Config) Change {
	if cfg == nil {
		return Change{}
	}
	before := map[lb.ServiceKey]string{}
	for key, h := range a.services {
		before[key] = a.poolName(h)
	}
	a.load(cfg)
	var c Change
	for key, h := range a.services {
		s := &search{a: a, svc: h.svc, ns: h.ns, present: h.addrs}
		if r := s.lost(); r != nil {
			c.Lost = append(c.Lost, Lost{Service: key, Addresses: h.addrs, Reason: r.reason, Message: r.message()})
		} else if before[key] != a.poolName(h) {
			c.Moved = append(c.Moved, key)
		}
	}
	slices.SortFunc(c.Lost, func(x, y Lost) int { return x.Service.Compare(y.Service) })
	slices.SortFunc(c.Moved, lb.ServiceKey.Compare)
	a.requeue()
	c.Retry = a.concerned()
	return c
}

// lost says why the holding may not go on; nil if it may.
func (s *search) lost() *refusal {
	if len(s.a.pools) == 0 && !s.a.hadPools {
		return nil
	}
	return s.keepable()
}

func (a *Allocator) poolName(h *holding) string {
	if p := a.poolOf(h.addrs[0]); p != nil {
		return p.Name
	}
	return ""
}
