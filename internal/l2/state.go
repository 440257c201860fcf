package l2

import (
	"net/netip"
	"slices"
	"time"

	"github.com/lintel-lb/lintel/internal/links"
)

// Desired is the whole set of addresses to answer for. It must not be changed after it has
// been handed over.
type Desired struct {
	Addresses map[netip.Addr]Scope
}

// Scope selects the links on which an address is answered.
type Scope struct {
	// All selects every eligible link, and Links is not looked at.
	All bool
	// Links are the names of the links selected.
	Links []string
}

// Selects tells whether the link of that name is in the scope.
func (s Scope) Selects(link string) bool { return s.All || slices.Contains(s.Links, link) }

func (s Scope) equal(o Scope) bool { return s.All == o.All && slices.Equal(s.Links, o.Links) }

// Problem is one reason why an address is not answered as desired.
type Problem struct {
	// Link is the name of the link at fault, or empty if it is not one of them alone.
	Link   string        `json:"link,omitempty"`
	Reason ProblemReason `json:"reason"`
	// Detail is the error of the operating system, if one is the cause.
	Detail string `json:"detail,omitempty"`
}

// ProblemReason says what is the matter. The reasons why a link is not eligible are those
// of the package links.
type ProblemReason string

const (
	// LinkMissing: no link of that name exists.
	LinkMissing ProblemReason = "no-such-link"
	// LinkExcluded: the operator's patterns exclude the link.
	LinkExcluded = ProblemReason(links.Excluded)
	// LinkDown: the link is down or has no carrier.
	LinkDown = ProblemReason(links.Down)
	// LinkEnslaved: the link is a port of a bridge, a bond or a VRF.
	LinkEnslaved = ProblemReason(links.Enslaved)
	// LinkNoARP: address resolution is switched off on the link.
	LinkNoARP = ProblemReason(links.NoARP)
	// LinkNotBroadcast: the link cannot speak ARP, as it is no broadcast Ethernet link.
	LinkNotBroadcast ProblemReason = "not-broadcast"
	// LinkNoLinkLocal: the link has no usable IPv6 link-local address to advertise from.
	LinkNoLinkLocal ProblemReason = "no-ipv6-link-local"
	// NoUsableLink: no link at all answers for the address.
	NoUsableLink ProblemReason = "no-usable-link"
	// BadAddress: the address is not a unicast address.
	BadAddress ProblemReason = "not-a-unicast-address"
	// SocketFailed: the operating system refused a socket, its filter or a group; it is
	// tried again every second.
	SocketFailed ProblemReason = "socket-failed"
)

// Conflict is a claim to an address by a station that is not this host.
type Conflict struct {
	// Link is the name of the link on which the claim was seen.
	Link string    `json:"link"`
	MAC  links.MAC `json:"mac"`
	// First and Last are when this station's claim was first and last seen, to a second.
	First time.Time `json:"first"`
	Last  time.Time `json:"last"`
}

// Counters count frames of one address on all links since it became desired.
type Counters struct {
	// Requests are questions for the address, Probes those among them that ask whether it
	// is free.
	Requests uint64 `json:"requests"`
	Probes   uint64 `json:"probes"`
	// Responses are answers sent, Gratuitous frames sent without being asked.
	Responses  uint64 `json:"responses"`
	Gratuitous uint64 `json:"gratuitous"`
	// Unsent are frames of both kinds that the kernel did not take.
	Unsent uint64 `json:"unsent"`
	// Conflicts are frames in which another station claimed the address.
	Conflicts uint64 `json:"conflicts"`
}

// AddressState is what the engine does for one address.
type AddressState struct {
	// Links are the names of the links on which the address is answered now, sorted.
	Links    []string  `json:"links,omitempty"`
	Problems []Problem `json:"problems,omitempty"`
	Counters Counters  `json:"counters"`
	// Conflict is the latest claim by another station, nil if there was none. It is kept as
	// long as the address is desired; Conflict.Last tells whether it still goes on.
	Conflict *Conflict `json:"conflict,omitempty"`
}

// LinkState is what the engine does on one link.
type LinkState struct {
	Name string `json:"name"`
	// ARP and NDP tell which protocols are answered there now. A protocol without any
	// address to answer for is not listened to.
	ARP bool `json:"arp"`
	NDP bool `json:"ndp"`
	// Groups are the solicited-node groups joined, sorted.
	Groups []netip.Addr `json:"groups,omitempty"`
}

// State is what the engine does at one moment. The caller owns it.
type State struct {
	// Applied is the version, as returned by Engine.Set, of the Desired that is in force.
	// An address that an earlier version held and this one does not is no longer answered.
	Applied   uint64                      `json:"applied"`
	Addresses map[netip.Addr]AddressState `json:"addresses"`
	// Links is sorted by name and holds those on which something is answered.
	Links []LinkState `json:"links"`
}
