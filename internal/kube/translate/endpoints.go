package translate

import (
	discoveryv1 "k8s.io/api/discovery/v1"

	"github.com/lintel-lb/lintel/internal/lb"
)

// SliceOwner gives the Service that an EndpointSlice belongs to.
func SliceOwner(s *discoveryv1.EndpointSlice) (key lb.ServiceKey, ok bool) {
	name := s.Labels[discoveryv1.LabelServiceName]
	return lb.ServiceKey{Namespace: s.Namespace, Name: name}, name != ""
}

// Slice sums up one EndpointSlice. An endpoint is usable when it is ready, when nothing is
// said about readiness, or when it terminates but still serves.
func Slice(s *discoveryv1.EndpointSlice) lb.Endpoints {
	var sum lb.Endpoints
	for i := range s.Endpoints {
		e := &s.Endpoints[i]
		sum.Total++
		if !usable(e.Conditions) {
			continue
		}
		sum.Usable++
		if e.NodeName == nil || *e.NodeName == "" {
			continue
		}
		if sum.ByNode == nil {
			sum.ByNode = map[string]int{}
		}
		sum.ByNode[*e.NodeName]++
	}
	return sum
}

func usable(c discoveryv1.EndpointConditions) bool {
	ready := c.Ready == nil || *c.Ready
	serving := c.Serving != nil && *c.Serving
	return ready || serving
}

// Sum adds up the slices of one Service.
func Sum(slices map[string]lb.Endpoints) lb.Endpoints {
	var sum lb.Endpoints
	for _, s := range slices {
		sum.Total += s.Total
		sum.Usable += s.Usable
		for n, c := range s.ByNode {
			if sum.ByNode == nil {
				sum.ByNode = map[string]int{}
			}
			sum.ByNode[n] += c
		}
	}
	return sum
}
