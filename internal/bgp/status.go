package bgp

import (
	"net/netip"
	"time"
	"unique"

	"github.com/lintel-lb/lintel/internal/bgp/wire"
)

// State is a state of RFC 4271, section 8.2.2. The zero value is Idle.
type State uint8

// States of a session.
const (
	StateIdle State = iota
	StateConnect
	StateActive
	StateOpenSent
	StateOpenConfirm
	StateEstablished
)

// String gives the name of the RFC.
func (s State) String() string {
	switch s {
	case StateIdle:
		return "Idle"
	case StateConnect:
		return "Connect"
	case StateActive:
		return "Active"
	case StateOpenSent:
		return "OpenSent"
	case StateOpenConfirm:
		return "OpenConfirm"
	case StateEstablished:
		return "Established"
	}
	return "unknown"
}

// Status is what a session is doing. It is immutable.
type Status struct {
	State State
	// Since is when State was entered.
	Since time.Time
	// LastError says in words why there is no session or why the last one ended, with
	// the NOTIFICATION decoded; it stays after recovery. LastErrorAt is its time.
	LastError   string
	LastErrorAt time.Time
	// Local and Remote are the ends of the connection, invalid without one.
	Local, Remote netip.AddrPort
	// What follows up to Capabilities is from the peer's OPEN and zero before it.
	RemoteASN      uint32
	RemoteID       netip.Addr
	Hold           time.Duration
	Keepalive      time.Duration
	Families       []wire.Family
	GracefulPeer   bool
	Capabilities   wire.Capabilities
	EndOfRIB       bool
	Established    uint64 // how often the session came up
	Sent, Received Counts
	// Routes are those that were written to the peer in this session, with the attributes
	// written (Handle.Value), which few sets are shared by many routes. The map is shared
	// and must not be changed. Pending is the number of prefixes still to be announced or withdrawn.
	Routes  map[netip.Prefix]unique.Handle[Attributes]
	Pending int
	// Withheld are desired routes that this session cannot announce.
	Withheld map[netip.Prefix]Withheld
	// BFD is the state last reported; BFDUnknown where BFD is off.
	BFD BFDState
}
