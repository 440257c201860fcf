package lb

import (
	"fmt"
	"slices"
)

// Reason is why a verdict is as it is. It is a closed set: no cause exists only in a log.
// The zero value is invalid.
type Reason uint8

// The reasons. Each has a sentence in Sentence and a name in String.
const (
	// Elected: this node was chosen and announces.
	Elected Reason = iota + 1

	// NotLoadBalancer: spec.type is not LoadBalancer.
	NotLoadBalancer
	// OtherClass: spec.loadBalancerClass belongs to another implementation.
	OtherClass
	// NoConfig: the configuration has not been read yet.
	NoConfig
	// JoiningMembers: the speaker has just started and has not met the other speakers yet.
	JoiningMembers
	// NoAddress: the Service has no address yet.
	NoAddress
	// InvalidIngress: the status holds something that is not an IP address.
	InvalidIngress
	// AddressNotInPool: no pool contains the address.
	AddressNotInPool
	// NoAdvertisement: no advertisement selects the pool.
	NoAdvertisement
	// ServiceNotSelected: advertisements select the pool, but not this Service.
	ServiceNotSelected
	// NoEndpoints: the Service has no usable endpoint on any node.
	NoEndpoints
	// SharedNoCommonNode: Services that share the address allow no node in common.
	SharedNoCommonNode

	// NodeNotSelected: advertisements select the Service, but not this node.
	NodeNotSelected
	// NodeUnknown: there is no Node object of this name.
	NodeUnknown
	// NodeExcluded: the node carries LabelExclude.
	NodeExcluded
	// NodeNetworkUnavailable: the node's condition NetworkUnavailable is True.
	NodeNetworkUnavailable
	// SpeakerNotAlive: the node's speaker is not a live member.
	SpeakerNotAlive
	// NoLocalEndpoint: traffic policy Local, and no usable endpoint on this node.
	NoLocalEndpoint
	// NoUsableLink: none of the selected links exists on the node and can answer.
	NoUsableLink
	// NotOnSubnet: other candidates have a link on the address's subnet and this node has not.
	NotOnSubnet
	// DataplaneNotReady: the node's own check says that it would not forward traffic.
	DataplaneNotReady
	// OtherNode: this node could announce, and another one does.
	OtherNode
	// AddressProbing: this node is chosen and asks the network first whether the address is free.
	AddressProbing
	// AddressConflict: this node is chosen, and another station on the network has the address.
	AddressConflict
	// NoPeer: advertisements select the Service and this node, and no BGPPeer of theirs does.
	NoPeer
	// SessionDown: this node announces by BGP, and no peer of its was sent the address yet.
	SessionDown
	// NodeDraining: the node carries LabelDrain.
	NodeDraining
	// ConflictingAdvertisements: two BGPAdvertisements give one prefix different local preferences.
	ConflictingAdvertisements
)

// reasonNames are the stable names, used in JSON, metrics and documentation.
func reasonNames() map[Reason]string {
	return map[Reason]string{
		Elected:                "Elected",
		NotLoadBalancer:        "NotLoadBalancer",
		OtherClass:             "OtherClass",
		NoConfig:               "NoConfig",
		JoiningMembers:         "JoiningMembers",
		NoAddress:              "NoAddress",
		InvalidIngress:         "InvalidIngress",
		AddressNotInPool:       "AddressNotInPool",
		NoAdvertisement:        "NoAdvertisement",
		ServiceNotSelected:     "ServiceNotSelected",
		NoEndpoints:            "NoEndpoints",
		SharedNoCommonNode:     "SharedNoCommonNode",
		NodeNotSelected:        "NodeNotSelected",
		NodeUnknown:            "NodeUnknown",
		NodeExcluded:           "NodeExcluded",
		NodeNetworkUnavailable: "NodeNetworkUnavailable",
		SpeakerNotAlive:        "SpeakerNotAlive",
		NoLocalEndpoint:        "NoLocalEndpoint",
		NoUsableLink:           "NoUsableLink",
		NotOnSubnet:            "NotOnSubnet",
		DataplaneNotReady:      "DataplaneNotReady",
		OtherNode:              "OtherNode",
		AddressProbing:         "AddressProbing",
		AddressConflict:        "AddressConflict",
		NoPeer:                 "NoPeer",
		SessionDown:            "SessionDown",
		NodeDraining:           "NodeDraining",

		ConflictingAdvertisements: "ConflictingAdvertisements",
	}
}

// Reasons lists every reason, in the order of declaration.
func Reasons() []Reason {
	var all []Reason
	for r := range reasonNames() {
		all = append(all, r)
	}
	slices.Sort(all)
	return all
}

// String gives the stable name.
func (r Reason) String() string {
	if s, ok := reasonNames()[r]; ok {
		return s
	}
	return "UnknownReason"
}

// MarshalText writes the stable name.
func (r Reason) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

// UnmarshalText reads the stable name.
func (r *Reason) UnmarshalText(b []byte) error {
	for k, s := range reasonNames() {
		if s == string(b) {
			*r = k
			return nil
		}
	}
	return fmt.Errorf("lb: unknown reason %q", b)
}

// OfService tells whether the reason concerns the Service as a whole and so is the same on every node.
func (r Reason) OfService() bool { return r >= NotLoadBalancer && r <= SharedNoCommonNode }

// Sentence explains a verdict to a person and says what to do, where something can be done.
func (v Verdict) Sentence() string {
	switch v.Reason {
	case Elected:
		if v.Protocol == BGP {
			return fmt.Sprintf("announces the address to %s", list(v.Peers))
		}
		if v.AllLinks {
			return "answers for the address on all its links"
		}
		return fmt.Sprintf("answers for the address on %s", list(v.Links))
	case NotLoadBalancer:
		return "the Service is not of type LoadBalancer; set spec.type to LoadBalancer"
	case OtherClass:
		if v.Subject == "" {
			return "the Service has no spec.loadBalancerClass, and only the classes given by --lb-class are served; create it again with one of them"
		}
		return fmt.Sprintf("spec.loadBalancerClass %q belongs to another implementation; this one serves the class given by --lb-class", v.Subject)
	case NoConfig:
		return "the speaker has not read its configuration yet; it will decide when it has"
	case JoiningMembers:
		return "the speaker has not met the other speakers yet and waits, so that no address gets two owners; if this lasts, kubectl lintel status says what keeps it from joining"
	case NoAddress:
		return "the Service has no address yet; its events say why the controller gave none"
	case InvalidIngress:
		return fmt.Sprintf("status.loadBalancer.ingress holds %q, which is not an IP address; another controller may be writing this Service: end it, or create the Service with a spec.loadBalancerClass", v.Subject)
	case AddressNotInPool:
		return "no accepted IPAddressPool contains the address; add it to a pool, or let the controller give another one"
	case NoAdvertisement:
		return fmt.Sprintf("no L2Advertisement or BGPAdvertisement selects pool %q; create one", v.Subject)
	case ServiceNotSelected:
		return fmt.Sprintf("advertisements for pool %q exist, but the serviceSelectors of none match the labels of this Service", v.Subject)
	case NoEndpoints:
		return "the Service has no ready endpoint on any node; see kubectl get endpointslices"
	case SharedNoCommonNode:
		return "Services that share the address have no node in common that all of them allow (advertisement, or an endpoint for traffic policy Local); let them meet on a node, or give one another address"
	case NodeNotSelected:
		return "the nodeSelectors of the advertisements do not match the labels of this node"
	case NodeUnknown:
		return "there is no Node object of this name"
	case NodeExcluded:
		return fmt.Sprintf("the node is labelled %s; remove the label or start the speakers with --ignore-exclude-lb", LabelExclude)
	case NodeNetworkUnavailable:
		return "the node's condition NetworkUnavailable is True; the network plugin has not finished, or it has failed; look at its pod on this node"
	case SpeakerNotAlive:
		return "the speaker of this node is not alive, or cannot be reached by the others on the memberlist port (7946 TCP and UDP)"
	case NoLocalEndpoint:
		return "externalTrafficPolicy is Local and no ready endpoint runs on this node"
	case NoUsableLink:
		if v.Subject != "" {
			return fmt.Sprintf("none of the interfaces that the advertisements name (%s) exists on this node, is up and can answer", v.Subject)
		}
		return "no link of this node is up and can answer for this kind of address"
	case NotOnSubnet:
		return "other nodes have a link on the subnet of the address and this one has none"
	case DataplaneNotReady:
		return "the check of this node's dataplane (--dataplane-check-url) fails, so traffic would be lost here"
	case OtherNode:
		return fmt.Sprintf("could announce; %s does", v.Owner)
	case SessionDown:
		return fmt.Sprintf("is to announce the address to %s, and no session is up that has it; kubectl lintel why --peer says more", v.Subject)
	case NodeDraining:
		return fmt.Sprintf("the node is drained: it is labelled %s; remove the label when it is to announce again", LabelDrain)
	case NoPeer:
		return "no BGPPeer that the advertisements name has a session with this node; check the nodeSelectors of the BGPPeers and spec.peers of the BGPAdvertisement"
	case ConflictingAdvertisements:
		return fmt.Sprintf("the BGPAdvertisements %s give the same prefix different local preferences; let them differ in peers or nodes, or make localPref equal", v.Subject)
	case AddressProbing:
		return "asks the network whether the new address is free; it announces in a moment"
	case AddressConflict:
		return fmt.Sprintf("another station has the address already: %s; take it away from there, or keep it out of the pool", v.Subject)
	}
	return "unknown reason"
}

func list(names []string) string {
	switch len(names) {
	case 0:
		return "none"
	case 1:
		return names[0]
	}
	s := names[0]
	for _, n := range names[1:] {
		s += ", " + n
	}
	return s
}
