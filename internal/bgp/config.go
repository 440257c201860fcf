package bgp

import (
	"fmt"
	"net/netip"
	"time"

	"github.com/lintel-lb/lintel/internal/bgp/wire"
)

const (
	// DefaultHoldTime is the value suggested in RFC 4271, section 10.
	DefaultHoldTime = 90 * time.Second
	// DefaultConnectTime is the pause between attempts to connect, before jitter.
	DefaultConnectTime = 5 * time.Second
	// DefaultRestartTime is how long peers keep the routes of a speaker that restarts.
	DefaultRestartTime = 30 * time.Second

	minSendHoldTime = 8 * time.Minute // RFC 9687, section 5
)

// Mode says which side opens the TCP connection.
type Mode uint8

// Modes of a session. The zero value only dials and opens no port.
const (
	ModeActive Mode = iota
	ModePassive
	ModeBoth
)

// Families is a set of address families.
type Families uint8

// Members of Families.
const (
	IPv4 Families = 1 << iota
	IPv6
)

// has tells whether the set has a unicast family.
func (f Families) has(w wire.Family) bool {
	return w == wire.IPv4Unicast && f&IPv4 != 0 || w == wire.IPv6Unicast && f&IPv6 != 0
}

// list returns the members in a fixed order.
func (f Families) list() []wire.Family {
	var out []wire.Family
	for _, w := range []wire.Family{wire.IPv4Unicast, wire.IPv6Unicast} {
		if f.has(w) {
			out = append(out, w)
		}
	}
	return out
}

// BFDMode says what the state of the peer's BFD session means.
type BFDMode uint8

// Modes of BFD. With BFDOn a session that goes down takes BGP with it; with BFDStrict
// BGP also waits until it is up.
const (
	BFDOff BFDMode = iota
	BFDOn
	BFDStrict
)

// PeerAS is the AS that the peer must have. The zero value is invalid.
type PeerAS struct {
	kind peerASKind
	asn  uint32
}

type peerASKind uint8

const (
	peerASExact peerASKind = iota + 1
	peerASInternal
	peerASExternal
)

// ExactAS demands one AS.
func ExactAS(asn uint32) PeerAS { return PeerAS{kind: peerASExact, asn: asn} }

// InternalAS demands the local AS of the session.
func InternalAS() PeerAS { return PeerAS{kind: peerASInternal} }

// ExternalAS demands any but the local AS of the session.
func ExternalAS() PeerAS { return PeerAS{kind: peerASExternal} }

// String says what is demanded.
func (p PeerAS) String() string {
	switch p.kind {
	case peerASExact:
		return fmt.Sprintf("AS %d", p.asn)
	case peerASInternal:
		return "the local AS"
	case peerASExternal:
		return "any external AS"
	}
	return "no AS"
}

func (p PeerAS) admits(remote, local uint32) bool {
	switch p.kind {
	case peerASExact:
		return remote == p.asn
	case peerASInternal:
		return remote == local
	case peerASExternal:
		return remote != local
	}
	return false
}

// Password is a TCP MD5 key. It never prints.
type Password string

// String hides the key.
func (p Password) String() string {
	if p == "" {
		return ""
	}
	return "(hidden)"
}

// GoString hides the key.
func (p Password) GoString() string { return p.String() }

// GracefulRestart holds the parameters of RFC 4724. The zero value is without it.
type GracefulRestart struct {
	Enabled bool
	// RestartTime is how long the peer should keep routes without a session: whole
	// seconds up to 4095.
	RestartTime time.Duration
	// Notification also keeps routes when a session ends with a NOTIFICATION other than
	// a hard reset (RFC 8538).
	Notification bool
	// LongLived is how long stale routes should be kept after the restart time as the
	// last choice (RFC 9494); 0 does not ask for it.
	LongLived time.Duration
}

// SessionConfig holds the parameters of one session. It is comparable.
type SessionConfig struct {
	// PeerAddress is the address of the peer; a link-local one has a zone. Exactly one
	// of PeerAddress, Interface and PeerRange is set.
	PeerAddress netip.Addr
	// Interface is the link whose only neighbour is the peer (unnumbered).
	Interface string
	// PeerRange lets every address of a prefix open a session; needs ModePassive. The
	// sessions are named "NAME/ADDRESS".
	PeerRange netip.Prefix
	// Port is the TCP port that is dialled; 0 means 179.
	Port uint16

	// LocalASN is the AS that the peer sees, in OPEN and in AS_PATH. Where it replaces the
	// AS of the node, nothing of that is shown ("no-prepend replace-as").
	LocalASN uint32
	// PeerASN is what the peer's AS must be.
	PeerASN PeerAS
	// RouterID is the BGP identifier, an IPv4 address other than 0.0.0.0.
	RouterID netip.Addr

	// Mode says who opens the connection. Other than ModeActive it needs Source.
	Mode Mode
	// Source is the local address; invalid lets the kernel choose.
	Source netip.Addr
	// ListenPort is the TCP port listened on; 0 means 179.
	ListenPort uint16
	// Device is the VRF or interface that sockets are bound to; empty means none.
	Device string
	// Password is the TCP MD5 key; empty means none.
	Password Password
	// TTL is the time to live of sent packets; 0 means the system's default, which also
	// reaches peers several hops away.
	TTL uint8
	// SecurityHops drops packets from more hops away than this (GTSM, RFC 5082), 1 being
	// a neighbour on the link; 0 is without. It excludes TTL.
	SecurityHops uint8

	// Hold is the hold time offered: 0 for sessions without keepalives, else whole
	// seconds from 3 to 65535. A dead peer then shows by TCP keepalive only.
	Hold time.Duration
	// Keepalive is the interval of KEEPALIVE messages, at most a third of the negotiated
	// hold time, which is also what 0 means.
	Keepalive time.Duration
	// Connect is the pause between attempts to connect; 0 means DefaultConnectTime.
	Connect time.Duration
	// SendHold is how long the peer may read nothing; 0 means the larger of 8 minutes and
	// twice the hold time (RFC 9687).
	SendHold time.Duration

	// Families are offered; at least one.
	Families Families
	// ExtendedNextHop offers IPv4 routes with an IPv6 next hop (RFC 8950).
	ExtendedNextHop bool
	GracefulRestart GracefulRestart
	BFD             BFDMode
}

// Resets tells whether a session of this configuration starts over to have another one.
func (c *SessionConfig) Resets(next SessionConfig) bool {
	next.Connect = c.Connect // counts from the next attempt on
	return *c != next
}

func (c *SessionConfig) port() uint16 {
	if c.Port == 0 {
		return wire.Port
	}
	return c.Port
}

func (c *SessionConfig) listenPort() uint16 {
	if c.ListenPort == 0 {
		return wire.Port
	}
	return c.ListenPort
}

func (c *SessionConfig) connectTime() time.Duration {
	if c.Connect == 0 {
		return DefaultConnectTime
	}
	return c.Connect
}

func (c *SessionConfig) sendHold() time.Duration {
	if c.SendHold == 0 {
		return max(minSendHoldTime, 2*c.Hold)
	}
	return c.SendHold
}

func (c *SessionConfig) socket() SocketOptions {
	o := SocketOptions{Device: c.Device, TTL: c.TTL}
	if c.SecurityHops > 0 {
		o.TTL = 255
		o.MinTTL = 255 - (c.SecurityHops - 1)
	}
	return o
}
