package speaker

import (
	"net/netip"

	corev1 "k8s.io/api/core/v1"

	"github.com/lintel-lb/lintel/internal/kube/translate"
	"github.com/lintel-lb/lintel/internal/lb"
)

// batch is what watches have seen since the loop looked last. A nil value means gone.
type batch struct {
	services map[lb.ServiceKey]*lb.Service
	slices   map[lb.ServiceKey]map[string]*translate.SliceSum
	nodes    map[string]*lb.Node
	probes   map[netip.Addr]probeResult
	// mixed is the setting of mixed membership, nil if it went; mixedChanged says that it was seen.
	mixed        *corev1.ConfigMap
	mixedChanged bool
	// config is set when any object that configuration is made of changed.
	config bool
}

func newBatch() *batch {
	return &batch{
		services: map[lb.ServiceKey]*lb.Service{},
		slices:   map[lb.ServiceKey]map[string]*translate.SliceSum{},
		nodes:    map[string]*lb.Node{},
		probes:   map[netip.Addr]probeResult{},
	}
}

// slice records what an EndpointSlice adds to its Service; nil means that the slice is gone.
func (b *batch) slice(v sliceSum, sum *translate.SliceSum) {
	if b.slices[v.of] == nil {
		b.slices[v.of] = map[string]*translate.SliceSum{}
	}
	b.slices[v.of][v.name] = sum
}
