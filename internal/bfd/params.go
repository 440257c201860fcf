package bfd

import (
	"cmp"
	"fmt"
	"math"
	"net/netip"
	"time"
)

// Values of unset parameters, those of FRR's bfdd.
const (
	DefaultInterval         = 300 * time.Millisecond
	DefaultDetectMultiplier = 3
	DefaultEchoInterval     = 50 * time.Millisecond
	DefaultMinimumTTL       = 254
)

// minInterval and maxInterval bound all intervals; the upper bound is that of the wire.
const (
	minInterval = time.Millisecond
	maxInterval = math.MaxUint32 * time.Microsecond
)

// Key names a session.
type Key struct {
	// Peer is the address of the other system. A link-local address needs Interface or a zone.
	Peer netip.Addr

	// Local is the address that packets are sent from and must be sent to. If invalid the kernel
	// chooses the source, and any destination is accepted.
	Local netip.Addr

	// Interface binds the session to a device: packets leave by it and must come in by it.
	// Empty for any; always empty with MultiHop.
	Interface string

	// VRF is the name of the VRF device of the session, empty for the default one.
	VRF string

	// MultiHop selects RFC 5883 and UDP port 4784, else RFC 5881 and port 3784.
	MultiHop bool
}

// String gives the key in the order peer, local, interface, VRF.
func (k Key) String() string {
	s := k.Peer.String()
	if k.Local.IsValid() {
		s += " from " + k.Local.String()
	}
	if k.Interface != "" {
		s += " on " + k.Interface
	}
	if k.VRF != "" {
		s += " in vrf " + k.VRF
	}
	if k.MultiHop {
		s += " multihop"
	}
	return s
}

// zone returns the interface that the key names directly or by a zone.
func (k Key) zone() string { return cmp.Or(k.Interface, k.Peer.Zone(), k.Local.Zone()) }

func (k Key) validate() error {
	zone := k.zone()
	switch {
	case !k.Peer.IsValid() || k.Peer.IsUnspecified() || k.Peer.IsMulticast():
		return fmt.Errorf("peer address %v is not the address of one system", k.Peer)
	case k.Peer.Is4In6() || k.Local.Is4In6():
		return fmt.Errorf("IPv4-mapped address: give it as IPv4")
	case k.Local.IsValid() && k.Peer.Is4() != k.Local.Is4():
		return fmt.Errorf("local address %v is of another family than the peer", k.Local)
	case k.Local.IsValid() && (k.Local.IsUnspecified() || k.Local.IsMulticast()):
		return fmt.Errorf("local address %v is not the address of one system: leave it out for any", k.Local)
	case k.Peer.IsLinkLocalUnicast() && k.Peer.Is6() && zone == "":
		return fmt.Errorf("link-local peer without interface: name the interface")
	case k.Peer.Zone() != "" && k.Peer.Zone() != zone, k.Local.Zone() != "" && k.Local.Zone() != zone:
		return fmt.Errorf("zone and interface differ: name one interface")
	case k.MultiHop && zone != "":
		return fmt.Errorf("a multihop session cannot be bound to an interface: leave the interface out")
	}
	return nil
}

// Params are the parameters of a session. Zero values mean the defaults of this package.
type Params struct {
	// TransmitInterval is the shortest interval between packets sent, ReceiveInterval the shortest
	// accepted between packets received, each from 1 ms to about 71 minutes. The peer's values
	// can make both longer.
	TransmitInterval time.Duration
	ReceiveInterval  time.Duration

	// DetectMultiplier is the number of packets that this system may miss in the eyes of the peer
	// before the peer declares it down.
	DetectMultiplier uint8

	// EchoMode sends echo packets at EchoInterval, or slower where the peer asks for it, and
	// lets the peer send its own. It works with one IPv4 hop; on other sessions it has no effect
	// and the status says so.
	EchoMode     bool
	EchoInterval time.Duration

	// Passive sends nothing until the peer is heard.
	Passive bool

	// MinimumTTL is the lowest TTL or hop limit of received packets of a multihop session. It has
	// no effect on a single hop, where the TTL must be 255 (RFC 5881 section 5).
	MinimumTTL uint8

	// Auth is the authentication; zero for none.
	Auth Auth

	// AdminDown holds the session in state AdminDown.
	AdminDown bool
}

// Equal reports whether both mean the same.
func (p Params) Equal(q Params) bool {
	a, b := p.withDefaults(), q.withDefaults()
	return a.Auth.Equal(b.Auth) && a.TransmitInterval == b.TransmitInterval &&
		a.ReceiveInterval == b.ReceiveInterval && a.DetectMultiplier == b.DetectMultiplier &&
		a.EchoMode == b.EchoMode && a.EchoInterval == b.EchoInterval && a.Passive == b.Passive &&
		a.MinimumTTL == b.MinimumTTL && a.AdminDown == b.AdminDown
}

func (p Params) withDefaults() Params {
	p.TransmitInterval = cmp.Or(p.TransmitInterval, DefaultInterval)
	p.ReceiveInterval = cmp.Or(p.ReceiveInterval, DefaultInterval)
	p.DetectMultiplier = cmp.Or(p.DetectMultiplier, DefaultDetectMultiplier)
	p.EchoInterval = cmp.Or(p.EchoInterval, DefaultEchoInterval)
	p.MinimumTTL = cmp.Or(p.MinimumTTL, DefaultMinimumTTL)
	return p
}

// validate checks parameters with their defaults filled in.
func (p Params) validate() error {
	for _, v := range []struct {
		name string
		d    time.Duration
	}{
		{"transmit interval", p.TransmitInterval},
		{"receive interval", p.ReceiveInterval},
		{"echo interval", p.EchoInterval},
	} {
		if v.d < minInterval || v.d > maxInterval {
			return fmt.Errorf("%s %v is out of range: use %v to %v", v.name, v.d, minInterval, maxInterval)
		}
	}
	return p.Auth.validate()
}
