package speaker

import (
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
	// told is what each route has; next is what it was given in the present round.
	told, next map[weighted]weight
	due        time.Time
}

// weight is a rate and since when it is in force.
type weight struct {
	rate  uint64
	since time.Time
}

// pass gives the rate that a route is to have now. All routes are asked about in each round.
func (b *bandwidthPace) pass(now time.Time, r weighted, rate uint64) uint64 {
	if rate == 0 {
		return 0
	}
	w, known := b.told[r]
	switch {
	case !known:
		w = weight{rate: rate, since: now}
	case w.rate == rate:
	case now.Sub(w.since) >= bandwidthInterval:
		w = weight{rate: rate, since: now}
	default:
		if due := w.since.Add(bandwidthInterval); b.due.IsZero() || due.Before(b.due) {
			b.due = due
		}
	}
	if b.next == nil {
		b.next = map[weighted]weight{}
	}
	b.next[r] = w
	return w.rate
}

// round ends a round: routes that were not asked about are gone. It tells when the next change
// that waits may be made; the zero time is never.
func (b *bandwidthPace) round() (due time.Time) {
	due = b.due
	b.told, b.next, b.due = b.next, nil, time.Time{}
	return due
}
