package speaker

import (
	"context"
	"net/netip"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/lintel-lb/lintel/internal/l2"
	"github.com/lintel-lb/lintel/internal/links"
)

// disputeDelay is how long after another node of the cluster claimed an address its rightful
// owner makes itself known again: the other has noticed its mistake by then.
const disputeDelay = time.Second

// disputePause is the longest pause between two announcements of an address that another node keeps
// claiming. Each is a claim in the other's eyes: two that see the cluster differently would have all
// neighbours change their minds every second.
const disputePause = time.Minute

// reportedStations bounds how many stations are reported for one address. Addresses of stations can
// be made up.
const reportedStations = 8

// claim is what was last seen of another station that claims an address.
type claim struct {
	mac  links.MAC
	last time.Time
	// reported are the foreign stations that have been reported for the address.
	reported []links.MAC
}

// dispute is how an address was defended so far.
type dispute struct {
	// pause is that after the last announcement, and next when another one may be made.
	pause time.Duration
	next  time.Time
}

// defended is the dispute after another announcement. After a time without any it begins anew.
func (d dispute) defended(now time.Time) dispute {
	pause := disputeDelay
	if now.Before(d.next.Add(d.pause)) {
		pause = min(2*d.pause, disputePause)
	}
	return dispute{pause, now.Add(pause)}
}

// applyConflicts looks at the stations that the engine has seen to claim an address which
// this node announces. A foreign one is reported: once for each address and station, as an
// event on its Services, and nothing is fought over. One that is a node of the cluster was in
// the middle of a move, and neighbours may still send to it.
func (s *Speaker) applyConflicts() {
	conflicts := s.Engine.Conflicts()
	for a := range s.conflicts {
		if _, still := conflicts[a]; !still {
			delete(s.conflicts, a)
		}
	}
	for a, c := range conflicts {
		known := s.conflicts[a]
		if known.mac == c.MAC && known.last == c.Last {
			continue
		}
		seen := claim{mac: c.MAC, last: c.Last, reported: known.reported}
		foreign := !s.clusterMACs[c.MAC] && !s.mixed() // MetalLB's speakers do not tell their MACs
		news := foreign && !slices.Contains(known.reported, c.MAC) && len(known.reported) < reportedStations
		if news {
			seen.reported = append(slices.Clip(known.reported), c.MAC)
		}
		s.conflicts[a] = seen
		if !foreign {
			s.disputed[a] = true
		}
		if !news {
			continue
		}
		s.Log.Warn("another station claims an address that this node announces", "address", a, "mac", seen.mac, "link", c.Link)
		for _, k := range s.decider.Holders(a) {
			s.Events.Eventf(serviceRef(k, s.decider.World().Services[k]), corev1.EventTypeWarning, "addressConflict",
				"%s is announced from node %q, and %s on %s claims it too; take it away from there, or keep it out of the pool",
				a, s.config.Node, seen.mac, c.Link)
		}
	}
}

// absentClaim is how long a claim is told of a node that is no member: as long as it answers, it
// makes itself known again within that time.
const absentClaim = 2 * time.Minute

// settledConflict tells whether a claim needs no mention any more: it was made in a move within the
// cluster, or by a node that has left since.
func (s *Speaker) settledConflict(c *l2.Conflict, now time.Time) bool {
	if !s.clusterMACs[c.MAC] {
		return false
	}
	return !s.absentMACs[c.MAC] || now.Sub(c.Last) > absentClaim
}

// announceDisputed makes the addresses known again that this node still has after another node
// claimed them. Where the other is no member, it has not noticed anything yet, and to announce
// would only make neighbours change their minds back and forth: its return is waited for. It returns
// how long to wait for those whose pause is not over; 0 if there are none.
func (s *Speaker) announceDisputed(ctx context.Context) (again time.Duration) {
	now := time.Now()
	var addrs []netip.Addr
	for a, d := range s.disputes {
		if now.After(d.next.Add(d.pause)) {
			delete(s.disputes, a)
		}
	}
	for _, a := range sortedAddrs(s.disputed) {
		_, own := s.scopes[a]
		if own && s.absentMACs[s.conflicts[a].mac] {
			continue
		}
		if wait := s.disputes[a].next.Sub(now); own && wait > 0 {
			if again == 0 || wait < again {
				again = wait
			}
			continue
		}
		delete(s.disputed, a)
		if own {
			addrs = append(addrs, a)
			s.disputes[a] = s.disputes[a].defended(now)
		}
	}
	if len(addrs) == 0 {
		return again
	}
	s.Log.Info("another node claimed addresses that this one has; announcing them again", "addresses", addrs)
	s.probes.wg.Go(func() {
		if err := s.Engine.Announce(ctx, addrs...); err != nil && ctx.Err() == nil {
			s.Log.Warn("cannot announce again", "error", err)
		}
	})
	return again
}
