package speaker

import (
	"slices"
	"testing"

	"github.com/lintel-lb/lintel/internal/kube/translate"
	"github.com/lintel-lb/lintel/internal/l2"
	"github.com/lintel-lb/lintel/internal/lb"
	"github.com/lintel-lb/lintel/internal/links"
	"github.com/lintel-lb/lintel/internal/members"
)

// met has n2 appear as a member that has told this state; nil means nothing yet.
func (h *harness) met(state []byte) {
	h.members.mu.Lock()
	h.members.snap = members.Snapshot{Enabled: true, Self: "n1", Health: members.Health{Joined: true},
		Alive: map[string]members.Member{"n1": {Name: "n1"}, "n2": {Name: "n2", State: state}}}
	h.members.mu.Unlock()
	h.members.changed <- struct{}{}
}

// A speaker that has just started knows of the other's links a moment after it knows of the
// other. In that moment it would think that only it has a link on the subnet.
func TestNothingIsAnnouncedBeforeOthersToldTheirLinks(t *testing.T) {
	h := start(t)
	mine, theirs := ownedBy("n1")[0], ownedBy("n2")[0]
	h.service("web", mine, theirs)
	h.met(nil)
	k := lb.ServiceKey{Namespace: "default", Name: "web"}
	var v []lb.Verdict
	h.until("that the member is known", func() bool {
		alive := false
		h.ask(func(s *Speaker) { alive, v = s.decider.World().Members.Alive["n2"], s.decider.Verdicts(k, "n1") })
		return alive && len(v) == 2
	})
	if v[0].Reason != lb.JoiningMembers || len(h.engine.announced()) != 0 {
		t.Errorf("announced %v, with %s", h.engine.announced(), v[0].Reason)
	}
	h.met([]byte(`{"v":1,"links":[{"name":"eth0","usable":true,"arp":true,"ndp":true,"prefixes":["192.0.2.1/24"]}]}`))
	h.until("the own address", func() bool { return slices.Equal(h.engine.announced(), []string{mine}) })
}

func TestAMemberThatTellsNothingIsNotWaitedForForever(t *testing.T) {
	h := start(t)
	h.service("web", ownedBy("n1")[0])
	h.met(nil)
	h.ask(func(s *Speaker) { s.applyMembers(true); s.flush(t.Context()) })
	h.until("the announcement", func() bool { return len(h.engine.announced()) == 1 })
}

// The address comes with the Service, the endpoint much later: the address is still new then.
func TestAnAddressIsProbedWhenItIsFirstAnnounced(t *testing.T) {
	h := start(t)
	mine := ownedBy("n1")
	h.service("old", mine[0])
	h.members.become("n1", "n2")
	h.until("the first address", func() bool { return len(h.engine.announced()) == 1 })
	h.engine.mu.Lock()
	h.engine.conflict = &l2.Conflict{Link: "eth0", MAC: links.MAC{2, 0, 0, 0, 0, 9}}
	h.engine.mu.Unlock()

	h.service("new", mine[1])
	k := lb.ServiceKey{Namespace: "default", Name: "new"}
	h.post(func(b *batch) { b.slices[sliceKey{k.Namespace, k.Name}] = sliceState{} })
	reason := func() (r lb.Reason) {
		h.ask(func(s *Speaker) {
			if v := s.decider.Verdicts(k, "n1"); len(v) == 1 {
				r = v[0].Reason
			}
		})
		return r
	}
	h.until("the verdict NoEndpoints", func() bool { return reason() == lb.NoEndpoints })
	h.post(func(b *batch) {
		b.slices[sliceKey{k.Namespace, k.Name}] = sliceState{k, &translate.SliceSum{Endpoints: lb.Endpoints{Total: 1, Usable: 1}}}
	})
	h.until("the verdict AddressConflict", func() bool { return reason() == lb.AddressConflict })
	if got := h.engine.announced(); !slices.Equal(got, mine[:1]) {
		t.Errorf("announced %v", got)
	}
}
