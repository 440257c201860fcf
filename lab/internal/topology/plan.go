package topology

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"regexp"
)

// Role says what a host is for.
type Role string

// The roles of hosts.
const (
	RoleSwitch  Role = "switch"
	RoleRouter  Role = "router"
	RoleControl Role = "control-plane"
	RoleNode    Role = "node"
	RoleLight   Role = "light"
	RoleClient  Role = "client"
	RoleFar     Role = "far-client"
)

// Bridges in the switch.
const (
	NodeBridge = "br0"
	FarBridge  = "br1"
)

// Host is one machine of the lab: a network namespace.
type Host struct {
	Name  string
	Role  Role
	Ports []Port

	// PodNet4 and PodNet6 are the ranges of the host's Pods; set for nodes
	// and light nodes.
	PodNet4, PodNet6 netip.Prefix
}

// Port is a network card of a host and the cable to the switch.
type Port struct {
	Name   string // in the host
	Remote string // the other end, in the switch
	Bridge string // what the other end is plugged into
	MAC    net.HardwareAddr
	V4, V6 netip.Prefix
}

// V4 returns the address of the host's first port; the switch has none.
func (h Host) V4() netip.Addr {
	if len(h.Ports) == 0 {
		return netip.Addr{}
	}
	return h.Ports[0].V4.Addr()
}

// V6 returns the address of the host's first port; the switch has none.
func (h Host) V6() netip.Addr {
	if len(h.Ports) == 0 {
		return netip.Addr{}
	}
	return h.Ports[0].V6.Addr()
}

// IsNode tells whether Kubernetes has a Node object for the host.
func (h Host) IsNode() bool { return h.Role == RoleNode || h.Role == RoleLight }

// Forwards tells whether the host passes packets on.
func (h Host) Forwards() bool { return h.Role == RoleRouter || h.Role == RoleNode }

// Size says how many hosts of each kind a lab has.
type Size struct {
	Nodes, Clients, FarClients, LightNodes int
}

// Plan is a lab's name and its hosts, switch first.
type Plan struct {
	Name  string
	Hosts []Host
}

// Errors of New.
var (
	ErrName = errors.New("topology: a lab's name is 1 to 20 of a-z, 0-9 and -, and starts and ends with a letter or digit")
	ErrSize = errors.New("topology: number of hosts out of range")
)

var name = regexp.MustCompile(`^[a-z0-9]([-a-z0-9]{0,18}[a-z0-9])?$`)

// New plans a lab.
func New(lab string, size Size) (Plan, error) {
	if !name.MatchString(lab) {
		return Plan{}, fmt.Errorf("%w: %q", ErrName, lab)
	}
	for _, c := range []struct {
		kind       string
		value, max int
	}{
		{"nodes", size.Nodes, MaxNodes}, {"clients", size.Clients, MaxClients},
		{"far clients", size.FarClients, MaxFarClients}, {"light nodes", size.LightNodes, MaxLightNodes},
	} {
		if c.value < 0 || c.value > c.max {
			return Plan{}, fmt.Errorf("%w: %d %s, at most %d", ErrSize, c.value, c.kind, c.max)
		}
	}

	plan := Plan{Name: lab, Hosts: []Host{{Name: "sw", Role: RoleSwitch}, router(), host("cp", RoleControl, 10)}}
	for i := 1; i <= size.Nodes; i++ {
		h := host(fmt.Sprintf("n%d", i), RoleNode, 10+i)
		h.PodNet4, h.PodNet6 = podNets(i)
		plan.Hosts = append(plan.Hosts, h)
	}
	for i := 1; i <= size.Clients; i++ {
		plan.Hosts = append(plan.Hosts, host(fmt.Sprintf("c%d", i), RoleClient, 100+i))
	}
	for i := 1; i <= size.FarClients; i++ {
		name := fmt.Sprintf("f%d", i)
		v4, v6 := farAddresses(10 + i)
		plan.Hosts = append(plan.Hosts, Host{Name: name, Role: RoleFar, Ports: []Port{farPort("eth0", name, v4, v6)}})
	}
	for i := 1; i <= size.LightNodes; i++ {
		name := fmt.Sprintf("l%d", i)
		v4, v6 := lightAddresses(i)
		h := Host{Name: name, Role: RoleLight, Ports: []Port{nodePort("eth0", name, v4, v6)}}
		h.PodNet4, h.PodNet6 = lightPodNets(i)
		plan.Hosts = append(plan.Hosts, h)
	}
	return plan, nil
}

func router() Host {
	v4, v6 := nodeAddresses(1)
	far4, far6 := farAddresses(1)
	return Host{Name: "tor", Role: RoleRouter, Ports: []Port{
		nodePort("eth0", "tor", v4, v6),
		farPort("eth1", "tor-far", far4, far6),
	}}
}

func host(name string, role Role, number int) Host {
	v4, v6 := nodeAddresses(number)
	return Host{Name: name, Role: role, Ports: []Port{nodePort("eth0", name, v4, v6)}}
}

func nodePort(name, remote string, v4, v6 netip.Addr) Port {
	return Port{Name: name, Remote: remote, Bridge: NodeBridge, MAC: mac(v4),
		V4: netip.PrefixFrom(v4, 16), V6: netip.PrefixFrom(v6, 64)}
}

func farPort(name, remote string, v4, v6 netip.Addr) Port {
	return Port{Name: name, Remote: remote, Bridge: FarBridge, MAC: mac(v4),
		V4: netip.PrefixFrom(v4, 24), V6: netip.PrefixFrom(v6, 64)}
}
