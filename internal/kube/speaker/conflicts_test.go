package speaker

import (
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/lintel-lb/lintel/internal/l2"
	"github.com/lintel-lb/lintel/internal/links"
)

// Two nodes that go on claiming one address do so ever more rarely, and after peace anew.
func TestPausesOfADispute(t *testing.T) {
	now := time.Unix(1000, 0)
	var d dispute
	var got []time.Duration
	for range 9 {
		d = d.defended(now)
		got = append(got, d.pause)
		now = d.next
	}
	want := []time.Duration{time.Second, 2 * time.Second, 4 * time.Second, 8 * time.Second, 16 * time.Second, 32 * time.Second,
		time.Minute, time.Minute, time.Minute}
	if !slices.Equal(got, want) {
		t.Errorf("pauses %v, want %v", got, want)
	}
	if d = d.defended(now.Add(2 * time.Minute)); d.pause != disputeDelay {
		t.Errorf("after peace the pause is %v", d.pause)
	}
}

// A claim that comes in the pause after an announcement is answered when that is over.
func TestAClaimInThePauseIsAnsweredLater(t *testing.T) {
	h := start(t)
	a := netip.MustParseAddr(ownedBy("n1")[0])
	h.service("web", a.String())
	h.members.become("n1", "n2")
	h.until("the announcement", func() bool { return len(h.engine.announced()) == 1 })
	began := time.Now()
	for i := range 2 {
		h.engine.mu.Lock()
		h.engine.again = nil
		h.engine.mu.Unlock()
		h.claimed(a, links.MAC{2, 0, 0, 0, 0, 2}, time.Unix(1000+int64(i), 0))
		h.until("another announcement", func() bool {
			h.engine.mu.Lock()
			defer h.engine.mu.Unlock()
			return slices.Equal(h.engine.again, []netip.Addr{a})
		})
	}
	if took := time.Since(began); took < 2*disputeDelay {
		t.Errorf("two announcements within %v", took)
	}
}

// An address whose pause is long keeps no other one from being made known again.
func TestALongPauseIsOfOneAddress(t *testing.T) {
	h := start(t)
	mine := ownedBy("n1")
	long, other := netip.MustParseAddr(mine[0]), netip.MustParseAddr(mine[1])
	h.service("web", long.String())
	h.service("shop", other.String())
	h.members.become("n1", "n2")
	h.until("the announcements", func() bool { return len(h.engine.announced()) == 2 })
	h.ask(func(s *Speaker) { s.disputes[long] = dispute{pause: disputePause, next: time.Now().Add(disputePause)} })
	claim := func(addrs ...netip.Addr) {
		h.engine.mu.Lock()
		h.engine.state = l2.State{Addresses: map[netip.Addr]l2.AddressState{}}
		for _, a := range addrs {
			h.engine.state.Addresses[a] = l2.AddressState{
				Conflict: &l2.Conflict{Link: "eth0", MAC: links.MAC{2, 0, 0, 0, 0, 2}, Last: time.Unix(1000, 0)}}
		}
		h.engine.mu.Unlock()
		h.engine.changed <- struct{}{}
	}
	claim(long)
	time.Sleep(disputeDelay + 200*time.Millisecond) // now it waits for the end of its pause
	claim(long, other)
	h.until("the other address", func() bool {
		h.engine.mu.Lock()
		defer h.engine.mu.Unlock()
		return slices.Equal(h.engine.again, []netip.Addr{other})
	})
}

// A claim of a node that was lost to the membership is told for as long as it may still answer, and
// a new address that it answers for is not announced a second time.
func TestClaimsOfANodeThatIsAway(t *testing.T) {
	member, away, foreign := links.MAC{2, 0, 0, 0, 0, 1}, links.MAC{2, 0, 0, 0, 0, 2}, links.MAC{2, 0, 0, 0, 0, 3}
	s := &Speaker{clusterMACs: map[links.MAC]bool{member: true, away: true}, absentMACs: map[links.MAC]bool{away: true}}
	now := time.Unix(10000, 0)
	for _, tt := range []struct {
		mac             links.MAC
		age             time.Duration
		settled, member bool
	}{
		{member, 0, true, true},
		{away, time.Minute, false, false},
		{away, 3 * time.Minute, true, false},
		{foreign, time.Hour, false, false},
	} {
		if got := s.settledConflict(&l2.Conflict{MAC: tt.mac, Last: now.Add(-tt.age)}, now); got != tt.settled {
			t.Errorf("%s, %v ago: settled %t", tt.mac, tt.age, got)
		}
		if got := s.isMember(tt.mac); got != tt.member {
			t.Errorf("%s: member %t", tt.mac, got)
		}
	}
}
