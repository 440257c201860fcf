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

// candidates are the links of a snapshot as plans see them.
type candidates struct {
	of     *links.Snapshot
	all    []candidate
	byName map[string]candidate
}

func candidatesOf(s *links.Snapshot, exclude []*regexp.Regexp) candidates {
	c := candidates{of: s, all: make([]candidate, len(s.Links)), byName: make(map[string]candidate, len(s.Links))}
	for i := range s.Links {
		_, why := links.Eligible(&s.Links[i], exclude)
		c.all[i] = candidate{&s.Links[i], why}
		c.byName[s.Links[i].Name] = c.all[i]
	}
	return c
}

// makePlan lays the desired addresses over the links that exist.
func makePlan(d Desired, c candidates) plan {
	pl := plan{ports: map[portKey][]netip.Addr{}, problems: make(map[netip.Addr][]Problem, len(d.Addresses))}
	for a, scope := range d.Addresses {
		keys, problems := place(a, scope, c)
		pl.problems[a] = problems
		for _, k := range keys {
			pl.ports[k] = append(pl.ports[k], a)
		}
	}
	for _, addrs := range pl.ports {
		slices.SortFunc(addrs, netip.Addr.Compare)
	}
	return pl
}

// change brings the plan in line with what is desired now of some addresses, and tells which
// responders that concerns. The plan is then what makePlan would make, if the links are the same.
func (pl *plan) change(addrs []netip.Addr, d Desired, c candidates) (touched map[portKey]bool) {
	touched = map[portKey]bool{}
	for _, a := range addrs {
		for k, on := range pl.ports {
			if i, found := slices.BinarySearchFunc(on, a, netip.Addr.Compare); found {
				touched[k] = true
				if pl.ports[k] = slices.Delete(on, i, i+1); len(on) == 1 {
					delete(pl.ports, k)
				}
			}
		}
		delete(pl.problems, a)
		scope, desired := d.Addresses[a]
		if !desired {
			continue
		}
		keys, problems := place(a, scope, c)
		pl.problems[a] = problems
		for _, k := range keys {
			touched[k] = true
			i, _ := slices.BinarySearchFunc(pl.ports[k], a, netip.Addr.Compare)
			pl.ports[k] = slices.Insert(pl.ports[k], i, a)
		}
	}
	return touched
}

// difference lists the addresses that two sets do not want alike.
func difference(a, b Desired) []netip.Addr {
	var out []netip.Addr
	for addr, s := range a.Addresses {
		if o, ok := b.Addresses[addr]; !ok || !s.equal(o) {
			out = append(out, addr)
		}
	}
	for addr := range b.Addresses {
		if _, ok := a.Addresses[addr]; !ok {
			out = append(out, addr)
		}
	}
	return out
}

// place says on which responders an address belongs, and what stands in the way.
func place(a netip.Addr, scope Scope, among candidates) (keys []portKey, problems []Problem) {
	if !isUnicast(a) {
		return nil, []Problem{{Reason: BadAddress}}
	}
	proto := protocolOf(a)
	put := func(c candidate) { keys = append(keys, keyOf(c.link, proto)) }
	if scope.All {
		for _, c := range among.all {
			if c.problem(proto) == "" {
				put(c)
			}
		}
	} else {
		for _, name := range sortedNames(scope.Links) {
			c, ok := among.byName[name]
			if !ok {
				problems = append(problems, Problem{Link: name, Reason: LinkMissing})
			} else if why := c.problem(proto); why != "" {
				problems = append(problems, Problem{Link: name, Reason: why})
			} else {
				put(c)
			}
		}
	}
	if len(keys) == 0 {
		problems = append(problems, Problem{Reason: NoUsableLink})
	}
	return keys, problems
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
