package config

import (
	"slices"
	"strings"

	"github.com/lintel-lb/lintel/api/v1beta1"
	"github.com/lintel-lb/lintel/internal/lb"
)

type l2Candidate = candidate[*v1beta1.L2Advertisement, *lb.L2Advertisement]

// l2Parser gives the rules for L2Advertisements.
func l2Parser(pools poolSet) func(*l2Candidate) *refusal {
	return func(c *l2Candidate) *refusal {
		return parseL2(c, pools).within("parsing L2Advertisement %s: ", c.ref.Name)
	}
}

func parseL2(c *l2Candidate, pools poolSet) *refusal {
	spec := &c.object.Spec
	sel, r := parseAdvertisementSelectors(spec.IPAddressPools, spec.IPAddressPoolSelectors, spec.NodeSelectors, spec.ServiceSelectors)
	if r != nil {
		return r
	}
	a := &lb.L2Advertisement{
		Name:       c.ref.Name,
		Pools:      poolNames(pools.selected(spec.IPAddressPools, sel.pools)),
		Nodes:      sel.nodes,
		Services:   sel.services,
		Interfaces: slices.Clone(spec.Interfaces),
	}
	for i, p := range spec.PreferredNodeSelectors {
		if p.Weight < 1 || p.Weight > 100 {
			return refuse(ReasonInvalidWeight, "preferredNodeSelectors[%d]: invalid weight %d, must be in 1-100 range", i, p.Weight)
		}
		nodes, _, r := parseSelector(&p.NodeSelector)
		if r != nil {
			return r.within("preferredNodeSelectors[%d].nodeSelector: ", i)
		}
		a.PreferredNodes = append(a.PreferredNodes, lb.PreferredNode{Weight: int(p.Weight), Nodes: nodes})
	}
	warnPools(c, a.Pools, pools.unknown(spec.IPAddressPools))
	c.value = a
	return nil
}

// advertisementSelectors are the selectors that both kinds of advertisement have.
type advertisementSelectors struct {
	pools, nodes, services lb.Selectors
}

func parseAdvertisementSelectors(names []string, pools, nodes, services labelSelectors) (s advertisementSelectors, r *refusal) {
	if name, dup := repeated(names); dup {
		return s, refuse(ReasonDuplicateEntry, "duplicate definition of ipAddressPools %q: remove one of the two", name)
	}
	if s.pools, r = parseSelectors("ipAddressPoolSelectors", pools); r != nil {
		return s, r
	}
	if s.nodes, r = parseSelectors("nodeSelectors", nodes); r != nil {
		return s, r
	}
	s.services, r = parseSelectors("serviceSelectors", services)
	return s, r
}

// warnPools points out pools that do not exist, and advertisements that are for none.
func warnPools[O object, V any](c *candidate[O, V], selected, unknown []string) {
	switch {
	case len(unknown) > 0:
		c.warn("no IPAddressPool is named %s: check spec.ipAddressPools", strings.Join(unknown, ", "))
	case len(selected) == 0:
		c.warn("no IPAddressPool is selected, so nothing is announced")
	}
}
