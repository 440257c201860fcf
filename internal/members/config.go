package members

import (
	"errors"
	"fmt"
	"log/slog"
	"net/netip"

	"github.com/hashicorp/memberlist"
)

// DefaultPort is the gossip port, TCP and UDP, of MetalLB's speakers and ours.
const DefaultPort = 7946

// Config says how to take part. All speakers of a cluster must agree on BindPort, WAN and Keyed.
type Config struct {
	// NodeName is the name of this node in Kubernetes and of the member.
	NodeName string
	// BindAddr is the address to listen on, usually that of the pod. 0.0.0.0 means all, and then
	// memberlist advertises a private address of the node unless AdvertiseAddr is set.
	BindAddr netip.Addr
	// BindPort is the port to listen on, TCP and UDP; 0 means DefaultPort.
	BindPort uint16
	// AdvertiseAddr is the address at which others reach this node. If it is not valid, BindAddr is.
	AdvertiseAddr netip.Addr
	// WAN chooses memberlist's profile for wide area networks instead of that for local ones.
	WAN bool
	// Tuning changes the profile.
	Tuning Tuning
	// Keyed says that gossip must be encrypted: nothing is sent or received before the first call
	// of SetKeys. Without it gossip is in plaintext.
	Keyed bool
	// Log takes the records of this package and of memberlist. nil discards them.
	Log *slog.Logger
}

// complete fills in defaults and checks.
func (c Config) complete() (Config, error) {
	if c.BindPort == 0 {
		c.BindPort = DefaultPort
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	c.BindAddr = c.BindAddr.Unmap()
	c.AdvertiseAddr = c.AdvertiseAddr.Unmap()
	switch {
	case c.NodeName == "":
		return c, errors.New("members: no node name; set the speaker's node name")
	case !c.BindAddr.IsValid() || c.BindAddr.Zone() != "":
		return c, fmt.Errorf("members: bind address %q is not an IP address without a zone", c.BindAddr)
	case c.BindAddr == netip.IPv6Unspecified() && !c.AdvertiseAddr.IsValid():
		return c, errors.New("members: bind address :: needs an advertise address; bind to the pod's address instead")
	case c.AdvertiseAddr.IsValid() && (c.AdvertiseAddr.IsUnspecified() || c.AdvertiseAddr.Zone() != ""):
		return c, fmt.Errorf("members: nobody can reach advertise address %s", c.AdvertiseAddr)
	}
	return c, nil
}

// memberlist makes the configuration that does not depend on what runs.
func (c Config) memberlist() *memberlist.Config {
	mc := memberlist.DefaultLANConfig()
	if c.WAN {
		mc = memberlist.DefaultWANConfig()
	}
	c.Tuning.apply(mc)
	mc.Name = c.NodeName
	mc.BindAddr, mc.BindPort = c.BindAddr.String(), int(c.BindPort)
	mc.AdvertisePort = int(c.BindPort)
	if c.AdvertiseAddr.IsValid() {
		mc.AdvertiseAddr = c.AdvertiseAddr.String()
	}
	return mc
}
