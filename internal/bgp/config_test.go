package bgp

import (
	"net/netip"
	"strings"
	"testing"
	"time"
)

func TestValidate(t *testing.T) {
	addr := netip.MustParseAddr
	for want, edit := range map[string]func(*SessionConfig){
		"":                   func(*SessionConfig) {},
		"exactly one":        func(c *SessionConfig) { c.PeerAddress = netip.Addr{} },
		"exactly one of":     func(c *SessionConfig) { c.Interface = "eth0" },
		"not the address":    func(c *SessionConfig) { c.PeerAddress = addr("ff02::1") },
		"of a host":          func(c *SessionConfig) { c.PeerAddress = addr("::ffff:192.0.2.1") },
		"needs an interface": func(c *SessionConfig) { c.PeerAddress = addr("fe80::1") },
		"peer range": func(c *SessionConfig) {
			c.PeerAddress, c.PeerRange = netip.Addr{}, netip.MustParsePrefix("192.0.2.0/24")
		},
		"without host bits": func(c *SessionConfig) {
			c.PeerAddress, c.PeerRange, c.Mode = netip.Addr{}, netip.MustParsePrefix("192.0.2.1/24"), ModePassive
		},
		"always active": func(c *SessionConfig) {
			c.PeerAddress, c.Interface, c.Mode = netip.Addr{}, "eth0", ModeBoth
		},
		"mode: 9":          func(c *SessionConfig) { c.Mode = 9 },
		"source: an":       func(c *SessionConfig) { c.Mode = ModePassive },
		"source: ::ffff":   func(c *SessionConfig) { c.Source = addr("::ffff:192.0.2.2") },
		"same family":      func(c *SessionConfig) { c.Source = addr("2001:db8::1") },
		"password: 81":     func(c *SessionConfig) { c.Password = Password(strings.Repeat("x", 81)) },
		"not known before": func(c *SessionConfig) { c.PeerAddress, c.Interface, c.Password = netip.Addr{}, "eth0", "x" },
		"TTL":              func(c *SessionConfig) { c.TTL, c.SecurityHops = 5, 1 },
		"hold time: 2s":    func(c *SessionConfig) { c.Hold = 2 * time.Second },
		"hold time: 3.5s":  func(c *SessionConfig) { c.Hold = 3500 * time.Millisecond },
		"hold time: 18h":   func(c *SessionConfig) { c.Hold = 65536 * time.Second },
		"hold time: -1s":   func(c *SessionConfig) { c.Hold = -time.Second },
		"negative":         func(c *SessionConfig) { c.Keepalive = -1 },
		"restart time": func(c *SessionConfig) {
			c.GracefulRestart = GracefulRestart{Enabled: true, RestartTime: 4096 * time.Second}
		},
		"stale time": func(c *SessionConfig) {
			c.GracefulRestart = GracefulRestart{Enabled: true, LongLived: 1 << 24 * time.Second}
		},
		"is off":          func(c *SessionConfig) { c.GracefulRestart = GracefulRestart{Notification: true} },
		"local AS":        func(c *SessionConfig) { c.LocalASN = 0 },
		"peer AS":         func(c *SessionConfig) { c.PeerASN = PeerAS{} },
		"AS other than 0": func(c *SessionConfig) { c.PeerASN = ExactAS(0) },
		"router ID":       func(c *SessionConfig) { c.RouterID = addr("2001:db8::1") },
		"router ID: 0":    func(c *SessionConfig) { c.RouterID = addr("0.0.0.0") },
		"families":        func(c *SessionConfig) { c.Families = 0 },
		"leave out":       func(c *SessionConfig) { c.Families, c.ExtendedNextHop = IPv6, true },
		"BFD mode":        func(c *SessionConfig) { c.BFD = 9 },
	} {
		c := testConfig()
		edit(&c)
		err := c.Validate()
		switch {
		case want == "" && err != nil:
			t.Errorf("valid configuration: %v", err)
		case want != "" && (err == nil || !strings.Contains(err.Error(), want)):
			t.Errorf("want %q, got %v", want, err)
		}
	}
}
