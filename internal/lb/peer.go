package lb

import (
	"net/netip"
	"time"
)

// Peer is a BGPPeer that was accepted.
type Peer struct {
	Name string
	// MyASN is the local AS of the session, never 0.
	MyASN uint32
	// ASN is the remote AS; 0 where Dynamic is set.
	ASN uint32
	// Dynamic accepts any internal or any external AS instead of a given one.
	Dynamic DynamicASN
	// LocalASN replaces MyASN towards this peer (no-prepend replace-as); 0 means unset.
	LocalASN uint32
	// Address is the peer's address; invalid where Interface, From or Ranges is set.
	Address netip.Addr
	// From says where a node finds the address; the zero value means nowhere. (extension)
	From AddressSource
	// Ranges are the networks of dynamic neighbours, masked, without overlaps and sorted. (extension)
	Ranges []netip.Prefix
	// RangeLimit is the most sessions of a node in each of Ranges. (extension)
	RangeLimit int
	// Passive waits for the peer to open the session, on Port; it is set with Ranges. (extension)
	Passive bool
	// Interface is the link of an unnumbered peer; empty where Address is set.
	Interface string
	// Source is the local address to bind; invalid means that the kernel chooses.
	Source netip.Addr
	// Port is the TCP port dialled, or listened on with Passive, 1 to 65535.
	Port uint16
	// Hold and Keepalive are nil where the default is to be used; 0 turns them off.
	Hold, Keepalive *time.Duration
	// Connect is the retry time, whole seconds from 1 to 65535; nil means the default.
	Connect *time.Duration
	// RouterID is an IPv4 address; invalid means derived from the node.
	RouterID netip.Addr
	// Nodes are those that open this session; empty means all.
	Nodes Selectors
	// Password is the TCP MD5 key (RFC 2385); empty means none.
	Password Secret
	// BFDProfile names the profile; empty means no BFD.
	BFDProfile string
	// BFDStrict keeps the session down until BFD is up. (extension)
	BFDStrict bool
	// SecurityHops is the most hops that packets may come from (RFC 5082); 0 means any. (extension)
	SecurityHops uint8
	// GracefulRestart is nil where unset.
	GracefulRestart *bool
	// RestartTime replaces the restart time that GracefulRestart stands for; 0 means unset. (extension)
	RestartTime time.Duration
	// RestartNotification asks for RFC 8538. (extension)
	RestartNotification bool
	// LongLivedStaleTime is that of RFC 9494; 0 does not ask for it. (extension)
	LongLivedStaleTime time.Duration
	// MultiHop allows an external peer that is not directly connected.
	MultiHop bool
	// VRF is the name of a Linux VRF device; empty means the default one.
	VRF string
	// DualStack activates both address families on the session.
	DualStack bool
}

// AddressSource says where a node finds the address of its router. At most one field is set.
type AddressSource struct {
	// Gateway is the family of the default route whose next hop it is.
	Gateway Family
	// Annotation is the key of the annotation of the node that holds it.
	Annotation string
}

// DynamicASN is BGPPeer.spec.dynamicASN.
type DynamicASN uint8

// The kinds of dynamic remote AS; the zero value means a fixed one.
const (
	FixedASN DynamicASN = iota
	InternalASN
	ExternalASN
)

// Secret is text that is never printed.
type Secret string

// String hides the text.
func (s Secret) String() string {
	if s == "" {
		return ""
	}
	return "(hidden)"
}

// GoString hides the text.
func (s Secret) GoString() string { return s.String() }

// MarshalText hides the text.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// BFDProfile holds BFD parameters (RFC 5880). Zero durations and counts mean the default:
// 300 ms, 300 ms, 3, 50 ms, and a minimum TTL of 254.
type BFDProfile struct {
	Name             string
	ReceiveInterval  time.Duration
	TransmitInterval time.Duration
	DetectMultiplier uint8
	EchoInterval     time.Duration
	EchoMode         bool
	PassiveMode      bool
	MinimumTTL       uint8
	// Auth is the zero value without authentication. (extension)
	Auth BFDAuth
}

// BFDAuth authenticates the packets of a BFD session (RFC 5880, section 6.7).
type BFDAuth struct {
	Type BFDAuthType
	// Keys: the first signs, all are accepted.
	Keys []BFDKey
}

// BFDKey is a key with its number on the wire.
type BFDKey struct {
	ID     uint8
	Secret Secret
}

// BFDAuthType is an authentication type.
type BFDAuthType uint8

// The authentication types; the zero value means none.
const (
	NoBFDAuth BFDAuthType = iota
	KeyedMD5
	MeticulousKeyedMD5
	KeyedSHA1
	MeticulousKeyedSHA1
)

// MaxKey is the length of the longest key, in bytes.
func (t BFDAuthType) MaxKey() int {
	switch t {
	case KeyedMD5, MeticulousKeyedMD5:
		return 16
	case KeyedSHA1, MeticulousKeyedSHA1:
		return 20
	}
	return 0
}
