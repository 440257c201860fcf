package l2

import (
	"net/netip"
	"regexp"
	"slices"
	"strings"

	"github.com/lintel-lb/lintel/internal/links"
)

// protocol is what a port speaks.
type protocol string

const (
	protoARP protocol = "arp"
	protoNDP protocol = "ndp"
)

func protocolOf(a netip.Addr) protocol {
	if a.Is4() {
		return protoARP
	}
	return protoNDP
}

// portKey identifies one responder. A link that comes back, or changes its name, hardware or
// link-local address, has another key, so that its addresses are announced afresh.
type portKey struct {
	proto protocol
	link  string
	index int
	mac   links.MAC
	// source is the link-local address for protoNDP, and invalid for protoARP.
	source netip.Addr
}

// plan is what the engine should do: the desired addresses laid over the links.
type plan struct {
	// ports has the addresses, sorted, that each responder should answer for.
	ports map[portKey][]netip.Addr
	// problems has every desired address, with nil for those without any.
	problems map[netip.Addr][]Problem
}

// candidate is a link as the plan sees it.
type candidate struct {
	link *links.Link
	why  links.Reason
}

// problem says why a link cannot answer by the protocol, or "".
func (c candidate) problem(p protocol) ProblemReason {
	switch {
	case c.why != "":
		return ProblemReason(c.why)
	case p == protoARP && !c.link.ARP():
		return LinkNotBroadcast
	case p == protoNDP && !c.link.NDP():
		return LinkNoLinkLocal
	}
	return ""
}

func keyOf(l *links.Link, p protocol) portKey {
	k := portKey{proto: p, link: l.Name, index: l.Index, mac: l.MAC}
	if p == protoNDP {
		k.source = l.LinkLocal6
	}
	return k
}

// makePlan lays the desired addresses over the links that exist.
func makePlan(d Desired, s *links.Snapshot, exclude []*regexp.Regexp) plan {
	pl := plan{ports: map[portKey][]netip.Addr{}, problems: make(map[netip.Addr][]Problem, len(d.Addresses))}
	all := make([]candidate, len(s.Links))
	byName := make(map[string]candidate, len(s.Links))
	for i := range s.Links {
		_, why := links.Eligible(&s.Links[i], exclude)
		all[i] = candidate{&s.Links[i], why}
		byName[s.Links[i].Name] = all[i]
	}
	for a, scope := range d.Addresses {
		if !isUnicast(a) {
			pl.problems[a] = []Problem{{Reason: BadAddress}}
			continue
		}
		pl.problems[a] = pl.place(a, scope, all, byName)
	}
	for _, addrs := range pl.ports {
		slices.SortFunc(addrs, netip.Addr.Compare)
	}
	return pl
}

// place puts one address on its links and says what stands in the way.
func (pl *plan) place(a netip.Addr, scope Scope, all []candidate, byName map[string]candidate) []Problem {
	proto := protocolOf(a)
	placed := false
	put := func(c candidate) {
		placed = true
		k := keyOf(c.link, proto)
		pl.ports[k] = append(pl.ports[k], a)
	}
	var problems []Problem
	if scope.All {
		for _, c := range all {
			if c.problem(proto) == "" {
				put(c)
			}
		}
	} else {
		for _, name := range sortedNames(scope.Links) {
			c, ok := byName[name]
			if !ok {
				problems = append(problems, Problem{Link: name, Reason: LinkMissing})
			} else if why := c.problem(proto); why != "" {
				problems = append(problems, Problem{Link: name, Reason: why})
			} else {
				put(c)
			}
		}
	}
	if !placed {
		problems = append(problems, Problem{Reason: NoUsableLink})
	}
	return problems
}

// sortedNames sorts the names and removes doubles, as a scope may be a union.
func sortedNames(names []string) []string {
	return slices.Compact(slices.SortedFunc(slices.Values(names), strings.Compare))
}

// isUnicast tells whether a host can have the address. Desired addresses are plain: an
// IPv4 address in its IPv6 form, or one with a zone, is none.
func isUnicast(a netip.Addr) bool {
	return a.IsValid() && !a.IsMulticast() && !a.IsUnspecified() && !a.IsLoopback() && !a.Is4In6() &&
		a.Zone() == "" && a != netip.AddrFrom4([4]byte{255, 255, 255, 255})
}
