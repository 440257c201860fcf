package members

import (
	"net/netip"
	"testing"
	"time"
)

func addr(i int) netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)}), 7946)
}

func TestJoinerSpreadsAndStops(t *testing.T) {
	members := map[Peer]bool{}
	rank := uint64(1000)
	down := func() uint64 { rank--; return rank }
	j := newJoiner(func(d time.Duration) time.Duration { return d }, down, func(p Peer) bool { return members[p] })
	now := time.Unix(1000, 0)
	var all []Peer
	for i := range 100 {
		all = append(all, Peer{Addr: addr(i)})
	}
	j.set(all, now)
	first := j.due(now)
	if len(first) != joinsAtOnce || len(j.due(now)) != 0 || j.wait(now) != forever {
		t.Fatalf("started %d at once", len(first))
	}
	for i, p := range first {
		if p != all[99-i] {
			t.Errorf("contact %d is %v, not by rank", i, p)
		}
	}
	// One contact makes members of all but one.
	for _, p := range all {
		members[p] = p != all[0]
	}
	for _, p := range first {
		j.done(p, nil, now)
	}
	if next := j.due(now); len(next) != 1 || next[0] != all[0] {
		t.Fatalf("only one is missing, contacting %v", next)
	}
	if len(j.unreachable()) != 0 {
		t.Error("complaints before an attempt has failed")
	}

	begin := now
	for i := range 12 {
		j.done(all[0], &Unreachable{Cause: CausePort, Err: "refused"}, now)
		u := j.unreachable()
		if len(u) != 1 || u[0].Attempts != i+1 || u[0].Since != begin || u[0].Addr != all[0].Addr {
			t.Fatalf("attempt %d: %+v", i, u)
		}
		want := min(retryFirst<<i, retryLongest)
		if got := j.wait(now); got != want {
			t.Errorf("after %d failures wait %s, want %s", i+1, got, want)
		}
		if len(j.due(now.Add(want-time.Millisecond))) != 0 {
			t.Errorf("attempt %d is early", i)
		}
		now = now.Add(want)
		if len(j.due(now)) != 1 {
			t.Fatalf("attempt %d is not made", i)
		}
	}

	members[all[0]] = true
	j.done(all[0], nil, now)
	if len(j.due(now)) != 0 || len(j.unreachable()) != 0 {
		t.Error("all are members, yet something is left to do")
	}
	members[all[1]] = false // died
	if got := j.wait(now); got != retryFirst {
		t.Errorf("a dead member is contacted after %s", got)
	}
}

func TestJoinerList(t *testing.T) {
	j := newJoiner(func(d time.Duration) time.Duration { return d }, func() uint64 { return 0 }, func(Peer) bool { return false })
	now := time.Unix(1000, 0)
	a, b := Peer{"a", addr(1)}, Peer{"b", addr(2)}
	j.set([]Peer{a}, now)
	j.due(now)
	j.done(a, nil, now)
	if u := j.unreachable(); len(u) != 1 || u[0].Cause != CauseNoMember || u[0].Node != "a" {
		t.Errorf("answered but no member: %+v", u)
	}
	j.set([]Peer{a, b}, now)
	if next := j.due(now); len(next) != 1 || next[0] != b {
		t.Errorf("a keeps its schedule, b is new; contacting %v", next)
	}
	moved := Peer{"c", addr(2)}
	j.set([]Peer{moved}, now)
	j.done(b, &Unreachable{Err: "late answer"}, now)
	if len(j.unreachable()) != 0 {
		t.Errorf("an answer for a peer that is not listed any more counts: %+v", j.unreachable())
	}
	if next := j.due(now); len(next) != 1 || next[0] != moved {
		t.Errorf("the address belongs to another node now; contacting %v", next)
	}
}

func TestJitter(t *testing.T) {
	for range 1000 {
		if d := jitter(time.Second); d < 750*time.Millisecond || d > 1250*time.Millisecond {
			t.Fatalf("%s is not within a quarter of a second", d)
		}
	}
}
