package l2

import (
	"maps"
	"net/netip"
	"slices"
	"strings"
)

// view is what reconcile has brought about. It is immutable but for the counters and
// conflicts inside the entries.
type view struct {
	version   uint64
	addresses map[netip.Addr]placed
	links     []LinkState
}

// placed is one address in a view.
type placed struct {
	entry    *entry
	links    []string
	problems []Problem
}

// publish shows what is in force and signals a change.
func (w *worker) publish(s step) {
	v := &view{version: s.input.version}
	fails := len(s.openErrs) > 0
	for _, m := range w.ports {
		fails = fails || len(m.failed) > 0
	}
	if s.changed != nil && !fails && !w.troubled {
		v.addresses = w.viewAfter(w.engine.view.Load(), s)
	} else {
		v.addresses = w.viewOf(s)
	}
	w.troubled = fails
	byLink := map[string]*LinkState{}
	for key, m := range w.ports {
		l := byLink[m.key.link]
		if l == nil {
			l = &LinkState{Name: m.key.link}
			byLink[m.key.link] = l
		}
		if key.proto == protoARP {
			l.ARP = true
		} else {
			l.NDP, l.Groups = true, m.groups.joined()
		}
	}
	for _, l := range byLink {
		v.links = append(v.links, *l)
	}
	slices.SortFunc(v.links, func(a, b LinkState) int { return strings.Compare(a.Name, b.Name) })
	w.engine.view.Store(v)
	signal(w.engine.changed)
}

// viewAfter is the view of a step that was about some addresses only, without failures before or
// after it. It equals viewOf.
func (w *worker) viewAfter(before *view, s step) map[netip.Addr]placed {
	out := maps.Clone(before.addresses)
	for _, a := range s.changed {
		e := w.entries[a]
		if e == nil {
			delete(out, a)
			continue
		}
		p := placed{entry: e, problems: slices.Clone(s.plan.problems[a])}
		for _, m := range w.ports {
			if m.table.Load().get(a) == e {
				p.links = append(p.links, m.key.link)
			}
		}
		out[a] = p.sorted()
	}
	return out
}

// viewOf makes the view of all addresses.
func (w *worker) viewOf(s step) map[netip.Addr]placed {
	out := make(map[netip.Addr]placed, len(w.entries))
	for a, e := range w.entries {
		out[a] = placed{entry: e, problems: slices.Clone(s.plan.problems[a])}
	}
	trouble := func(a netip.Addr, link string, err error) {
		p := out[a]
		p.problems = append(p.problems, Problem{Link: link, Reason: SocketFailed, Detail: err.Error()})
		out[a] = p
	}
	for key, err := range s.openErrs {
		for _, a := range s.plan.ports[key] {
			trouble(a, key.link, err)
		}
	}
	for _, m := range w.ports {
		m.table.Load().each(func(e *entry) {
			p := out[e.addr]
			p.links = append(p.links, m.key.link)
			out[e.addr] = p
		})
		for a, err := range m.failed {
			if _, ok := out[a]; ok {
				trouble(a, m.key.link, err)
			}
		}
	}
	for a, p := range out {
		out[a] = p.sorted()
	}
	return out
}

// sorted puts links and problems in order.
func (p placed) sorted() placed {
	slices.Sort(p.links)
	slices.SortFunc(p.problems, func(x, y Problem) int { return strings.Compare(x.Link, y.Link) })
	return p
}

// Snapshot returns what the engine does now.
func (e *Engine) Snapshot() State {
	v := e.view.Load()
	s := State{Applied: v.version, Addresses: make(map[netip.Addr]AddressState, len(v.addresses)), Links: v.links}
	for a, p := range v.addresses {
		s.Addresses[a] = p.state()
	}
	return s
}

// Conflicts returns the addresses that other stations claimed, with the latest claim. It costs
// little where there are none, however many addresses there are.
func (e *Engine) Conflicts() map[netip.Addr]Conflict {
	var out map[netip.Addr]Conflict
	for a, p := range e.view.Load().addresses {
		if c := p.entry.conflict.Load(); c != nil {
			if out == nil {
				out = map[netip.Addr]Conflict{}
			}
			out[a] = *c
		}
	}
	return out
}

// Address returns what the engine does for one address; false if it is not desired.
func (e *Engine) Address(a netip.Addr) (AddressState, bool) {
	p, ok := e.view.Load().addresses[a]
	if !ok {
		return AddressState{}, false
	}
	return p.state(), true
}

func (p placed) state() AddressState {
	s := AddressState{
		Links:    p.links,
		Problems: p.problems,
		Counters: Counters{
			Requests:   p.entry.requests.Load(),
			Probes:     p.entry.probes.Load(),
			Responses:  p.entry.responses.Load(),
			Gratuitous: p.entry.gratuitous.Load(),
			Unsent:     p.entry.unsent.Load(),
			Conflicts:  p.entry.conflicts.Load(),
		},
	}
	if c := p.entry.conflict.Load(); c != nil {
		s.Conflict = new(*c)
	}
	return s
}
