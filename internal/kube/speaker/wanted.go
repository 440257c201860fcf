package speaker

import (
	"maps"
	"net/netip"
	"slices"
	"time"
	"unique"

	"github.com/lintel-lb/lintel/internal/announce"
	"github.com/lintel-lb/lintel/internal/lb"
)

// wanted is what all holdings want announced by BGP. Several of them may want one prefix.
type wanted struct {
	routes  map[holding][]announce.Route
	holders map[netip.Prefix][]holding
	// changed are the prefixes of which something else may be wanted than before.
	changed map[netip.Prefix]bool
}

func newWanted() wanted {
	return wanted{routes: map[holding][]announce.Route{}, holders: map[netip.Prefix][]holding{}, changed: map[netip.Prefix]bool{}}
}

// set replaces what a holding wants.
func (w *wanted) set(h holding, routes []announce.Route) {
	before := w.routes[h]
	if slices.EqualFunc(routes, before, announce.Route.Equal) {
		return
	}
	for _, r := range before {
		w.changed[r.Prefix] = true
		w.holders[r.Prefix] = slices.DeleteFunc(w.holders[r.Prefix], func(x holding) bool { return x == h })
		if len(w.holders[r.Prefix]) == 0 {
			delete(w.holders, r.Prefix)
		}
	}
	for _, r := range routes {
		w.changed[r.Prefix] = true
		if !slices.Contains(w.holders[r.Prefix], h) {
			w.holders[r.Prefix] = append(w.holders[r.Prefix], h)
		}
	}
	if len(routes) == 0 {
		delete(w.routes, h)
	} else {
		w.routes[h] = routes
	}
}

// take gives the prefixes that changed, once.
func (w *wanted) take() map[netip.Prefix]bool {
	out := w.changed
	w.changed = map[netip.Prefix]bool{}
	return out
}

// has tells whether a peer is to have a route.
func (w *wanted) has(r weighted) bool {
	return slices.ContainsFunc(w.holders[r.prefix], func(h holding) bool {
		return slices.ContainsFunc(w.routes[h], func(x announce.Route) bool { return x.Prefix == r.prefix && slices.Contains(x.Peers, r.peer) })
	})
}

// merged is what several Services want of one prefix together.
type merged struct {
	localPref *uint32
	med       *uint32
	prepend   uint8
	bandwidth uint64
	// gracefulShutdown is the same for all, as it depends on the node.
	gracefulShutdown bool
	communities      []lb.Community
}

// merge puts together what all holdings want of a prefix for a peer: the union of the communities,
// the highest local preference, the lowest MED, the longest path, the highest bandwidth. any tells
// whether it is wanted at all.
func (w *wanted) merge(prefix netip.Prefix, peer string) (m merged, any bool) {
	for _, h := range w.holders[prefix] {
		for _, r := range w.routes[h] {
			if r.Prefix != prefix || !slices.Contains(r.Peers, peer) {
				continue
			}
			any = true
			if r.LocalPref != nil && (m.localPref == nil || *r.LocalPref > *m.localPref) {
				m.localPref = r.LocalPref
			}
			if r.MED != nil && (m.med == nil || *r.MED < *m.med) {
				m.med = r.MED
			}
			m.prepend = max(m.prepend, r.Prepend)
			m.bandwidth = max(m.bandwidth, r.Bandwidth)
			m.gracefulShutdown = m.gracefulShutdown || r.GracefulShutdown
			for _, c := range r.Communities {
				if !slices.Contains(m.communities, c) {
					m.communities = append(m.communities, c)
				}
			}
		}
	}
	return m, any
}

// bring brings the routes of all sessions up to date about one prefix. The engine has the routes of
// before, which stay as they are.
func (b *bgpState) bring(own ownNode, prefix netip.Prefix, now time.Time) {
	for i := range b.targets {
		t := &b.targets[i]
		before, had := t.Routes[prefix]
		m, any := b.wanted.merge(prefix, t.peer.Name)
		m.bandwidth = b.bandwidth.pass(now, weighted{t.peer.Name, prefix}, m.bandwidth)
		if !any {
			if had {
				t.own()
				delete(t.Routes, prefix)
			}
			continue
		}
		if route := unique.Make(own.attributes(t.Config, prefix, m)); !had || route != before {
			t.own()
			t.Routes[prefix] = route
		}
	}
}

// own makes the routes of a session its own, to be changed, if they have been handed over.
func (t *target) own() {
	if t.handed {
		t.Routes, t.handed = maps.Clone(t.Routes), false
	}
}
