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

// SliceSum is what one EndpointSlice adds to a Service.
type SliceSum struct {
	// Type is the kind of addresses in the slice. A dual-stack Service has slices of both
	// families, which list the same pods.
	Type      discoveryv1.AddressType
	Endpoints lb.Endpoints
}

// Slice sums up one EndpointSlice. An endpoint is usable when it is ready, when nothing is
// said about readiness, or when it terminates but still serves.
func Slice(s *discoveryv1.EndpointSlice) SliceSum {
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
		if !ready(e.Conditions) {
			if sum.Terminating == nil {
				sum.Terminating = map[string]int{}
			}
			sum.Terminating[*e.NodeName]++
		}
	}
	return SliceSum{Type: s.AddressType, Endpoints: sum}
}

func usable(c discoveryv1.EndpointConditions) bool {
	return ready(c) || c.Serving != nil && *c.Serving
}

func ready(c discoveryv1.EndpointConditions) bool { return c.Ready == nil || *c.Ready }

// Sum adds up the slices of one Service. Of the address types the larger number counts, so
// that a pod with an address of each family is one endpoint.
func Sum(slices map[string]SliceSum) lb.Endpoints {
	byType := map[discoveryv1.AddressType]lb.Endpoints{}
	for _, s := range slices {
		sum := byType[s.Type]
		sum.Total += s.Endpoints.Total
		sum.Usable += s.Endpoints.Usable
		for n, c := range s.Endpoints.ByNode {
			if sum.ByNode == nil {
				sum.ByNode = map[string]int{}
			}
			sum.ByNode[n] += c
		}
		for n, c := range s.Endpoints.Terminating {
			if sum.Terminating == nil {
				sum.Terminating = map[string]int{}
			}
			sum.Terminating[n] += c
		}
		byType[s.Type] = sum
	}
	var all lb.Endpoints
	for _, sum := range byType {
		all.Total = max(all.Total, sum.Total)
		all.Usable = max(all.Usable, sum.Usable)
		for n, c := range sum.ByNode {
			if all.ByNode == nil {
				all.ByNode = map[string]int{}
			}
			all.ByNode[n] = max(all.ByNode[n], c)
		}
		for n, c := range sum.Terminating {
			if all.Terminating == nil {
				all.Terminating = map[string]int{}
			}
			all.Terminating[n] = max(all.Terminating[n], c)
		}
	}
	return all
}
