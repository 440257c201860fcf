package plan

import (
	"net/netip"
	"slices"
	"time"

	"github.com/lintel-lb/lintel/internal/announce"
	"github.com/lintel-lb/lintel/internal/config"
	"github.com/lintel-lb/lintel/internal/ipam"
	"github.com/lintel-lb/lintel/internal/lb"
)

// State is a cluster at one moment. It is only read.
type State struct {
	// Resources are what users wrote; Nodes and Assigned are taken from World.
	Resources config.Resources
	// World is what decisions depend on, without Config.
	World *lb.World
	// Namespaces are by name; one that is missing has no labels.
	Namespaces map[string]ipam.Namespace
}

// Result is the difference between two states.
type Result struct {
	// Objects are those whose verdict differs, and new ones that are refused or draw a warning.
	Objects []ObjectChange `json:"objects,omitempty"`
	// Services are those whose addresses differ, or that wait for another reason.
	Services []ServiceChange `json:"services,omitempty"`
	// Kept counts the Services that keep all their addresses.
	Kept int `json:"kept"`
	// Announcements are the addresses that are announced otherwise.
	Announcements []AnnouncementChange `json:"announcements,omitempty"`
	// Unknown are Services that are new and have no endpoints, so that nothing can be said
	// about who announces them.
	Unknown []lb.ServiceKey `json:"unknown,omitempty"`

	// Due are Services whose status is not what it should be already, before any change; what
	// they have now is what they should have.
	Due []lb.ServiceKey `json:"due,omitempty"`

	// Before and After are the configurations in effect.
	Before *lb.Config `json:"-"`
	After  *lb.Config `json:"-"`
}

// Empty tells whether nothing differs.
func (r *Result) Empty() bool {
	return len(r.Objects)+len(r.Services)+len(r.Announcements)+len(r.Unknown) == 0
}

// Compare finds what changes from one state to another. The addresses of Services in after are
// not looked at: what they would be is found out.
func Compare(before, after State, now time.Time) *Result {
	assigned := assignedIn(before.World)
	first, second := parse(before, assigned), parse(after, assigned)
	out := &Result{Objects: compareVerdicts(first.Verdicts, second.Verdicts), Before: first.Config, After: second.Config}

	s := newSimulation(before, first.Config, now)
	was := s.outcomes()
	s.advance(after, second.Config)
	will := s.outcomes()
	for k, o := range was {
		if o.Changed {
			out.Due = append(out.Due, k)
		}
	}
	slices.SortFunc(out.Due, lb.ServiceKey.Compare)
	out.Services, out.Kept = compareServices(was, will)

	one := announce.Decide(withAddresses(before.World, first.Config, was))
	two := announce.Decide(withAddresses(after.World, second.Config, will))
	out.Announcements, out.Unknown = compareAnnouncements(one, two)
	return out
}

// Allocation is what the controller decides about a Service, and why.
func Allocation(s State, k lb.ServiceKey, now time.Time) Assignment {
	c := parse(s, assignedIn(s.World)).Config
	o := newSimulation(s, c, now).decided[k]
	return Assignment{Addresses: o.Addresses, Pool: o.Pool, Reason: o.Reason, Message: o.Message}
}

func parse(s State, assigned map[netip.Addr]string) config.Result {
	in := s.Resources
	in.Nodes, in.Assigned = s.World.Nodes, assigned
	return config.Parse(in)
}

// assignedIn are the addresses that Services have, with the pools that they came from.
func assignedIn(w *lb.World) map[netip.Addr]string {
	out := map[netip.Addr]string{}
	for _, s := range w.Services {
		for _, a := range s.Addresses {
			out[a] = s.AssignedPool
		}
	}
	return out
}

// withAddresses is a World with a configuration, in which Services have the addresses that
// were decided.
func withAddresses(w *lb.World, c *lb.Config, outcomes map[lb.ServiceKey]ipam.Outcome) *lb.World {
	out := *w
	out.Config = c
	out.Services = make(map[lb.ServiceKey]*lb.Service, len(w.Services))
	for k, s := range w.Services {
		decided := *s
		decided.Addresses, decided.AssignedPool = outcomes[k].Addresses, outcomes[k].Pool
		if outcomes[k].Changed {
			decided.ForeignIngress = nil // the controller writes the status anew
		}
		out.Services[k] = &decided
	}
	return &out
}
