package members

import (
	"cmp"
	"net/netip"
	"slices"
	"time"
)

const (
	joinsAtOnce  = 4
	retryFirst   = 500 * time.Millisecond
	retryLongest = 30 * time.Second
)

// joiner decides which listed peers to contact and when. It has no clock and does no I/O.
//
// One successful contact makes members of all whom that peer knows, so few contacts suffice however
// many peers are listed.
type joiner struct {
	tries  map[netip.AddrPort]*try
	jitter func(time.Duration) time.Duration // spreads retries of many nodes
	rank   func() uint64                     // random, lest all nodes start with the same peer
	member func(Peer) bool                   // whether the peer is a member now
}

// try is what is known about contacting one peer.
type try struct {
	peer    Peer
	count   int // failures in a row
	next    time.Time
	rank    uint64 // order among those due together
	running bool
	failure *Unreachable // of the last attempt; nil before it and while the peer is a member
}

func newJoiner(jitter func(time.Duration) time.Duration, rank func() uint64, member func(Peer) bool) *joiner {
	return &joiner{tries: map[netip.AddrPort]*try{}, jitter: jitter, rank: rank, member: member}
}

// set replaces the list of peers. New ones are due at once, known ones keep their schedule.
func (j *joiner) set(peers []Peer, now time.Time) {
	old := j.tries
	j.tries = map[netip.AddrPort]*try{}
	for _, p := range peers {
		if t, ok := old[p.Addr]; ok && t.peer == p {
			j.tries[p.Addr] = t
		} else {
			j.tries[p.Addr] = &try{peer: p, next: now, rank: j.rank()}
		}
	}
}

// due returns the peers to contact now and marks them as being contacted.
func (j *joiner) due(now time.Time) []Peer {
	running := 0
	var ready []*try
	for _, t := range j.tries {
		switch {
		case t.running:
			running++
		case j.member(t.peer):
			// Should it cease to be one, it has most likely died or left: no rush.
			t.count, t.failure, t.next = 0, nil, now.Add(j.jitter(retryFirst))
		case !t.next.After(now):
			ready = append(ready, t)
		}
	}
	slices.SortFunc(ready, func(a, b *try) int {
		return cmp.Or(a.next.Compare(b.next), cmp.Compare(a.rank, b.rank), a.peer.Addr.Compare(b.peer.Addr))
	})
	var out []Peer
	for _, t := range ready[:min(len(ready), joinsAtOnce-min(running, joinsAtOnce))] {
		t.running = true
		out = append(out, t.peer)
	}
	return out
}

// done notes the outcome of an attempt; failure is nil if the exchange with the peer succeeded.
func (j *joiner) done(p Peer, failure *Unreachable, now time.Time) {
	t, ok := j.tries[p.Addr]
	if !ok || t.peer != p {
		return
	}
	t.running = false
	if j.member(p) {
		return
	}
	if failure == nil {
		failure = &Unreachable{TCP: PortOpen, Cause: CauseNoMember}
	}
	since := now
	if t.failure != nil {
		since = t.failure.Since
	}
	t.count++
	f := *failure
	f.Node, f.Addr, f.Since, f.Attempts = p.Node, p.Addr, since, t.count
	t.failure = &f
	t.next = now.Add(j.jitter(backoff(t.count)))
}

// backoff is how long to wait after count failures in a row.
func backoff(count int) time.Duration {
	return min(retryFirst<<min(count-1, 10), retryLongest)
}

// wait returns how long until due has something new without being told anything.
func (j *joiner) wait(now time.Time) time.Duration {
	least, running := forever, 0
	for _, t := range j.tries {
		switch {
		case t.running:
			running++
		case !j.member(t.peer):
			least = min(least, max(t.next.Sub(now), time.Millisecond))
		}
	}
	if running >= joinsAtOnce {
		return forever
	}
	return least
}

// unreachable lists, by address, the peers that are no members although they were contacted.
func (j *joiner) unreachable() []Unreachable {
	var out []Unreachable
	for _, t := range j.tries {
		if t.failure != nil && !j.member(t.peer) {
			out = append(out, *t.failure)
		}
	}
	slices.SortFunc(out, func(a, b Unreachable) int { return a.Addr.Compare(b.Addr) })
	return out
}
