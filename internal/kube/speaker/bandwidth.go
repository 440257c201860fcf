package speaker

import (
	"maps"
	"net/netip"
	"time"
)

// bandwidthInterval is the least time between two changes of a route's weight.
const bandwidthInterval = 10 * time.Second

// weighted names a route to the routers of a BGPPeer.
type weighted struct {
	peer   string
	prefix netip.Prefix
}

// bandwidthPace holds back changes of weights that come too soon after another one. A route
// that is new has its weight at once, and one that is to have none loses it at once. The zero
// value is ready for use.
type bandwidthPace struct {
	// told is what each route has, and waits tells when the change of one that waits is due.
	told  map[weighted]weight
	waits map[weighted]time.Time
}

// weight is a rate and since when it is in force.
type weight struct {
	rate  uint64
	since time.Time
}

// pass gives the rate that a route is to have now.
func (b *bandwidthPace) pass(now time.Time, r weighted, rate uint64) uint64 {
	delete(b.waits, r)
	if rate == 0 {
		delete(b.told, r)
		return 0
	}
	w, known := b.told[r]
	switch {
	case known && w.rate == rate:
	case !known || now.Sub(w.since) >= bandwidthInterval:
		if b.told == nil {
			b.told = map[weighted]weight{}
		}
		w = weight{rate: rate, since: now}
		b.told[r] = w
	default:
		if b.waits == nil {
			b.waits = map[weighted]time.Time{}
		}
		b.waits[r] = w.since.Add(bandwidthInterval)
	}
	return w.rate
}

// keep forgets all routes but some: others are gone.
func (b *bandwidthPace) keep(some func(weighted) bool) {
	maps.DeleteFunc(b.told, func(r weighted, _ weight) bool { return !some(r) })
	maps.DeleteFunc(b.waits, func(r weighted, _ time.Time) bool { return !some(r) })
}

// due tells when the next change that waits may be made; the zero time is never.
func (b *bandwidthPace) due() (due time.Time) {
	for _, at := range b.waits {
		if due.IsZero() || at.Before(due) {
			due = at
		}
	}
	return due
}
