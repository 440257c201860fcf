package lab

import "github.com/lintel-lb/lintel/lab/internal/topology"

// Networks of every lab, as text of valid prefixes.
const (
	// NodeNet4 and NodeNet6 are the segment of the router, the control plane,
	// nodes, light nodes and clients.
	NodeNet4, NodeNet6 = topology.NodeNet4, topology.NodeNet6

	// PoolNet4 and PoolNet6 lie in the nodes' segment and no host uses them:
	// they are for load balancer pools that are announced by ARP and NDP.
	PoolNet4, PoolNet6 = topology.FreeNet4, topology.FreeNet6

	// RoutedPoolNet4 and RoutedPoolNet6 are on no segment: they are for load
	// balancer pools that are announced by a routing protocol.
	RoutedPoolNet4, RoutedPoolNet6 = topology.RoutedNet4, topology.RoutedNet6

	// FarNet4 and FarNet6 are the segment behind the router.
	FarNet4, FarNet6 = topology.FarNet4, topology.FarNet6

	ServiceNet4, ServiceNet6 = topology.ServiceNet4, topology.ServiceNet6
	PodNet4, PodNet6         = topology.PodNet4, topology.PodNet6
)

// Names of the hosts that every lab has. Nodes are n1, n2 and so on, clients on
// their segment c1.., clients behind the router f1.., light nodes l1...
const (
	SwitchName       = "sw"
	RouterName       = "tor"
	ControlPlaneName = "cp"
)

// Host is one machine of a lab: its name, role, ports and addresses.
type Host = topology.Host

// Role says what a host is for.
type Role = topology.Role

// Roles of hosts.
const (
	RoleSwitch  = topology.RoleSwitch
	RoleRouter  = topology.RoleRouter
	RoleControl = topology.RoleControl
	RoleNode    = topology.RoleNode
	RoleLight   = topology.RoleLight
	RoleClient  = topology.RoleClient
	RoleFar     = topology.RoleFar
)
