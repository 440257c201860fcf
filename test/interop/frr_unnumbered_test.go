package interop

import (
	"fmt"
	"log/slog"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/lintel-lb/lintel/internal/bgp"
)

// Unnumbered: only the link is known on both sides. Both families go over link-local
// addresses, and a router that comes back with another address is found again.
func TestFRRUnnumbered(t *testing.T) {
	h := newHost(t, "frr")
	l := h.plug(0)
	f := startFRR(h, 64501, ` neighbor eth0 interface remote-as external
 address-family ipv4 unicast
  neighbor eth0 activate
 exit-address-family
 address-family ipv6 unicast
  neighbor eth0 activate
 exit-address-family
`)
	neighbors := bgp.NewLinkNeighbors(slog.New(slog.NewTextHandler(testLog{t}, nil)))
	c := config(netip.Addr{})
	c.Interface, c.ExtendedNextHop, c.PeerASN = l.device, true, bgp.ExternalAS()
	s := startSpeaker(t, onePeer(c, routes(bgp.Attributes{}, both...)), func(o *bgp.Options) { o.Neighbors = neighbors })
	f.waitPrefixes(both...)
	st := s.wait("tor", bgp.StateEstablished)
	for _, p := range both {
		f.waitPath(p, func(path frrPath) bool {
			return path.Valid && path.Nexthops[0].IP == st.Local.Addr().WithZone("").String()
		})
	}
	eventually(t, "the router's kernel", func() error {
		out := h.run("ip", "route", "show", both[0].String())
		if want := "via inet6 " + st.Local.Addr().WithZone("").String() + " dev eth0"; !strings.Contains(out, want) {
			return fmt.Errorf("%q is missing in %q", want, out)
		}
		return nil
	})
	// No host takes us for its router.
	if out := h.run("ip", "-6", "route", "show", "default"); out != "" {
		t.Errorf("default route at the router: %s", out)
	}
	before, start := st.Remote.Addr(), time.Now()
	h.run("ip", "link", "set", "eth0", "down")
	h.run("ip", "link", "set", "eth0", "address", "02:00:00:00:be:ef")
	h.run("ip", "link", "set", "eth0", "up")
	st = s.waitFor("tor", "a session with the new address", func(st bgp.Status) bool {
		return st.State == bgp.StateEstablished && st.Remote.Addr() != before
	})
	f.waitPrefixes(both...)
	t.Logf("from %v to %v within %v", before, st.Remote.Addr(), time.Since(start).Round(time.Millisecond))
	s.stop()
	neighbors.Wait()
}
