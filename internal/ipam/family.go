package ipam

import (
	"net/netip"
	"slices"

	"github.com/lintel-lb/lintel/internal/lb"
)

func bothFamilies() []lb.Family { return []lb.Family{lb.IPv4, lb.IPv6} }

func familiesOf(addrs []netip.Addr) []lb.Family {
	out := make([]lb.Family, 0, len(addrs))
	for _, a := range addrs {
		out = append(out, lb.FamilyOf(a))
	}
	return out
}

// distinctFamilies tells whether there is at most one address per family.
func distinctFamilies(addrs []netip.Addr) bool {
	switch len(addrs) {
	case 0, 1:
		return true
	case 2:
		return lb.FamilyOf(addrs[0]) != lb.FamilyOf(addrs[1])
	}
	return false
}

// primary gives the family that goes first: for a Service with two cluster addresses that
// of spec.ipFamilies[0].
func primary(svc *lb.Service) lb.Family {
	if len(svc.ClusterIPs) == 1 || svc.PrimaryFamily == 0 {
		return lb.FamilyOf(svc.ClusterIPs[0])
	}
	return svc.PrimaryFamily
}

// mayHave tells whether addresses of these families satisfy the Service, if nothing better
// is to be had. Two cluster addresses with SingleStack is nothing that the API server makes;
// then one address is given, and two are left alone.
func mayHave(svc *lb.Service, have []lb.Family) bool {
	if len(svc.ClusterIPs) == 1 {
		return len(have) == 1 && have[0] == lb.FamilyOf(svc.ClusterIPs[0])
	}
	return len(have) == 2 || (len(have) == 1 && svc.FamilyPolicy != lb.RequireDualStack)
}

// wanted lists what would satisfy the Service, in phases from best to worst, each phase
// with its alternatives in order.
func wanted(svc *lb.Service) [][][]lb.Family {
	first := primary(svc)
	one := [][]lb.Family{{first}}
	if len(svc.ClusterIPs) == 1 {
		return [][][]lb.Family{one}
	}
	both := [][]lb.Family{bothFamilies()}
	switch svc.FamilyPolicy {
	case lb.RequireDualStack:
		return [][][]lb.Family{both}
	case lb.PreferDualStack:
		return [][][]lb.Family{both, {{first}, {first.Other()}}}
	}
	return [][][]lb.Family{one}
}

// wantsMore gives the family that a Service with these addresses should get in addition.
func wantsMore(svc *lb.Service, have []netip.Addr) (lb.Family, bool) {
	if len(svc.ClusterIPs) != 2 || svc.FamilyPolicy != lb.PreferDualStack || len(have) != 1 {
		return 0, false
	}
	return lb.FamilyOf(have[0]).Other(), true
}

// unmap turns 4-in-6 addresses into IPv4 ones.
func unmap(addrs []netip.Addr) []netip.Addr {
	if !slices.ContainsFunc(addrs, netip.Addr.Is4In6) {
		return addrs
	}
	out := make([]netip.Addr, 0, len(addrs))
	for _, a := range addrs {
		out = append(out, a.Unmap())
	}
	return out
}

func containsAll(set, subset []netip.Addr) bool {
	for _, a := range subset {
		if !slices.Contains(set, a) {
			return false
		}
	}
	return true
}

// without gives the members of a that are not in b.
func without(a, b []netip.Addr) []netip.Addr {
	var out []netip.Addr
	for _, x := range a {
		if !slices.Contains(b, x) {
			out = append(out, x)
		}
	}
	return out
}

// arrange puts the addresses that the Service has already first, in their present order.
func arrange(addrs, present []netip.Addr) []netip.Addr {
	out := make([]netip.Addr, 0, len(addrs))
	for _, a := range present {
		if slices.Contains(addrs, a) {
			out = append(out, a)
		}
	}
	return append(out, without(addrs, out)...)
}
