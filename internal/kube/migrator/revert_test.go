package migrator

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/lintel-lb/lintel/internal/takeover"
)

// read is Read that must succeed.
func read(t *testing.T, m *Migrator) *State {
	t.Helper()
	s, err := m.Read(t.Context(), namespace, manifests(t))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// forward takes over, or goes on.
func forward(t *testing.T, m *Migrator) {
	t.Helper()
	if err := m.Forward(t.Context(), read(t, m)); err != nil {
		t.Fatal(err)
	}
}

// revert is Revert without what it says.
func revert(m *Migrator, ctx context.Context, s *State) error {
	_, err := m.Revert(ctx, s)
	return err
}

// belong sees that each node has one speaker, and whose.
func belong(t *testing.T, sim *sim, m *Migrator, whose string, nodes ...string) {
	t.Helper()
	speakers := sim.speakers(t.Context(), m)
	if got := slices.Sorted(maps.Keys(speakers)); !slices.Equal(got, nodes) {
		t.Errorf("speakers on %v", got)
	}
	for node, s := range speakers {
		if !strings.HasPrefix(s, whose) {
			t.Errorf("%s has the speaker %s, want %s", node, s, whose)
		}
	}
}

func TestThereAndBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, sim := simulate(t, "n1", "n2")
		belong(t, sim, m, "MetalLB", "n1", "n2")
		forward(t, m)
		belong(t, sim, m, "Lintel", "n1", "n2")
		if err := revert(m, t.Context(), read(t, m)); err != nil {
			t.Fatal(err)
		}
		belong(t, sim, m, "MetalLB", "n1", "n2")
	})
}

// Either way can be broken off anywhere, and gone on with or turned round. In the end each node has
// one speaker of whom it should be, whose DaemonSet has all nodes; no label is left, and a speaker that
// the first way has not touched is not replaced.
func TestBrokenOff(t *testing.T) {
	type way struct {
		name, whose string
		goes        func(*Migrator, context.Context, *State) error
	}
	there, back := way{"there", "Lintel", (*Migrator).Forward}, way{"back", "MetalLB", revert}
	for _, row := range []struct{ first, then way }{{there, there}, {there, back}, {back, there}, {back, back}} {
		t.Run(row.first.name+", "+row.then.name, func(t *testing.T) {
			t.Parallel()
			// Every third write is often enough to come upon each step in some state.
			for writes := 0; brokenOff(t, writes, row.first.name == "back", row.first.goes, row.then.goes, row.then.whose); writes += 3 {
			}
		})
	}
}

// brokenOff has the first way broken off after so many writes, and then goes the other. It tells
// whether the first way had more writes than that.
func brokenOff(t *testing.T, writes int, taken bool, first, then func(*Migrator, context.Context, *State) error, whose string) (broken bool) {
	synctest.Test(t, func(t *testing.T) {
		nodes := []string{"n1", "n2"}
		m, sim := simulate(t, nodes...)
		if taken {
			forward(t, m)
		}
		before := sim.speakers(t.Context(), m)
		sim.writes = writes
		err := first(m, t.Context(), read(t, m))
		if broken = err != nil; broken && !errors.Is(err, errBroken) {
			t.Fatalf("after %d writes: %v", writes, err)
		}
		sim.writes = -1
		s := read(t, m)
		if s.Record == nil && whose == "MetalLB" {
			return // nothing to go back from
		}
		middle := sim.speakers(t.Context(), m)
		if err := then(m, t.Context(), s); err != nil {
			t.Fatalf("broken off after %d writes, and then: %v", writes, err)
		}
		belong(t, sim, m, whose, nodes...)
		after := sim.speakers(t.Context(), m)
		for _, n := range nodes {
			if strings.HasPrefix(before[n], whose) && middle[n] == before[n] && after[n] != before[n] {
				t.Errorf("broken off after %d writes: %s had the speaker %s and has %s", writes, n, before[n], after[n])
			}
			var node corev1.Node
			if err := m.Client.Get(t.Context(), client.ObjectKey{Name: n}, &node); err != nil {
				t.Fatal(err)
			}
			if len(node.Labels) > 0 {
				t.Errorf("broken off after %d writes: %s is labelled %v", writes, n, node.Labels)
			}
		}
		ds, err := m.daemonSet(t.Context(), namespace, "speaker")
		if err != nil || ds == nil || takeover.Held(ds) || takeover.IsLintel(&ds.Spec.Template.Spec, "speaker") != (whose == "Lintel") {
			t.Errorf("broken off after %d writes: the DaemonSet is not %s's, is held, or %v", writes, whose, err)
		}
	})
	return broken
}
