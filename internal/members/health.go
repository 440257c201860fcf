package members

import (
	"fmt"
	"net/netip"
	"strings"
	"time"
)

// Health tells how well membership works. Problems puts it in words.
type Health struct {
	// Joined is true when another node is a member, or when there is nobody to join because the
	// list of peers was given and names no other node. While it is false, Alive tells nothing about
	// the others; they may well be alive.
	Joined bool
	// Keyed is true when gossip is encrypted.
	Keyed bool
	// WaitingForKey is true when gossip must be encrypted and no key was given yet. The node gossips
	// nowhere then.
	WaitingForKey bool
	// BindError says why the gossip port could not be opened; it is tried again and again. Empty
	// when it is open.
	BindError string
	// Left is true once this node has left.
	Left bool
	// LastJoinError is the error of the latest failed contact with a listed peer that is still
	// missing. Empty when none is.
	LastJoinError string
	// UnreachablePeers lists, by address, the listed peers that were contacted and are no members.
	UnreachablePeers []Unreachable
	// UDPBlocked lists, by name, members that are heard over TCP only.
	UDPBlocked []string
	// Conflicts lists, by name, nodes that two addresses claim to be.
	Conflicts []Conflict
	// Score is memberlist's own opinion of how timely this node is: 0 is good; each point stretches
	// the probe interval by one.
	Score int
	// Mixed is true when a member is foreign.
	Mixed bool
	// Port is the gossip port of this node.
	Port uint16
}

// PortState is what an attempt found out about a peer's port.
type PortState string

// The states of a port.
const (
	PortUnknown PortState = ""
	PortOpen    PortState = "open"
	PortRefused PortState = "refused"
	PortSilent  PortState = "silent"
)

// Cause says why a contacted peer is no member.
type Cause string

// The causes.
const (
	CausePort      Cause = "Port"      // TCP or UDP does not get through
	CauseKey       Cause = "Key"       // both sides encrypt, with different keys
	CausePlaintext Cause = "Plaintext" // one side encrypts, the other does not
	CauseNoMember  Cause = "NoMember"  // it answers but takes no part: it is leaving or its name is taken
	CauseOther     Cause = "Other"
)

// Unreachable is a listed peer that was contacted and is no member.
type Unreachable struct {
	Node     string
	Addr     netip.AddrPort
	Cause    Cause
	TCP, UDP PortState
	Err      string    // of the last attempt; empty for CauseNoMember
	Since    time.Time // of the first failure in a row
	Attempts int       // failures in a row
}

// String says in words what is wrong and what helps.
func (u Unreachable) String() string {
	port := u.Addr.Port()
	switch u.Cause {
	case CauseKey:
		return u.who() + " uses another gossip key: all speakers must read the same memberlist Secret; " +
			"if it was replaced, restart the speakers that still have the old one"
	case CausePlaintext:
		return u.who() + " and this node do not both encrypt gossip: give all speakers the same memberlist Secret, or none of them any"
	case CauseNoMember:
		return u.who() + " answers but is no member: it is shutting down, or its node name is taken by another speaker"
	case CausePort:
		return fmt.Sprintf("%s cannot be reached on port %d (%s): %s", u.who(), port, u.ports(), u.remedy())
	}
	return fmt.Sprintf("%s answers on port %d but not as a speaker does (%s): check what else listens there", u.who(), port, u.Err)
}

func (u Unreachable) who() string {
	if u.Node == "" {
		return "the speaker at " + u.Addr.Addr().String()
	}
	return fmt.Sprintf("the speaker on node %s (%s)", u.Node, u.Addr.Addr())
}

func (u Unreachable) ports() string {
	words := map[PortState]string{
		PortUnknown: "not tried", PortOpen: "open", PortRefused: "connection refused", PortSilent: "no answer",
	}
	return fmt.Sprintf("TCP %s, UDP %s", words[u.TCP], words[u.UDP])
}

func (u Unreachable) remedy() string {
	port := u.Addr.Port()
	switch {
	case u.UDP == PortOpen:
		return fmt.Sprintf("allow TCP port %d between all nodes, UDP alone is not enough", port)
	case u.TCP == PortRefused:
		return fmt.Sprintf("the speaker there does not run, waits for its key or uses another port, or a firewall rejects the port: "+
			"look at that speaker and allow port %d, TCP and UDP, between all nodes", port)
	}
	return fmt.Sprintf("allow port %d, TCP and UDP, between all nodes in firewalls, security groups and network policies, "+
		"unless that node is down", port)
}

// Conflict is a node name that two addresses claim.
type Conflict struct {
	Node         string
	Known, Other netip.AddrPort
}

// Problems says in whole sentences, one a problem, what is wrong and what helps. It is empty when
// nothing is.
func (h Health) Problems() []string {
	var out []string
	if h.WaitingForKey {
		out = append(out, "the gossip key has not arrived: this node knows of no other speaker until the memberlist Secret exists and is mounted")
	}
	if h.BindError != "" {
		out = append(out, fmt.Sprintf("gossip port %d, TCP and UDP, cannot be opened on this node (%s): "+
			"stop what else uses it, such as another load balancer's speaker, or choose another port on all nodes", h.Port, h.BindError))
	}
	for _, u := range h.UnreachablePeers {
		out = append(out, u.String())
	}
	if len(h.UDPBlocked) > 0 {
		out = append(out, fmt.Sprintf("gossip with %s works over TCP only: allow UDP port %d between all nodes",
			strings.Join(h.UDPBlocked, ", "), h.Port))
	}
	for _, c := range h.Conflicts {
		out = append(out, fmt.Sprintf("two speakers call themselves node %s, at %s and at %s: "+
			"give each its own node name; if the node changed its address this ends by itself within a minute", c.Node, c.Known, c.Other))
	}
	return out
}
