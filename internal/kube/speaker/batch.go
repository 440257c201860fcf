package speaker

import (
	"net/netip"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"

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

func (b *batch) setService(classes translate.Classes, svc *corev1.Service) {
	k := lb.ServiceKey{Namespace: svc.Namespace, Name: svc.Name}
	if ok, _ := classes.Handles(svc); !ok {
		b.services[k] = nil
		return
	}
	b.services[k] = translate.Service(svc)
}

func (b *batch) removeService(svc *corev1.Service) {
	b.services[lb.ServiceKey{Namespace: svc.Namespace, Name: svc.Name}] = nil
}

func (b *batch) setSlice(s *discoveryv1.EndpointSlice) {
	sum := translate.Slice(s)
	b.slice(s, &sum)
}

func (b *batch) removeSlice(s *discoveryv1.EndpointSlice) { b.slice(s, nil) }

func (b *batch) slice(s *discoveryv1.EndpointSlice, sum *translate.SliceSum) {
	k, ok := translate.SliceOwner(s)
	if !ok {
		return
	}
	if b.slices[k] == nil {
		b.slices[k] = map[string]*translate.SliceSum{}
	}
	b.slices[k][s.Name] = sum
}
