package migrator

import (
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/lintel-lb/lintel/internal/takeover"
)

// A DaemonSet's status changes all the time; that its spec does is another matter.
func TestReplaceSpecOfADaemonSetThatChanges(t *testing.T) {
	for _, c := range []struct {
		name    string
		change  func(*appsv1.DaemonSet)
		refused string
	}{
		{name: "status", change: func(ds *appsv1.DaemonSet) { ds.Status.ObservedGeneration++ }},
		{name: "spec", change: func(ds *appsv1.DaemonSet) { ds.Generation++ }, refused: "run the same again"},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := start(t, "n1")
			var sets appsv1.DaemonSetList
			if err := m.Client.List(t.Context(), &sets, client.InNamespace(namespace)); err != nil || len(sets.Items) == 0 {
				t.Fatalf("%d DaemonSets, error %v", len(sets.Items), err)
			}
			live := &sets.Items[0]
			changed := live.DeepCopy()
			c.change(changed)
			if err := m.Client.Update(t.Context(), changed); err != nil {
				t.Fatal(err)
			}
			want := takeover.Hold(live, false)
			err := m.replaceSpec(t.Context(), live, want)
			now, read := m.daemonSet(t.Context(), namespace, live.Name)
			if read != nil {
				t.Fatal(read)
			}
			switch {
			case c.refused != "":
				if err == nil || !strings.Contains(err.Error(), c.refused) || takeover.Held(now) {
					t.Errorf("held: %t, error %v", takeover.Held(now), err)
				}
			case err != nil || now.Spec.UpdateStrategy.Type != want.Spec.UpdateStrategy.Type:
				t.Errorf("%+v, error %v", now.Spec.UpdateStrategy, err)
			}
		})
	}
}
