package bgp

import (
	"net/netip"
	"unique"
)

// Desired is everything that an Engine should do. Its maps must not be changed after they
// were handed over.
type Desired struct {
	// Peers are keyed by a name that stays the same over changes of their configuration.
	Peers map[string]Peer
	// Complete tells that no route is missing because something is not known yet. Until
	// the first complete set, End-of-RIB is held back, so that peers keep what they have
	// from before a restart (RFC 4724).
	Complete bool
}

// Peer is a session and the routes it should have announced.
type Peer struct {
	Config SessionConfig
	Routes Routes
	// Limit is, with a range, the most sessions at a time; 0 means DefaultRangeLimit.
	Limit int
	// Trouble says why there can be no session at present, whatever Config is; it becomes the
	// peer's LastError. Empty means that there can.
	Trouble string
}

// Routes are routes by prefix without host bits. Equal attributes, which most routes have, are held
// once.
type Routes map[netip.Prefix]unique.Handle[Attributes]

// NewRoutes makes Routes.
func NewRoutes(from map[netip.Prefix]Attributes) Routes {
	out := make(Routes, len(from))
	for p, a := range from {
		out[p] = unique.Make(a)
	}
	return out
}

// Withheld is the reason why a desired route cannot be announced in a session.
type Withheld uint8

// Reasons for routes that are withheld.
const (
	// InvalidPrefix is a prefix that is not valid or has host bits.
	InvalidPrefix Withheld = iota + 1
	// FamilyNotNegotiated is a route of a family that one of the two sides did not offer.
	FamilyNotNegotiated
	// NoNextHop is a route without a next hop of its family: the interface of the session
	// has no address of it, and extended next hop was not negotiated.
	NoNextHop
	// AttributesTooLarge are more communities than a message can hold.
	AttributesTooLarge
)

// String gives the reason in words.
func (w Withheld) String() string {
	switch w {
	case InvalidPrefix:
		return "the prefix is invalid"
	case FamilyNotNegotiated:
		return "the address family was not agreed on with the peer"
	case NoNextHop:
		return "the interface of the session has no address of the route's family to serve as next hop"
	case AttributesTooLarge:
		return "the communities do not fit in a message"
	}
	return "unknown"
}
