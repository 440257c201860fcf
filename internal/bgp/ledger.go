package bgp

import (
	"maps"
	"net/netip"
	"sync"
	"unique"
)

// ledger holds what was written to the peer in the present session. The session alone
// writes; readers get copies, which are shared for as long as nothing changes.
type ledger struct {
	mu     sync.Mutex
	routes map[netip.Prefix]unique.Handle[Attributes]
	copied map[netip.Prefix]unique.Handle[Attributes]
}

func newLedger() *ledger {
	return &ledger{routes: map[netip.Prefix]unique.Handle[Attributes]{}}
}

// get is for the session, which is the only writer and so needs no lock to read.
func (l *ledger) get(p netip.Prefix) (unique.Handle[Attributes], bool) {
	h, ok := l.routes[p]
	return h, ok
}

// record notes a batch as written.
func (l *ledger) record(b *batch) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, p := range b.withdrawn {
		delete(l.routes, p)
	}
	for _, g := range b.announced {
		h := unique.Make(g.attributes)
		for _, p := range g.prefixes {
			l.routes[p] = h
		}
	}
	l.copied = nil
}

func (l *ledger) clear() {
	l.mu.Lock()
	defer l.mu.Unlock()
	clear(l.routes)
	l.copied = nil
}

// snapshot returns a map that is never changed again.
func (l *ledger) snapshot() map[netip.Prefix]unique.Handle[Attributes] {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.copied == nil {
		l.copied = maps.Clone(l.routes)
	}
	return l.copied
}
