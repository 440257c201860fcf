package lb

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// Protocol is how an address is made known. The zero value is invalid.
type Protocol uint8

// The protocols.
const (
	Layer2 Protocol = iota + 1
	BGP
)

// String gives the word that events and metrics use.
func (p Protocol) String() string {
	switch p {
	case Layer2:
		return "layer2"
	case BGP:
		return "bgp"
	}
	return "unknown protocol"
}

// MarshalText writes String.
func (p Protocol) MarshalText() ([]byte, error) { return []byte(p.String()), nil }

// Outcome is the first half of a verdict. The zero value is invalid.
type Outcome uint8

// The outcomes.
const (
	// Announce means that this node announces the address.
	Announce Outcome = iota + 1
	// Pending means that it is not known yet whether it will; something is awaited.
	Pending
	// Not means that this node does not announce the address.
	Not
)

// String gives a lower-case word.
func (o Outcome) String() string {
	switch o {
	case Announce:
		return "announce"
	case Pending:
		return "pending"
	case Not:
		return "not"
	}
	return "unknown outcome"
}

// MarshalText writes String.
func (o Outcome) MarshalText() ([]byte, error) { return []byte(o.String()), nil }

// Verdict says for one Service, address, protocol and node what should be, and why.
type Verdict struct {
	Service ServiceKey `json:"service"`
	// Address is invalid where the Service has none yet.
	Address  netip.Addr `json:"address,omitzero"`
	Node     string     `json:"node"`
	Protocol Protocol   `json:"protocol"`
	Outcome  Outcome    `json:"outcome"`
	Reason   Reason     `json:"reason"`
	// Links are the names of the links that the address is answered on; AllLinks means every
	// link that can. They are set only with Announce and Layer2.
	Links    []string `json:"links,omitempty"`
	AllLinks bool     `json:"allLinks,omitempty"`
	// Peers are the names of the BGPPeers that get the address. They are set only with
	// Announce and BGP.
	Peers []string `json:"peers,omitempty"`
	// Owner is the node that announces instead of this one, where there is one.
	Owner string `json:"owner,omitempty"`
	// Subject is the object that the reason is about, such as the pool or an advertisement.
	Subject string `json:"subject,omitempty"`
}

// SentTo limits a verdict of BGP that announces to the peers that were sent the address. Where none
// was, the address is not announced yet.
func (v Verdict) SentTo(sent func(peer string) bool) Verdict {
	wanted := v.Peers
	v.Peers = slices.DeleteFunc(slices.Clone(wanted), func(peer string) bool { return !sent(peer) })
	if len(v.Peers) == 0 {
		v.Outcome, v.Reason, v.Subject = Pending, SessionDown, strings.Join(wanted, ", ")
	}
	return v
}

// UnmarshalText reads String.
func (p *Protocol) UnmarshalText(b []byte) error {
	for _, q := range []Protocol{Layer2, BGP} {
		if q.String() == string(b) {
			*p = q
			return nil
		}
	}
	return fmt.Errorf("lb: unknown protocol %q", b)
}

// UnmarshalText reads String.
func (o *Outcome) UnmarshalText(b []byte) error {
	for _, q := range []Outcome{Announce, Pending, Not} {
		if q.String() == string(b) {
			*o = q
			return nil
		}
	}
	return fmt.Errorf("lb: unknown outcome %q", b)
}
