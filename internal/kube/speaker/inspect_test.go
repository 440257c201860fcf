package speaker

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/lintel-lb/lintel/internal/kube/endpoint"
	"github.com/lintel-lb/lintel/internal/members"
)

// A speaker tells what it knows of each other one: one that has told nothing yet or is joining is
// not counted on, one of MetalLB's never tells and is.
func TestOthersAsDecisionsSeeThem(t *testing.T) {
	h := start(t)
	told := func(extra string) []byte {
		return []byte(`{"v":1,"links":[{"name":"eth0","usable":true,"arp":true,"ndp":true,"prefixes":["192.0.2.1/24"]}]` + extra + `}`)
	}
	h.members.mu.Lock()
	h.members.snap = members.Snapshot{Enabled: true, Self: "n1", Health: members.Health{Joined: true}, Alive: map[string]members.Member{
		"n1": {Name: "n1"}, "n2": {Name: "n2", State: told("")}, "n3": {Name: "n3"}, "n4": {Name: "n4", State: told(`,"joining":true`)},
		"n5": {Name: "n5", State: told(`,"gated":true`)}, "n6": {Name: "n6", Foreign: true},
	}}
	h.members.mu.Unlock()
	h.members.changed <- struct{}{}
	want := []endpoint.Other{{Node: "n2", Told: true}, {Node: "n3", Gated: true}, {Node: "n4", Told: true, Gated: true},
		{Node: "n5", Told: true, Gated: true}, {Node: "n6", Foreign: true}}
	var got []endpoint.Other
	h.until("all members", func() bool {
		h.ask(func(s *Speaker) { got = s.inspect(nil).Others })
		return slices.ContainsFunc(got, func(o endpoint.Other) bool { return o.Node == "n6" })
	})
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}
