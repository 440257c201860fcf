package bgp

import (
	"fmt"
	"time"

	"github.com/lintel-lb/lintel/internal/bgp/wire"
)

const (
	minHoldTime = 3 * time.Second
	maxHoldTime = 65535 * time.Second
	maxPassword = 80 // TCP_MD5SIG_MAXKEYLEN
)

// Validate tells what is wrong with the configuration, naming the field.
func (c *SessionConfig) Validate() error {
	if err := c.validatePeer(); err != nil {
		return err
	}
	if err := c.validateTransport(); err != nil {
		return err
	}
	if err := c.validateTimers(); err != nil {
		return err
	}
	switch {
	case c.LocalASN == 0:
		return fmt.Errorf("bgp: local AS: 0 is reserved (RFC 7607)")
	case c.PeerASN.kind == 0 || c.PeerASN.kind == peerASExact && c.PeerASN.asn == 0:
		return fmt.Errorf("bgp: peer AS: must be an AS other than 0, internal or external")
	case !c.RouterID.Is4() || c.RouterID.IsUnspecified():
		return fmt.Errorf("bgp: router ID: %v is not an IPv4 address other than 0.0.0.0", c.RouterID)
	case c.Families == 0 || c.Families > IPv4|IPv6:
		return fmt.Errorf("bgp: families: at least one of IPv4 and IPv6 is needed")
	case c.ExtendedNextHop && c.Families&IPv4 == 0:
		return fmt.Errorf("bgp: extended next hop: is for IPv4 routes, which the families leave out")
	case c.BFD > BFDStrict:
		return fmt.Errorf("bgp: BFD mode: %d is unknown", c.BFD)
	}
	return nil
}

func (c *SessionConfig) validatePeer() error {
	n := 0
	for _, set := range []bool{c.PeerAddress.IsValid(), c.Interface != "", c.PeerRange.IsValid()} {
		if set {
			n++
		}
	}
	switch {
	case n != 1:
		return fmt.Errorf("bgp: peer: exactly one of address, interface and range is needed")
	case c.PeerAddress.Is4In6() || c.PeerAddress.IsMulticast() || c.PeerAddress.IsValid() && c.PeerAddress.IsUnspecified():
		return fmt.Errorf("bgp: peer address: %v is not the address of a host", c.PeerAddress)
	case c.PeerAddress.Is6() && c.PeerAddress.IsLinkLocalUnicast() && c.PeerAddress.Zone() == "":
		return fmt.Errorf("bgp: peer address: %v is link-local and needs an interface (%v%%eth0)", c.PeerAddress, c.PeerAddress)
	case c.PeerRange.IsValid() && (c.Mode != ModePassive || c.PeerRange != c.PeerRange.Masked()):
		return fmt.Errorf("bgp: peer range: needs a passive session and a prefix without host bits")
	case c.Interface != "" && c.Mode != ModeActive:
		return fmt.Errorf("bgp: interface: a session with the neighbour on a link is always active")
	case c.Mode > ModeBoth:
		return fmt.Errorf("bgp: mode: %d is unknown", c.Mode)
	case c.Mode != ModeActive && (!c.Source.IsValid() || c.Source.IsUnspecified()):
		return errNoSource
	}
	return nil
}

func (c *SessionConfig) validateTransport() error {
	remote := c.PeerAddress
	if c.PeerRange.IsValid() {
		remote = c.PeerRange.Addr()
	}
	switch {
	case c.Source.Is4In6():
		return fmt.Errorf("bgp: source: %v is an IPv4 address in IPv6 form", c.Source)
	case c.Source.IsValid() && remote.IsValid() && c.Source.Is4() != remote.Is4():
		return fmt.Errorf("bgp: source: %v is not of the same family as the peer %v", c.Source, remote)
	case len(c.Password) > maxPassword:
		return fmt.Errorf("bgp: password: %d octets are more than the %d that TCP MD5 allows", len(c.Password), maxPassword)
	case c.Password != "" && c.Interface != "":
		return fmt.Errorf("bgp: password: not possible with an interface, whose neighbour's address is not known before")
	case c.TTL != 0 && c.SecurityHops != 0:
		return fmt.Errorf("bgp: TTL: TTL security sends with 255 always")
	}
	return nil
}

func (c *SessionConfig) validateTimers() error {
	gr := c.GracefulRestart
	switch {
	case c.Hold != 0 && c.Hold < minHoldTime || c.Hold > maxHoldTime || c.Hold%time.Second != 0:
		return fmt.Errorf("bgp: hold time: %v is neither 0 nor whole seconds from 3 to 65535", c.Hold)
	case c.Keepalive < 0 || c.Connect < 0 || c.SendHold < 0:
		return fmt.Errorf("bgp: timers: must not be negative")
	case gr.Enabled && (gr.RestartTime < 0 || gr.RestartTime > wire.MaxRestartTime || gr.RestartTime%time.Second != 0):
		return fmt.Errorf("bgp: restart time: %v is not whole seconds up to 4095", gr.RestartTime)
	case gr.LongLived < 0 || gr.LongLived > wire.MaxLongLivedTime || gr.LongLived%time.Second != 0:
		return fmt.Errorf("bgp: long-lived stale time: %v is not whole seconds up to 16777215", gr.LongLived)
	case !gr.Enabled && (gr.Notification || gr.LongLived != 0):
		return fmt.Errorf("bgp: graceful restart: is off, so neither notification nor long-lived stale time can be asked for")
	}
	return nil
}
