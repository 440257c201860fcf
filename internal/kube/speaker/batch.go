package speaker

import (
	"net/netip"

	corev1 "k8s.io/api/core/v1"

	"github.com/lintel-lb/lintel/internal/lb"
)

// batch is the last that watches have seen of each object since the loop looked. A nil value
// means gone.
type batch struct {
	services map[lb.ServiceKey]*lb.Service
	slices   map[sliceKey]sliceState
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
		slices:   map[sliceKey]sliceState{},
		nodes:    map[string]*lb.Node{},
		probes:   map[netip.Addr]probeResult{},
	}
}
