package speaker

import (
	"github.com/lintel-lb/lintel/internal/kube/translate"
	"github.com/lintel-lb/lintel/internal/lb"
)

// sliceKey names an EndpointSlice.
type sliceKey struct{ namespace, name string }

// sliceState is the Service that an EndpointSlice belongs to, and what it adds to it. A nil sum
// means that the slice is gone.
type sliceState struct {
	of  lb.ServiceKey
	sum *translate.SliceSum
}

// sliceTable holds the EndpointSlices by the Service that they belong to.
type sliceTable struct {
	owner map[sliceKey]lb.ServiceKey
	sums  map[lb.ServiceKey]map[string]translate.SliceSum
}

func newSliceTable() sliceTable {
	return sliceTable{owner: map[sliceKey]lb.ServiceKey{}, sums: map[lb.ServiceKey]map[string]translate.SliceSum{}}
}

// take brings slices to a state and returns the endpoints of the Services that this concerns.
func (t sliceTable) take(changed map[sliceKey]sliceState) map[lb.ServiceKey]lb.Endpoints {
	concerned := map[lb.ServiceKey]lb.Endpoints{}
	for slice, now := range changed {
		if old, known := t.owner[slice]; known {
			delete(t.owner, slice)
			delete(t.sums[old], slice.name)
			concerned[old] = lb.Endpoints{}
		}
		if now.sum == nil || now.of.Name == "" { // it belongs to nothing
			continue
		}
		t.owner[slice] = now.of
		if t.sums[now.of] == nil {
			t.sums[now.of] = map[string]translate.SliceSum{}
		}
		t.sums[now.of][slice.name] = *now.sum
		concerned[now.of] = lb.Endpoints{}
	}
	for k := range concerned {
		concerned[k] = translate.Sum(t.sums[k])
		if len(t.sums[k]) == 0 {
			delete(t.sums, k)
		}
	}
	return concerned
}
