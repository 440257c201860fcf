package ipam

import "github.com/lintel-lb/lintel/internal/lb"

// mayKeep tells whether the present addresses are in order, and tells the user where not.
func (p *pass) mayKeep() bool {
	if len(p.present) == 0 {
		return false
	}
	if !distinctFamilies(p.present) {
		p.out.Events = append(p.out.Events, warning(EventStatusFamily,
			"Failed to retrieve LBIPs IPFamily for %q: want one address, or one of each family", p.present))
		return false
	}
	if !mayHave(p.svc, familiesOf(p.present)) {
		return false
	}
	r := p.keepable()
	if r == nil {
		return true
	}
	p.out.Events = append(p.out.Events, normal(EventCleared,
		"current IP for %q not allowed by config, will attempt for new IP assignment: %s", p.svc.Key, r.why))
	return false
}

// keepable says why the present addresses may not be kept; nil if they may. An address that
// the Service does not hold, but that its status shows, may not get round reservations,
// retention and quotas.
func (s *search) keepable() *refusal {
	in := s.a.poolOf(s.present[0])
	foreign := false
	for _, addr := range s.present {
		if r := s.valid(addr); r != nil {
			return r
		}
		if s.a.poolOf(addr) != in {
			return refuse(NotCovered, "", "%q is not allowed in config: the addresses are in different pools", s.present)
		}
		if s.mine(addr) {
			continue
		}
		foreign = true
		if r := s.withheld(in, addr); r != nil {
			return r
		}
	}
	if foreign {
		families := familiesOf(s.present)
		if _, ok := s.choose(in, families, s.present...); !ok {
			return s.quotaRefusal(in, len(families))
		}
	}
	return nil
}

// readRequest says what is wrong with the request in itself; nil if nothing.
func (p *pass) readRequest() *refusal {
	req := p.svc.Request
	switch {
	case req.Err != "":
		return refuse(RequestInvalid, "", "%s", req.Err)
	case len(req.Addresses) == 0:
		return nil
	case !distinctFamilies(req.Addresses) || len(req.Addresses) > len(p.svc.ClusterIPs):
	case len(p.svc.ClusterIPs) == 1 && lb.FamilyOf(req.Addresses[0]) != lb.FamilyOf(p.svc.ClusterIPs[0]):
	default:
		return nil
	}
	return refuse(RequestInvalid, "ask for one address of each family that the Service's cluster IPs have",
		"requested loadBalancer IP(s) %q does not match the ipFamily of the service", req.Addresses)
}

// asRequested tells whether the present addresses are what the Service asks for.
func (p *pass) asRequested() bool {
	req := p.svc.Request
	if req.Pool != "" && p.a.poolOf(p.present[0]).Name != req.Pool {
		return false
	}
	return containsAll(p.present, req.Addresses)
}
