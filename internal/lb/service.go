package lb

import (
	"net/netip"
	"slices"
)

// Service is what both the allocator and the speaker need to know of a Service that this
// load balancer handles (type LoadBalancer and a class that is ours).
type Service struct {
	Key ServiceKey
	UID string
	// Labels are the Service's own labels.
	Labels map[string]string

	// ClusterIPs are the valid cluster addresses, primary first. Headless Services have none.
	ClusterIPs []netip.Addr
	// PrimaryFamily is the family of spec.ipFamilies[0]; IPv4 where unset.
	PrimaryFamily Family
	FamilyPolicy  FamilyPolicy
	Ports         []Port
	TrafficPolicy TrafficPolicy
	// Backend is the canonical rendering of spec.selector ("k=v,…", sorted by key).
	Backend string

	// SharingKey allows an address to be shared with Services that have the same key; empty means never.
	SharingKey string
	// Request is what the Service asks for.
	Request Request

	// Addresses are the addresses in status.loadBalancer.ingress, in that order.
	Addresses []netip.Addr
	// ForeignIngress are ingress entries that are not IP addresses (host names, garbage).
	ForeignIngress []string
	// AssignedPool is the value of the annotation ip-allocated-from-pool.
	AssignedPool string
	// OtherController names a controller that was seen to own this Service's status, if any.
	OtherController string
}

// Request is what a Service asks of the allocator through annotations and spec.
type Request struct {
	// Addresses are those asked for by annotation or spec.loadBalancerIP, in the order given.
	Addresses []netip.Addr
	// Pool is the pool asked for by annotation.
	Pool string
	// Err says, in the words for the user, why the request cannot be read; empty if it can.
	Err string
}

// Port is one listening port of a Service.
type Port struct {
	Protocol string
	Number   uint16
}

// FamilyPolicy is Service.spec.ipFamilyPolicy.
type FamilyPolicy uint8

// The family policies. An unset policy is SingleStack.
const (
	SingleStack FamilyPolicy = iota
	PreferDualStack
	RequireDualStack
)

// TrafficPolicy is Service.spec.externalTrafficPolicy.
type TrafficPolicy uint8

// The traffic policies. An unset policy is Cluster.
const (
	Cluster TrafficPolicy = iota
	Local
)

// String gives the Kubernetes word.
func (p TrafficPolicy) String() string {
	if p == Local {
		return "Local"
	}
	return "Cluster"
}

// Endpoints sums up the EndpointSlices of a Service. Usable is an endpoint that is ready
// (or of unknown readiness), or terminating but still serving.
type Endpoints struct {
	// Usable counts all usable endpoints, with or without a node.
	Usable int
	// Total counts all endpoints.
	Total int
	// ByNode counts usable endpoints by the node that hosts them.
	ByNode map[string]int
	// Terminating counts those of ByNode that are not ready: they end, but still serve.
	Terminating map[string]int
}

// Share is how many endpoints of a node take traffic that comes to it for policy Local: those
// that are ready, or where none is, those that still serve.
func (e Endpoints) Share(node string) int {
	if ready := e.ByNode[node] - e.Terminating[node]; ready > 0 {
		return ready
	}
	return e.ByNode[node]
}

// Equal tells whether two services are the same in every field.
func (s *Service) Equal(o *Service) bool {
	if s == nil || o == nil {
		return s == o
	}
	return s.Key == o.Key && s.UID == o.UID &&
		equalMaps(s.Labels, o.Labels) &&
		slices.Equal(s.ClusterIPs, o.ClusterIPs) &&
		s.PrimaryFamily == o.PrimaryFamily && s.FamilyPolicy == o.FamilyPolicy &&
		slices.Equal(s.Ports, o.Ports) &&
		s.TrafficPolicy == o.TrafficPolicy && s.Backend == o.Backend &&
		s.SharingKey == o.SharingKey &&
		slices.Equal(s.Request.Addresses, o.Request.Addresses) &&
		s.Request.Pool == o.Request.Pool && s.Request.Err == o.Request.Err &&
		slices.Equal(s.Addresses, o.Addresses) &&
		slices.Equal(s.ForeignIngress, o.ForeignIngress) &&
		s.AssignedPool == o.AssignedPool && s.OtherController == o.OtherController
}

// Equal tells whether two sums are the same.
func (e Endpoints) Equal(o Endpoints) bool {
	return e.Usable == o.Usable && e.Total == o.Total && equalMaps(e.ByNode, o.ByNode) && equalMaps(e.Terminating, o.Terminating)
}

func equalMaps[K comparable, V comparable](a, b map[K]V) bool {
	if len(a) != len(b) {
		return false
	}
	for k, v := range a {
		if w, ok := b[k]; !ok || v != w {
			return false
		}
	}
	return true
}
