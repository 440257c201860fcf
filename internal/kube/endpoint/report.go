package endpoint

import (
	"net/netip"
	"time"

	"github.com/lintel-lb/lintel/internal/config"
	"github.com/lintel-lb/lintel/internal/l2"
	"github.com/lintel-lb/lintel/internal/lb"
)

// SpeakerReport is what a speaker says about itself.
type SpeakerReport struct {
	Node    string    `json:"node"`
	Version string    `json:"version"`
	Started time.Time `json:"started"`
	// Members is the membership as this speaker sees it, and Problems what is wrong with it.
	Members []string `json:"members"`
	// Alone is set where the speakers do not watch each other.
	Alone bool `json:"alone,omitempty"`
	// Others is what it knows of each other member, and decides by.
	Others   []Other   `json:"others,omitempty"`
	Joining  bool      `json:"joining,omitempty"`
	Problems []string  `json:"problems,omitempty"`
	Links    []lb.Link `json:"links"`
	// Gateways are the next hops of the node's default routes.
	Gateways []lb.Gateway `json:"gateways,omitempty"`
	Gated    bool         `json:"gated,omitempty"`
	// Drained is set once a node that is drained has withdrawn its routes.
	Drained bool `json:"drained,omitempty"`
	// Held are the addresses that the node is to answer for and does not yet, since it asks whether
	// they are free, with the station that was found to have each; empty while none was.
	Held map[netip.Addr]string `json:"held,omitempty"`
	// Classes are the values of spec.loadBalancerClass that are served; the empty one stands
	// for Services without a class.
	Classes []string `json:"classes"`
	// Settings are the flags that bear on decisions.
	Settings lb.Settings `json:"settings"`
	// Refused are the objects of the configuration that this speaker does not use.
	Refused []config.Verdict `json:"refused,omitempty"`
	// Addresses are those that this speaker announces.
	Addresses []AnnouncedAddress `json:"addresses"`
	// Sessions are the BGP sessions, by name of the peer.
	Sessions []Session `json:"sessions,omitempty"`
	// Verdicts are about the Service that was asked for.
	Verdicts []lb.Verdict `json:"verdicts,omitempty"`
}

// Other is another speaker, which is alive, as one speaker sees it.
type Other struct {
	Node string `json:"node"`
	// Foreign is set for a speaker of MetalLB, which tells nothing of itself.
	Foreign bool `json:"foreign,omitempty"`
	// Told is set once it has told the links of its node.
	Told bool `json:"told,omitempty"`
	// Gated is set where it is not counted on to announce: its check of the dataplane fails, it is still
	// joining, or it has told nothing yet.
	Gated bool `json:"gated,omitempty"`
}

// AnnouncedAddress is one address that a speaker announces.
type AnnouncedAddress struct {
	Address  netip.Addr      `json:"address"`
	Services []lb.ServiceKey `json:"services"`
	Protocol lb.Protocol     `json:"protocol"`
	// Layer2 is set with that protocol.
	Layer2 *l2.AddressState `json:"layer2,omitempty"`
	// Peers are, with BGP, the names of the peers that were sent the address.
	Peers []string `json:"peers,omitempty"`
}

// Listening is the state of a network that routers may open sessions from.
const Listening = "Listening"

// Session is one BGP session of a speaker.
type Session struct {
	// Peer is the name of the BGPPeer. Neighbor is the address of the router where the BGPPeer
	// does not tell it, or, with Listening, the network that routers may come from.
	Peer     string `json:"peer"`
	Neighbor string `json:"neighbor,omitempty"`
	// State is one of RFC 4271, section 8.2.2, or Listening.
	State string    `json:"state"`
	Since time.Time `json:"since"`
	// LastError says in words why the session is not up, or why it ended last.
	LastError string `json:"lastError,omitempty"`
	Remote    string `json:"remote,omitempty"`
	// BFD is the state of the BFD session, and BFDDetail says in words how it fares; both are
	// empty without BFD.
	BFD       string `json:"bfd,omitempty"`
	BFDDetail string `json:"bfdDetail,omitempty"`
	// Prefixes are those on the wire, Pending those still to be sent or withdrawn.
	Prefixes int `json:"prefixes"`
	Pending  int `json:"pending"`
}
