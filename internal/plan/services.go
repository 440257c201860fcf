package plan

import (
	"maps"
	"net/netip"
	"slices"

	"github.com/lintel-lb/lintel/internal/ipam"
	"github.com/lintel-lb/lintel/internal/lb"
)

// ServiceChange is a Service whose addresses differ, or that has none for another reason.
type ServiceChange struct {
	Service lb.ServiceKey `json:"service"`
	Was     *Assignment   `json:"was,omitempty"`
	Will    *Assignment   `json:"will,omitempty"`
}

// Assignment is what a Service has. It is nil for a Service that does not exist, or is not
// for this load balancer.
type Assignment struct {
	Addresses []netip.Addr `json:"addresses,omitempty"`
	Pool      string       `json:"pool,omitempty"`
	// Reason and Message say why, with the remedy where there is one.
	Reason  ipam.Reason `json:"reason"`
	Message string      `json:"message,omitempty"`
}

func compareServices(was, will map[lb.ServiceKey]ipam.Outcome) (out []ServiceChange, kept int) {
	keys := map[lb.ServiceKey]bool{}
	for k := range was {
		keys[k] = true
	}
	for k := range will {
		keys[k] = true
	}
	for _, k := range slices.SortedFunc(maps.Keys(keys), lb.ServiceKey.Compare) {
		c := ServiceChange{Service: k, Was: assignmentOf(was, k), Will: assignmentOf(will, k)}
		if c.Was != nil && c.Will != nil && slices.Equal(c.Was.Addresses, c.Will.Addresses) {
			if len(c.Was.Addresses) > 0 {
				kept++
			}
			// A text may count what is free; it alone is no change.
			if c.Was.Pool == c.Will.Pool && c.Was.Reason == c.Will.Reason {
				continue
			}
		}
		out = append(out, c)
	}
	return out, kept
}

func assignmentOf(outcomes map[lb.ServiceKey]ipam.Outcome, k lb.ServiceKey) *Assignment {
	o, ok := outcomes[k]
	if !ok {
		return nil
	}
	return &Assignment{Addresses: o.Addresses, Pool: o.Pool, Reason: o.Reason, Message: o.Message}
}
