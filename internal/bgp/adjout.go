package bgp

import (
	"maps"
	"net/netip"
	"slices"
	"unique"

	"github.com/lintel-lb/lintel/internal/bgp/wire"
)

// batchLimit is the number of octets after which a batch takes no further message. It
// bounds how long a KEEPALIVE waits behind routes.
const batchLimit = 8 << 10

// adjOut is the Adj-RIB-Out of a session: the desired routes, those that were written, and
// the messages that lead from the one to the other. It does no I/O.
//
// At most one batch is under way: next is called again only after done.
type adjOut struct {
	desired  Routes
	complete bool
	// draining marks all routes with GRACEFUL_SHUTDOWN, withdrawing wants none.
	draining, withdrawing bool

	session *negotiated // nil without a session
	written *ledger
	again   map[netip.Prefix]struct{} // are to be written once more, as the peer asked
	ended   map[wire.Family]bool      // End-of-RIB was written or is in the queue

	dirty       bool
	withdrawals map[wire.Family][]netip.Prefix
	groups      []group
	underWay    *batch // between next and done
	withheld    map[netip.Prefix]Withheld
}

// group is a list of prefixes of one family with equal attributes.
type group struct {
	family     wire.Family
	attributes Attributes
	prefixes   []netip.Prefix
}

// batch is a piece of the byte stream to the peer, whole messages only.
type batch struct {
	data      []byte
	messages  int
	withdrawn []netip.Prefix
	announced []group
	endOfRIB  []wire.Family
}

func newAdjOut() *adjOut { return &adjOut{written: newLedger()} }

// open starts with a session in which nothing was sent.
func (a *adjOut) open(n *negotiated) {
	a.close()
	a.session, a.dirty = n, true
	a.again, a.ended = map[netip.Prefix]struct{}{}, map[wire.Family]bool{}
}

// close forgets the session. What it had written no longer counts.
func (a *adjOut) close() {
	a.session, a.withheld = nil, nil
	a.withdrawals, a.groups, a.underWay = nil, nil, nil
	a.written.clear()
}

// set replaces the desired routes. Completeness, once reached, stays.
func (a *adjOut) set(routes Routes, complete bool) {
	a.desired, a.dirty = routes, true
	a.complete = a.complete || complete
}

// resend wants all routes of a family to be written again (RFC 2918), those under way
// too: the peer may have had them before it asked.
func (a *adjOut) resend(f wire.Family) {
	if a.session == nil || !a.session.families.has(f) {
		return
	}
	a.dirty = true
	for p := range a.written.routes {
		if wire.FamilyOf(p.Addr()) == f {
			a.again[p] = struct{}{}
		}
	}
	if a.underWay == nil {
		return
	}
	for _, g := range a.underWay.announced {
		if g.family == f {
			for _, p := range g.prefixes {
				a.again[p] = struct{}{}
			}
		}
	}
}

// wants tells whether a prefix should be announced at present.
func (a *adjOut) wants(p netip.Prefix) bool {
	h, ok := a.desired[p]
	if !ok || a.withdrawing {
		return false
	}
	attrs := h.Value()
	_, reason := a.session.check(p, &attrs)
	return reason == 0
}

// marked adds GRACEFUL_SHUTDOWN while the session is drained.
func (a *adjOut) marked(h unique.Handle[Attributes]) unique.Handle[Attributes] {
	if !a.draining {
		return h
	}
	attrs := h.Value()
	attrs.GracefulShutdown = true
	return unique.Make(attrs)
}

// plan finds the difference between desired and written. It starts over, which is right at
// any time because nothing is under way.
func (a *adjOut) plan() {
	a.dirty = false
	a.withdrawals, a.groups = map[wire.Family][]netip.Prefix{}, nil
	a.withheld = map[netip.Prefix]Withheld{}
	for p := range a.written.routes {
		if !a.wants(p) {
			f := wire.FamilyOf(p.Addr())
			a.withdrawals[f] = append(a.withdrawals[f], p)
		}
	}
	for _, ps := range a.withdrawals {
		slices.SortFunc(ps, netip.Prefix.Compare)
	}
	if a.withdrawing {
		return
	}
	type key struct {
		family     wire.Family
		attributes unique.Handle[Attributes]
	}
	index := map[key]int{}
	for p, h := range a.desired {
		h = a.marked(h)
		attrs := h.Value()
		if _, reason := a.session.check(p, &attrs); reason != 0 {
			a.withheld[p] = reason
			continue
		}
		f := wire.FamilyOf(p.Addr())
		if before, ok := a.written.get(p); ok && before == h {
			if _, again := a.again[p]; !again {
				continue
			}
		}
		i, ok := index[key{f, h}]
		if !ok {
			i = len(a.groups)
			index[key{f, h}] = i
			a.groups = append(a.groups, group{family: f, attributes: attrs})
		}
		a.groups[i].prefixes = append(a.groups[i].prefixes, p)
	}
	for _, g := range a.groups {
		slices.SortFunc(g.prefixes, netip.Prefix.Compare)
	}
	slices.SortFunc(a.groups, func(x, y group) int { return x.prefixes[0].Compare(y.prefixes[0]) })
}

// pending is the number of prefixes that the peer does not have yet or still has.
func (a *adjOut) pending() int {
	n := 0
	for _, ps := range a.withdrawals {
		n += len(ps)
	}
	for _, g := range a.groups {
		n += len(g.prefixes)
	}
	return n
}

// next returns the next batch, or nil where the peer has everything.
func (a *adjOut) next() *batch {
	if a.session == nil {
		return nil
	}
	if a.dirty {
		a.plan()
	}
	b := &batch{}
	a.appendWithdrawals(b)
	a.appendAnnouncements(b)
	if a.pending() == 0 && a.complete {
		for _, f := range a.session.families.list() {
			if !a.ended[f] {
				a.ended[f] = true
				b.data = wire.AppendEndOfRIB(b.data, f)
				b.messages++
				b.endOfRIB = append(b.endOfRIB, f)
			}
		}
	}
	if b.messages == 0 {
		return nil
	}
	a.underWay = b
	return b
}

// done notes that a batch was written.
func (a *adjOut) done(b *batch) {
	a.written.record(b)
	a.underWay = nil
}

func (a *adjOut) appendWithdrawals(b *batch) {
	for _, f := range a.session.families.list() {
		for len(a.withdrawals[f]) > 0 && len(b.data) < batchLimit {
			var n int
			rest := a.withdrawals[f]
			b.data, n = wire.AppendWithdrawal(b.data, f, rest)
			b.messages++
			b.withdrawn = append(b.withdrawn, rest[:n]...)
			for _, p := range rest[:n] {
				delete(a.again, p)
			}
			a.withdrawals[f] = rest[n:]
		}
	}
}

func (a *adjOut) appendAnnouncements(b *batch) {
	for len(a.groups) > 0 && len(b.data) < batchLimit {
		g := &a.groups[0]
		hop, _ := a.session.check(g.prefixes[0], &g.attributes)
		attrs := g.attributes.encode(a.session, hop)
		for len(g.prefixes) > 0 && len(b.data) < batchLimit {
			data, n, err := wire.AppendAnnouncement(b.data, g.family, &attrs, g.prefixes)
			if err != nil {
				// Attributes.fits leaves room; should it ever not, the routes are withheld
				// rather than the session lost.
				a.withheld = maps.Clone(a.withheld) // the old one may have been published
				for _, p := range g.prefixes {
					a.withheld[p] = AttributesTooLarge
				}
				g.prefixes = nil
				break
			}
			b.data = data
			b.messages++
			b.announced = append(b.announced, group{g.family, g.attributes, g.prefixes[:n:n]})
			for _, p := range g.prefixes[:n] {
				delete(a.again, p)
			}
			g.prefixes = g.prefixes[n:]
		}
		if len(g.prefixes) == 0 {
			a.groups = a.groups[1:]
		}
	}
}
