package config

import (
	"net/netip"
	"slices"

	"github.com/lintel-lb/lintel/api/v1beta1"
	"github.com/lintel-lb/lintel/internal/lb"
)

type poolCandidate = candidate[*v1beta1.IPAddressPool, *lb.Pool]

// parsePool applies the rules that concern one pool alone. The pool that it leaves behind
// has all ranges that can be read, also where it is refused: then they may overlap.
func parsePool(c *poolCandidate) *refusal {
	in := c.object
	spec := &in.Spec
	p := &lb.Pool{
		Name:          in.Name,
		AutoAssign:    spec.AutoAssign == nil || *spec.AutoAssign,
		AvoidBuggyIPs: spec.AvoidBuggyIPs,
		Drain:         spec.Drain,
	}
	c.value = p
	if in.Name == "" {
		return refuse(ReasonMissingName, "missing pool name")
	}
	r := parseRanges(p, spec.Addresses)
	retention := parseRetention(p, in) // also where the pool is refused and held over
	for _, rest := range []func(*lb.Pool, *v1beta1.IPAddressPool) *refusal{
		parseAllocation, parseReservations, func(*lb.Pool, *v1beta1.IPAddressPool) *refusal { return retention }, parseQuota, parseRequesters,
	} {
		if r == nil {
			r = rest(p, in)
		}
	}
	p.Retained = parseRetained(p, in.Status.Retained)
	return r.within("parsing address pool %s: ", in.Name)
}

func parseRanges(p *lb.Pool, entries []string) *refusal {
	if len(entries) == 0 {
		return refuse(ReasonInvalidAddresses, "pool has no prefixes defined: give at least one CIDR or first-last range in spec.addresses")
	}
	var first *refusal
	var taken claims
	for i, entry := range entries {
		rng, err := ParseRange(entry)
		var r *refusal
		if err != nil {
			r = refuse(ReasonInvalidAddresses, "spec.addresses[%d]: %v", i, err)
		} else if other, overlaps := taken.find(rng); overlaps {
			r = refuse(ReasonInvalidAddresses,
				"CIDR %q in pool %q overlaps with already defined CIDR %q: both are in spec.addresses of this pool; remove or narrow one of them",
				entry, p.Name, other.entry)
			p.Ranges = append(p.Ranges, rng)
		} else {
			taken = taken.add(claim{IPRange: rng, pool: p.Name, entry: entry})
			p.Ranges = append(p.Ranges, rng)
		}
		if first == nil {
			first = r
		}
	}
	return first
}

func parseAllocation(p *lb.Pool, in *v1beta1.IPAddressPool) *refusal {
	spec := in.Spec.AllocateTo
	if spec == nil {
		return nil
	}
	a := &lb.Allocation{Priority: spec.Priority}
	if ns, dup := repeated(spec.Namespaces); dup {
		return refuse(ReasonDuplicateEntry, "duplicate definition in namespaces field: %q comes twice in spec.serviceAllocation.namespaces", ns)
	}
	sel, r := parseSelectors("namespaceSelectors", spec.NamespaceSelectors)
	if r != nil {
		return r.within("invalid namespace label selector in spec.serviceAllocation: ")
	}
	if len(spec.Namespaces)+len(sel) > 0 {
		a.Namespaces = &lb.NamespaceSet{Names: slices.Clone(spec.Namespaces), Selectors: sel}
	}
	if a.Services, r = parseSelectors("serviceSelectors", spec.ServiceSelectors); r != nil {
		return r.within("invalid service label selector in spec.serviceAllocation: ")
	}
	p.Allocation = a
	return nil
}

func parseReservations(p *lb.Pool, in *v1beta1.IPAddressPool) *refusal {
	holder := map[netip.Addr]lb.ServiceKey{}
	var out []lb.Reservation
	for i, spec := range in.Spec.Reservations {
		res := lb.Reservation{Service: lb.ServiceKey{Namespace: spec.Namespace, Name: spec.Name}}
		for _, text := range spec.Addresses {
			a, err := parseAddr(text)
			if err != nil {
				return refuse(ReasonInvalidReservation, "spec.reservations[%d]: invalid address %q: %v", i, text, err)
			}
			if !inRanges(p, a) {
				return refuse(ReasonInvalidReservation, "spec.reservations[%d]: address %s is not in this pool: reserve it in the pool that has it", i, a)
			}
			if other, taken := holder[a]; taken {
				return refuse(ReasonInvalidReservation, "spec.reservations[%d]: address %s is reserved for %s already", i, a, other)
			}
			holder[a] = res.Service
			res.Addresses = append(res.Addresses, a)
		}
		out = append(out, res)
	}
	keys := make([]lb.ServiceKey, 0, len(out))
	for _, res := range out {
		keys = append(keys, res.Service)
	}
	if key, dup := repeated(keys); dup {
		return refuse(ReasonInvalidReservation, "spec.reservations: %s comes twice: put its addresses into one entry", key)
	}
	p.Reservations = out
	return nil
}

func parseRetention(p *lb.Pool, in *v1beta1.IPAddressPool) *refusal {
	d := in.Spec.Retention
	if d == nil {
		return nil
	}
	if d.Duration < 0 {
		return refuse(ReasonInvalidRetention, "spec.retention %q is negative: give a duration such as 10m, or leave it out", d.Duration)
	}
	p.Retention = d.Duration
	return nil
}

func parseQuota(p *lb.Pool, in *v1beta1.IPAddressPool) *refusal {
	spec := in.Spec.Quota
	if spec == nil {
		return nil
	}
	q := &lb.Quota{PerNamespace: -1, Namespaces: map[string]int{}}
	if n := spec.PerNamespace; n != nil {
		if *n < 0 {
			return refuse(ReasonInvalidQuota, "spec.quota.perNamespace %d is negative: leave it out for no bound", *n)
		}
		q.PerNamespace = int(*n)
	}
	for _, ns := range spec.Namespaces {
		if _, dup := q.Namespaces[ns.Namespace]; dup {
			return refuse(ReasonInvalidQuota, "spec.quota.namespaces: %q comes twice", ns.Namespace)
		}
		if ns.Addresses < 0 {
			return refuse(ReasonInvalidQuota, "spec.quota.namespaces: %d addresses for %q is negative", ns.Addresses, ns.Namespace)
		}
		q.Namespaces[ns.Namespace] = int(ns.Addresses)
	}
	p.Quota = q
	return nil
}

func parseRequesters(p *lb.Pool, in *v1beta1.IPAddressPool) *refusal {
	spec := in.Spec.Requesters
	if spec == nil {
		return nil
	}
	sel, r := parseSelectors("namespaceSelectors", spec.NamespaceSelectors)
	if r != nil {
		return r.within("invalid namespace label selector in spec.requesters: ")
	}
	p.Requesters = &lb.NamespaceSet{Names: slices.Clone(spec.Namespaces), Selectors: sel}
	return nil
}

// parseRetained reads what the controller wrote itself; what does not fit the pool any
// more is left out.
func parseRetained(p *lb.Pool, in []v1beta1.RetainedAddress) []lb.Retained {
	var out []lb.Retained
	for _, r := range in {
		a, err := parseAddr(r.Address)
		if err != nil || !inRanges(p, a) {
			continue
		}
		out = append(out, lb.Retained{
			Service: lb.ServiceKey{Namespace: r.Namespace, Name: r.Name},
			Address: a,
			Until:   r.Until.Time,
		})
	}
	return out
}
