package topology

import (
	"fmt"
	"net/netip"
	"strings"
)

// NoHostError says that a lab has no host of that name.
type NoHostError struct {
	Host string
	Have []string
}

func (e *NoHostError) Error() string {
	return fmt.Sprintf("topology: no host is called %q; there are %s", e.Host, strings.Join(e.Have, " "))
}

// Find returns the host of that name, or a *NoHostError.
func (p Plan) Find(name string) (Host, error) {
	missing := &NoHostError{Host: name}
	for _, h := range p.Hosts {
		if h.Name == name {
			return h, nil
		}
		if h.Role != RoleLight || len(missing.Have) < 20 {
			missing.Have = append(missing.Have, h.Name)
		}
	}
	return Host{}, missing
}

// With returns the hosts that have one of the roles, in order.
func (p Plan) With(roles ...Role) []Host {
	var out []Host
	for _, h := range p.Hosts {
		for _, r := range roles {
			if h.Role == r {
				out = append(out, h)
			}
		}
	}
	return out
}

// NamespacePrefix begins the name of every network namespace of a lab. Names of
// hosts hold no hyphen, so what follows the last hyphen is the host, and no
// lab's prefix takes another lab's namespace for its own.
func NamespacePrefix(lab string) string { return "lintel-" + lab + "-" }

// Namespace is the name of a host's network namespace.
func (p Plan) Namespace(host string) string { return NamespacePrefix(p.Name) + host }

// LabOf returns which lab a network namespace belongs to, and the host.
func LabOf(namespace string) (lab, host string, ok bool) {
	rest, ok := strings.CutPrefix(namespace, "lintel-")
	if !ok {
		return "", "", false
	}
	i := strings.LastIndexByte(rest, '-')
	if i < 1 || i == len(rest)-1 {
		return "", "", false
	}
	return rest[:i], rest[i+1:], true
}

// Route is an entry of a routing table.
type Route struct {
	To  netip.Prefix
	Via netip.Addr
}

// Routes returns what h needs beside its connected networks: a way out through
// the router, and for those who may speak to Pods, one for each node's range.
func (p Plan) Routes(h Host) []Route {
	var out []Route
	switch h.Role {
	case RoleSwitch:
		return nil
	case RoleRouter:
	case RoleFar:
		v4, v6 := farAddresses(1)
		out = append(out, defaultVia(v4), defaultVia(v6))
	default:
		v4, v6 := nodeAddresses(1)
		out = append(out, defaultVia(v4), defaultVia(v6))
	}
	if h.Role != RoleRouter && h.Role != RoleControl && h.Role != RoleNode {
		return out
	}
	for _, n := range p.With(RoleNode) {
		if n.Name != h.Name {
			out = append(out, Route{n.PodNet4, n.V4()}, Route{n.PodNet6, n.V6()})
		}
	}
	return out
}

func defaultVia(gateway netip.Addr) Route {
	any := netip.IPv4Unspecified()
	if gateway.Is6() {
		any = netip.IPv6Unspecified()
	}
	return Route{netip.PrefixFrom(any, 0), gateway}
}
