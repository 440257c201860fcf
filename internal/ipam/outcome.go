package ipam

import (
	"fmt"
	"net/netip"
)

// Namespace is what decisions need to know of the namespace of a Service.
type Namespace struct {
	Labels map[string]string
}

// EventType is the type of a Kubernetes event.
type EventType string

// The two types of events.
const (
	Normal  EventType = "Normal"
	Warning EventType = "Warning"
)

// Reasons of events, as MetalLB writes them.
const (
	EventAllocated        = "IPAllocated"
	EventFailed           = "AllocationFailed"
	EventCleared          = "ClearAssignment"
	EventRequestInvalid   = "LoadBalancerFailed"
	EventAdditionalFailed = "AdditionalAssignFailed"
	EventClusterIPs       = "not enough clusterips"
	EventStatusFamily     = "nolbIPsIPFamily"
	EventClusterIPFamily  = "noclusterIPsIPFamily"
	EventDeprecated       = "deprecatedAnnotation"
)

// Event is for the user, to be put on the Service.
type Event struct {
	Type    EventType
	Reason  string
	Message string
}

func normal(reason, format string, args ...any) Event {
	return Event{Type: Normal, Reason: reason, Message: fmt.Sprintf(format, args...)}
}

func warning(reason, format string, args ...any) Event {
	return Event{Type: Warning, Reason: reason, Message: fmt.Sprintf(format, args...)}
}

// Outcome is what a Service should have, and why.
type Outcome struct {
	// Addresses are what status.loadBalancer.ingress should hold, in that order.
	Addresses []netip.Addr
	// Pool is the value of the annotation ip-allocated-from-pool; empty means absent.
	Pool string
	// Changed tells that the Service differs from Addresses and Pool and must be written.
	Changed bool
	// Reason and Message explain the result; Message ends with the remedy where there is one.
	Reason  Reason
	Message string
	// Events tell what happened in this pass. A failure that lasts is told once, and again
	// when its text changes.
	Events []Event
	// Released are the addresses that the Service had and has no more.
	Released []netip.Addr
	// Freed are addresses that changed hands in a way that may help other Services: to get or
	// share them, or to use the room that they leave in a quota. Hand them to Waiting.
	Freed []netip.Addr
}
