package lb

import "net/netip"

// World is everything that decisions depend on: what is. Its maps belong to whoever built
// it; the values in them are immutable and shared.
type World struct {
	// Config is nil until the first configuration was read.
	Config    *Config
	Settings  Settings
	Services  map[ServiceKey]*Service
	Endpoints map[ServiceKey]Endpoints
	Nodes     map[string]*Node
	Members   Members
	// Links are the links of each node that has told them. A node that is absent here is
	// taken to have whatever links are needed, since nothing is known to the contrary.
	Links map[string][]Link
	// Gateways are the next hops of the default routes of each node that has told them.
	Gateways map[string][]Gateway
	// Gated are the nodes whose own check says that they would not forward traffic now.
	Gated map[string]bool
	// Drained are the nodes that are drained and no longer announce by BGP; a node is marked
	// some time after its drain began, in which its peers learn to prefer others.
	Drained map[string]bool
	// Probes is what the observer knows of the probes that it makes of new addresses before it
	// announces them. An address without entry is free to be announced.
	Probes map[netip.Addr]Probe
}

// Probe is the state of the question whether another station has a new address. It keeps
// only the node that asks from announcing.
type Probe struct {
	// Conflict names the station that has the address; empty while the answer is awaited.
	Conflict string
}

// Settings are the flags of the speaker that bear on decisions. They are the same on all nodes.
type Settings struct {
	// IgnoreExcludeLabel lets nodes with LabelExclude announce.
	IgnoreExcludeLabel bool
	// Mixed is set while speakers of MetalLB announce as well: then owners are elected exactly
	// as they elect, so that both sides name the same node.
	Mixed bool
	// ZeroLocalPref gives routes without a local preference 0 instead of the default, as
	// MetalLB's own BGP does, so that internal peers do not prefer some nodes.
	ZeroLocalPref bool
}

// Members is the membership as one speaker sees it.
type Members struct {
	// Enabled is false where speakers do not watch one another; then every node with a
	// Node object counts as alive.
	Enabled bool
	// Joining is set while the observer has just started and has not met the others yet: until
	// then it cannot know who else announces.
	Joining bool
	// Alive are the names of the nodes whose speakers are alive, the observer included.
	Alive map[string]bool
}

// NewWorld makes an empty World with its maps.
func NewWorld() *World {
	return &World{
		Services:  map[ServiceKey]*Service{},
		Endpoints: map[ServiceKey]Endpoints{},
		Nodes:     map[string]*Node{},
		Links:     map[string][]Link{},
		Gateways:  map[string][]Gateway{},
		Gated:     map[string]bool{},
		Drained:   map[string]bool{},
		Probes:    map[netip.Addr]Probe{},
	}
}

// Contains tells whether a node is alive in this view.
func (m Members) Contains(node string) bool { return !m.Enabled || m.Alive[node] }
