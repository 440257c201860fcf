package speaker

import (
	"fmt"
	"maps"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/lintel-lb/lintel/internal/kube/translate"
	"github.com/lintel-lb/lintel/internal/lb"
)

// Whatever a batch holds of changes, the endpoints are those that the slices have that exist
// after the last one.
func TestSlicesThatMoveWithinABatch(t *testing.T) {
	service := func(n int) lb.ServiceKey {
		if n == 0 {
			return lb.ServiceKey{Namespace: "ns"} // a slice without the label
		}
		return lb.ServiceKey{Namespace: "ns", Name: fmt.Sprint("web", n)}
	}
	rapid.Check(t, func(t *rapid.T) {
		table, decided := newSliceTable(), map[lb.ServiceKey]lb.Endpoints{}
		exist := map[string]sliceSum{}
		for range rapid.IntRange(1, 6).Draw(t, "batches") {
			b := newBatch()
			for range rapid.IntRange(0, 5).Draw(t, "changes") {
				v := sliceSum{
					of: service(rapid.IntRange(0, 3).Draw(t, "service")), name: fmt.Sprint("s", rapid.IntRange(1, 3).Draw(t, "slice")),
					sum: translate.SliceSum{Endpoints: lb.Endpoints{Total: rapid.IntRange(0, 4).Draw(t, "endpoints")}},
				}
				if old, ok := exist[v.name]; ok && rapid.Bool().Draw(t, "goes") {
					b.slices[old.key()] = sliceState{}
					delete(exist, v.name)
					continue
				}
				b.slices[v.key()] = sliceState{v.of, &v.sum}
				exist[v.name] = v
			}
			maps.Copy(decided, table.take(b.slices))

			want := map[lb.ServiceKey]int{}
			for _, v := range exist {
				if v.of.Name != "" {
					want[v.of] += v.sum.Endpoints.Total
				}
			}
			for n := range 4 {
				if k := service(n); decided[k].Total != want[k] {
					t.Fatalf("%v has %d endpoints, want %d", k, decided[k].Total, want[k])
				}
			}
		}
		held := map[string]lb.ServiceKey{}
		for k, byName := range table.sums {
			for name := range byName {
				held[name] = k
			}
			if len(byName) == 0 {
				t.Errorf("nothing is held for %v", k)
			}
		}
		want := map[string]lb.ServiceKey{}
		for name, v := range exist {
			if v.of.Name != "" {
				want[name] = v.of
			}
		}
		if d := cmp.Diff(want, held); d != "" || len(table.owner) != len(want) {
			t.Errorf("held (-want +got), %d owners:\n%s", len(table.owner), d)
		}
	})
}

// The watch hands on the last state of each slice.
func TestWatchedSliceMovesAndGoes(t *testing.T) {
	h := prepare(t)
	a, b := lb.ServiceKey{Namespace: "ns", Name: "a"}, lb.ServiceKey{Namespace: "ns", Name: "b"}
	sum := translate.SliceSum{Endpoints: lb.Endpoints{Total: 1}}
	at := func(k lb.ServiceKey) sliceSum { return sliceSum{of: k, name: "x", sum: sum} }
	for _, tt := range []struct {
		name  string
		steps []func()
		want  map[lb.ServiceKey]int
	}{
		{"to another and away", []func(){
			func() { h.speaker.liveSlices.Set(at(b)) }, func() { h.speaker.liveSlices.Remove(at(b)) }}, map[lb.ServiceKey]int{}},
		{"to another and back", []func(){
			func() { h.speaker.liveSlices.Set(at(b)) }, func() { h.speaker.liveSlices.Set(at(a)) }}, map[lb.ServiceKey]int{a: 1}},
	} {
		h.speaker.liveSlices.Set(at(a))
		h.speaker.apply(t.Context(), h.speaker.inbox.Take())
		for _, step := range tt.steps {
			step()
		}
		h.speaker.apply(t.Context(), h.speaker.inbox.Take())
		got := map[lb.ServiceKey]int{}
		for k, e := range h.speaker.decider.World().Endpoints {
			if e.Total > 0 {
				got[k] = e.Total
			}
		}
		if d := cmp.Diff(tt.want, got); d != "" {
			t.Errorf("%s (-want +got):\n%s", tt.name, d)
		}
	}
}
