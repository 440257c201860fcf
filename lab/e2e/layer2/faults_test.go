package layer2

import (
	"context"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/lintel-lb/lintel/lab"
	"github.com/lintel-lb/lintel/lab/probe"
)

// Tests in this file break hosts, so each runs alone.

const (
	// moveBound is generous: how long it takes is measured and printed.
	moveBound = 30 * time.Second
	// healBound is how long two nodes may answer when a network that was cut heals.
	healBound = 20 * time.Second
	// handoverBound is how long a speaker that ends answers besides its heir, at most.
	handoverBound = 3 * time.Second
	// silenceBound is how long nobody may answer in a planned move.
	silenceBound = 500 * time.Millisecond
)

func TestOwnerIsLost(t *testing.T) {
	for _, fault := range []lab.Fault{lab.FaultCut, lab.FaultBlackhole, lab.FaultCrashed} {
		t.Run(string(fault), func(t *testing.T) {
			s := newScene(t, "Cluster", nil)
			addrs, owner := s.ownedApartFromPods()
			gap := s.loseOwner(addrs[0], owner, fault)
			t.Logf("%s of %s: no new connection through %s for %v", fault, owner, addrs[0], gap)
			if fault == lab.FaultCrashed {
				s.statusOnlyOf(addrs, owner)
			}
			w := listen(t, s.Env, addrs...)
			began := time.Now()
			s.Repair(owner)
			for _, a := range addrs {
				s.answersWithin(healBound, a, s.nodes()...)
			}
			owners := s.agreed("web", s.all(candidate))
			t.Logf("all agreed %v after the repair began", time.Since(began).Round(time.Millisecond))
			if fault == lab.FaultCrashed {
				s.statusesAre("web", slices.Compact(slices.Sorted(maps.Values(owners)))...)
			}
			seen := w.close()
			for _, a := range addrs {
				m := movesOf(seen[a])
				t.Logf("%s after the repair of %s: %v", a, owner, m)
				bound := healBound
				if fault == lab.FaultCrashed {
					// A node that boots knows nothing that could mislead it.
					bound = overlapBound
				}
				if m.both > bound {
					t.Errorf("two nodes answered for %s: %v", a, m)
				}
			}
		})
	}
}

// ownedApartFromPods waits until the Service is served, and by Pods on other nodes than the one
// that announces its first address, which it returns with all addresses.
func (s *scene) ownedApartFromPods() ([]netip.Addr, string) {
	s.t.Helper()
	addrs := s.addresses("web")
	owner := elected(addrs[0], s.nodes()...)
	s.pods(s.others(owner)...)
	s.answers(addrs[0], owner)
	s.served("c1", addrs[0], s.others(owner)...)
	return addrs, owner
}

// loseOwner breaks the owner of an address, waits until another node answers and pages come
// again, and returns for how long no new connection was possible.
func (s *scene) loseOwner(a netip.Addr, owner string, fault lab.Fault) time.Duration {
	s.t.Helper()
	p := s.Probe("c1", probe.Options{URL: url(a)})
	p.Mark("fault")
	s.Break(owner, fault)
	s.answersWithin(moveBound, a, s.others(owner)...)
	ok := p.Progress().OK
	s.Eventually("pages come again", moveBound, func(context.Context) error {
		if got := p.Progress(); got.OK < ok+20 {
			return fmt.Errorf("%v", got)
		}
		return nil
	})
	r := p.Stop()
	if len(r.Tainted) > 0 {
		s.t.Errorf("the measurement proves nothing: %v", r.Tainted)
	}
	var longest time.Duration
	for _, g := range r.GapsSince("fault") {
		if g.Fault == probe.FaultAddress {
			longest = max(longest, g.Length)
		}
	}
	if longest > moveBound {
		s.t.Errorf("the gap was %v:\n%v", longest, r)
	}
	return longest
}

// moves is how the answers for an address went from node to node.
type moves struct {
	// path is who answered; two that answered in turns are there once each time.
	path []string
	// both is the longest time that two answered in turns, and none that nobody did.
	both, none time.Duration
}

// movesOf sums up answers. Two nodes answer in turns where one follows the other within
// 200 ms more than once.
func movesOf(seen []sighting) moves {
	var m moves
	var last sighting
	var first, change time.Time // of a time of turns
	for _, s := range seen {
		if !s.asked {
			continue
		}
		if !last.at.IsZero() {
			m.none = max(m.none, s.at.Sub(last.at))
		}
		if s.host != last.host {
			if change.IsZero() || s.at.Sub(change) > 200*time.Millisecond {
				first = s.at
				m.path = append(m.path, s.host)
			} else if !slices.Contains(m.path[max(0, len(m.path)-2):], s.host) {
				m.path = append(m.path, s.host)
			}
			change = s.at
			m.both = max(m.both, s.at.Sub(first))
		}
		last = s
	}
	return m
}

func (m moves) String() string {
	return fmt.Sprintf("answered by %s; by two at once for up to %v; by none for up to %v",
		strings.Join(m.path, ", "), m.both.Round(time.Millisecond), m.none.Round(time.Millisecond))
}

// A speaker that is told to end hands its addresses over: it answers until another does.
func TestSpeakerIsDeleted(t *testing.T) {
	s := newScene(t, "Cluster", nil)
	addrs, owner := s.ownedApartFromPods()
	p := s.Probe("c1", probe.Options{URL: url(addrs[0])})
	w := listen(t, s.Env, addrs[0])
	p.Mark("delete")
	began := time.Now()
	s.kubectl("-n", "metallb-system", "delete", "pod", "--wait=false", "-l", "component=speaker", "--field-selector=spec.nodeName="+owner)
	// The speaker may be back, and with it the address, before anybody has asked twice.
	s.Eventually("another node answers", soon, func(ctx context.Context) error {
		_, err := w.first(ctx, addrs[0], began, func(s sighting) bool { return s.asked && s.host != owner })
		return err
	})
	s.kubectl("-n", "metallb-system", "rollout", "status", "daemonset/speaker", "--timeout=60s")
	s.agreed("web", s.all(candidate))
	seen := w.close()
	r := p.Stop()
	m := movesOf(seen[addrs[0]])
	t.Logf("speaker of %s deleted: %d of %d requests failed, longest gap %v; %s was %v",
		owner, r.Failed(), r.Attempts, r.Longest().Length, addrs[0], m)
	if m.both > handoverBound || m.none > silenceBound {
		t.Errorf("%s was not handed over: %v", addrs[0], m)
	}
	if got := r.Longest().Length; got > 2*time.Second {
		t.Errorf("a planned move took %v:\n%v", got, r)
	}
}

func TestRolloutOfSpeakers(t *testing.T) {
	s := newScene(t, "Cluster", nil)
	addrs, _ := s.ownedApartFromPods()
	p := s.Probe("c1", probe.Options{URL: url(addrs[0])})
	w := listen(t, s.Env, addrs...)
	p.Mark("rollout")
	s.kubectl("-n", "metallb-system", "rollout", "restart", "daemonset/speaker")
	s.kubectl("-n", "metallb-system", "rollout", "status", "daemonset/speaker", "--timeout=120s")
	s.agreed("web", s.all(candidate))
	seen := w.close()
	r := p.Stop()
	t.Logf("rollout: %d of %d requests failed, longest gap %v", r.Failed(), r.Attempts, r.Longest().Length)
	for _, a := range addrs {
		m := movesOf(seen[a])
		t.Logf("%s was %v", a, m)
		if m.both > handoverBound || m.none > silenceBound {
			t.Errorf("%s was not handed over: %v", a, m)
		}
	}
	if got := r.Longest().Length; got > 2*time.Second {
		t.Errorf("a rollout broke the Service for %v:\n%v", got, r)
	}
}

// Without the API server the owner of an address is lost and another takes over; when the API
// server is back, nothing moves but what has a reason to.
func TestFailoverWithoutAPIServer(t *testing.T) {
	s := newScene(t, "Cluster", nil)
	addrs, owner := s.ownedApartFromPods()
	s.service("other", "Cluster")
	other := s.addresses("other")
	otherOwners := map[netip.Addr]string{}
	for _, a := range other {
		otherOwners[a] = s.answers(a, s.nodes()...)
	}
	p := s.Probe("c1", probe.Options{URL: url(addrs[0])})
	stopped := true
	resume := func() {
		if stopped {
			stopped = false
			s.resume("cp", "kube-apiserver")
		}
	}
	t.Cleanup(resume)
	if err := s.Lab.Signal("cp", "kube-apiserver", syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	p.Mark("cut")
	s.Break(owner, lab.FaultCut)
	next := s.answersWithin(moveBound, addrs[0], s.others(owner)...)
	gap := time.Duration(0)
	for _, g := range p.Stop().GapsSince("cut") {
		if g.Fault == probe.FaultAddress {
			gap = max(gap, g.Length)
		}
	}
	t.Logf("without API server: %s moved from %s to %s, gap %v", addrs[0], owner, next, gap)

	w := listen(t, s.Env, append(other, addrs[0])...)
	resume()
	s.Eventually("the API server answers", time.Minute, func(ctx context.Context) error {
		_, err := s.get(ctx, "web")
		return err
	})
	s.Eventually("a change of the configuration is heard", time.Minute, func(ctx context.Context) error {
		_, err := s.lintel(ctx, "status")
		return err
	})
	s.agreedExcept("web", owner)
	seen := w.close()
	checkPath(t, addrs[0], seen[addrs[0]], next)
	for _, a := range other {
		if otherOwners[a] != owner {
			checkPath(t, a, seen[a], otherOwners[a])
		}
	}
}

// agreedExcept is agreed where one node's speaker cannot be asked.
func (s *scene) agreedExcept(name, lost string) {
	s.t.Helper()
	s.Eventually("why calls "+lost+" unknown and agrees with the wire on the others", time.Minute, func(ctx context.Context) error {
		e, err := s.why(ctx, name)
		if err != nil {
			return err
		}
		for _, v := range e.Nodes {
			if v.Node == lost {
				if v.Unknown == "" {
					return fmt.Errorf("%s is not called unknown: %+v", lost, v)
				}
				continue
			}
			owner, err := s.owner(ctx, v.Address)
			if err != nil {
				return err
			}
			if v.Unknown != "" || (v.Outcome == "announce") != (v.Node == owner) {
				return fmt.Errorf("%s is answered by %q, and why says %+v", v.Address, owner, v)
			}
		}
		return nil
	})
}
