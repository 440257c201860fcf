package config

import (
	"net/netip"
	"slices"
	"strings"

	"github.com/lintel-lb/lintel/internal/lb"
)

// Bounds of dynamicNeighbors; the schema has them too.
const (
	defaultNeighborLimit = 100
	maxNeighborLimit     = 1000
)

// parseEndpoint reads where the router is: exactly one of an address, an interface, a place to
// find the address, and networks.
func parseEndpoint(c *peerCandidate) *refusal {
	spec, p := &c.object.Spec, c.value
	extensions := spec.PeerAddressFrom != nil || spec.DynamicNeighbors != nil
	switch {
	case spec.Address == "" && spec.Interface == "" && !extensions:
		return refuse(ReasonInvalidAddress, "peer has no Address or Interface specified: set one of peerAddress and interface")
	case spec.Address != "" && spec.Interface != "":
		return refuse(ReasonInvalidAddress, "peer has both Address and Interface specified: remove one of peerAddress and interface")
	case spec.PeerAddressFrom != nil && (spec.Address != "" || spec.Interface != "" || spec.DynamicNeighbors != nil):
		return refuse(ReasonInvalidAddress, "peerAddressFrom takes the place of peerAddress, interface and dynamicNeighbors: remove all but one of them")
	case spec.DynamicNeighbors != nil && (spec.Address != "" || spec.Interface != ""):
		return refuse(ReasonInvalidAddress, "dynamicNeighbors takes the place of peerAddress and interface: remove all but one of them")
	case spec.Passive && spec.Interface != "":
		return refuse(ReasonInvalidAddress, "passive cannot be used with interface: remove passive, or set peerAddress")
	}
	if spec.Address != "" {
		a, err := parseAddr(spec.Address)
		if err != nil {
			return refuse(ReasonInvalidAddress, "invalid BGPPeer address %q: %v", spec.Address, err)
		}
		p.Address = a
	}
	if r := parsePort(c); r != nil {
		return r
	}
	if r := parseAddressFrom(c); r != nil {
		return r
	}
	if r := parseDynamicNeighbors(c); r != nil {
		return r
	}
	p.Passive = spec.Passive || spec.DynamicNeighbors != nil
	if p.Passive && spec.ConnectTime != nil {
		c.warn("connectTime has no effect, since the node does not open the session: remove connectTime")
	}
	return nil
}

func parsePort(c *peerCandidate) *refusal {
	switch port := c.object.Spec.Port; {
	case port == 0:
		c.value.Port = bgpPort
	case port < 0 || port > maxPort:
		return refuse(ReasonInvalidPort, "invalid peerPort %d: must be from 1 to %d", port, maxPort)
	default:
		c.value.Port = uint16(port)
	}
	return nil
}

func parseAddressFrom(c *peerCandidate) *refusal {
	from := c.object.Spec.PeerAddressFrom
	if from == nil {
		return nil
	}
	if (from.DefaultGateway == "") == (from.NodeAnnotation == "") {
		return refuse(ReasonInvalidAddress, "invalid peerAddressFrom: set exactly one of defaultGateway and nodeAnnotation")
	}
	switch from.DefaultGateway {
	case "":
		if name, ok := strings.CutPrefix(from.NodeAnnotation, lb.AnnotationPrefix); !ok || name == "" {
			return refuse(ReasonInvalidAddress, "invalid peerAddressFrom.nodeAnnotation %q: the key must begin with %q", from.NodeAnnotation, lb.AnnotationPrefix)
		}
		c.value.From.Annotation = from.NodeAnnotation
	case lb.IPv4.String():
		c.value.From.Gateway = lb.IPv4
	case lb.IPv6.String():
		c.value.From.Gateway = lb.IPv6
	default:
		return refuse(ReasonInvalidAddress, "invalid peerAddressFrom.defaultGateway %q: must be IPv4 or IPv6", from.DefaultGateway)
	}
	if c.value.From.Gateway != 0 && c.value.VRF != "" {
		return refuse(ReasonInvalidAddress, "peerAddressFrom.defaultGateway cannot be used with vrf, since it reads the main routing table: use nodeAnnotation, or remove vrf")
	}
	return nil
}

func parseDynamicNeighbors(c *peerCandidate) *refusal {
	spec := &c.object.Spec
	dynamic := spec.DynamicNeighbors
	if dynamic == nil {
		return nil
	}
	switch {
	case len(dynamic.Prefixes) == 0:
		return refuse(ReasonInvalidAddress, "invalid dynamicNeighbors: prefixes must have at least one network")
	case dynamic.Limit < 0 || dynamic.Limit > maxNeighborLimit:
		return refuse(ReasonInvalidAddress, "invalid dynamicNeighbors.limit %d: must be from 1 to %d", dynamic.Limit, maxNeighborLimit)
	case spec.BFDProfile != "":
		return refuse(ReasonInvalidAddress, "bfdProfile cannot be used with dynamicNeighbors, whose addresses are not known: remove bfdProfile, or list the routers as peers with peerAddress and passive")
	}
	for _, text := range dynamic.Prefixes {
		p, err := parsePrefix(text)
		if err != nil {
			return refuse(ReasonInvalidAddress, "invalid dynamicNeighbors prefix %q: %v", text, err)
		}
		for _, other := range c.value.Ranges {
			if p.Overlaps(other) {
				return refuse(ReasonInvalidAddress, "invalid dynamicNeighbors: prefix %v overlaps with %v: remove one of the two", p, other)
			}
		}
		c.value.Ranges = append(c.value.Ranges, p.Masked())
	}
	slices.SortFunc(c.value.Ranges, netip.Prefix.Compare)
	c.value.RangeLimit = defaultNeighborLimit
	if dynamic.Limit != 0 {
		c.value.RangeLimit = int(dynamic.Limit)
	}
	return nil
}

// sourceMismatch names the end of the session that is of another family than the source; ok
// is false where all fit, as far as it is known.
func sourceMismatch(p *lb.Peer) (words string, ok bool) {
	family := lb.FamilyOf(p.Source)
	switch {
	case p.Address.IsValid() && lb.FamilyOf(p.Address) != family:
		return "peerAddress " + p.Address.String(), true
	case p.From.Gateway != 0 && p.From.Gateway != family:
		return "peerAddressFrom.defaultGateway " + p.From.Gateway.String(), true
	}
	for _, r := range p.Ranges {
		if lb.FamilyOf(r.Addr()) != family {
			return "dynamicNeighbors prefix " + r.String(), true
		}
	}
	return "", false
}
