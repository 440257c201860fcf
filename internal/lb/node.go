package lb

import (
	"net/netip"
	"slices"
)

// Node is what decisions need to know of a Kubernetes Node.
type Node struct {
	Name   string
	Labels map[string]string
	// NetworkUnavailable is the node condition of that name being True.
	NetworkUnavailable bool
	// Addresses are the InternalIP addresses.
	Addresses []netip.Addr
	// Annotations are those that begin with AnnotationPrefix.
	Annotations map[string]string
}

// AnnotationPrefix begins all annotations of nodes that bear on decisions. (extension)
const AnnotationPrefix = "lintel.dev/"

// LabelExclude keeps a node from announcing unless the speaker is told to ignore it.
const LabelExclude = "node.kubernetes.io/exclude-from-external-load-balancers"

// LabelDrain asks for the node to be drained: its addresses move to other nodes, and its
// routes are withdrawn once the peers had time to prefer others. (extension)
const LabelDrain = "lintel.dev/drain"

// Draining tells whether the node carries LabelDrain, with any value but "false".
func (n *Node) Draining() bool {
	v, ok := n.Labels[LabelDrain]
	return ok && v != "false"
}

// Excluded tells whether the node carries LabelExclude, with any value.
func (n *Node) Excluded() bool {
	_, ok := n.Labels[LabelExclude]
	return ok
}

// Equal tells whether two nodes are the same in every field.
func (n *Node) Equal(o *Node) bool {
	if n == nil || o == nil {
		return n == o
	}
	return n.Name == o.Name && n.NetworkUnavailable == o.NetworkUnavailable &&
		equalMaps(n.Labels, o.Labels) && slices.Equal(n.Addresses, o.Addresses) && equalMaps(n.Annotations, o.Annotations)
}

// Gateway is the next hop of a default route of a node.
type Gateway struct {
	// Address has a zone, the name of the link, where it is link-local.
	Address netip.Addr `json:"address"`
	// Metric is the priority of the route; lower is preferred.
	Metric int `json:"metric"`
}

// Link is a network interface of a node, as far as announcing needs it.
type Link struct {
	Name string `json:"name"`
	// Usable is false for links that are down, enslaved, without ARP or excluded by the operator.
	Usable bool `json:"usable"`
	// ARP and NDP tell which protocols the link can answer.
	ARP bool `json:"arp"`
	NDP bool `json:"ndp"`
	// Prefixes are the subnets of the link's own addresses.
	Prefixes []netip.Prefix `json:"prefixes,omitempty"`
}

// Answers tells whether the link can answer for an address of the family.
func (l Link) Answers(f Family) bool {
	if !l.Usable {
		return false
	}
	if f == IPv4 {
		return l.ARP
	}
	return l.NDP
}

// OnSubnet tells whether the address lies in one of the link's subnets. Link-local subnets do not count.
func (l Link) OnSubnet(a netip.Addr) bool {
	for _, p := range l.Prefixes {
		if !p.Addr().IsLinkLocalUnicast() && p.Contains(a) {
			return true
		}
	}
	return false
}

// Equal tells whether two links are the same in every field.
func (l Link) Equal(o Link) bool {
	return l.Name == o.Name && l.Usable == o.Usable && l.ARP == o.ARP && l.NDP == o.NDP &&
		slices.Equal(l.Prefixes, o.Prefixes)
}
