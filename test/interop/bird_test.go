package interop

import (
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/lintel-lb/lintel/internal/bgp"
)

// bird is BIRD in a host.
type bird struct {
	*host
	socket string
	conf   string
}

// startBIRD starts BIRD with protocols of the given text.
func startBIRD(h *host, protocols string) *bird {
	h.t.Helper()
	dir, err := os.MkdirTemp("", "bgp-interop-bird") // sockets have short paths
	if err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(func() { os.RemoveAll(dir) })
	b := &bird{host: h, socket: filepath.Join(dir, "ctl"), conf: filepath.Join(dir, "conf")}
	b.write(protocols)
	h.start("bird", "-f", "-c", b.conf, "-s", b.socket, "-P", filepath.Join(dir, "pid"))
	eventually(h.t, "BIRD", func() error {
		_, err := b.try("show status")
		return err
	})
	return b
}

func (b *bird) write(protocols string) {
	b.t.Helper()
	text := `router id 10.255.255.254;
protocol device { scan time 1; }
protocol direct { ipv4; ipv6; }
protocol kernel k4 { ipv4 { export all; }; merge paths on; }
protocol kernel k6 { ipv6 { export all; }; merge paths on; }
` + protocols
	if err := os.WriteFile(b.conf, []byte(text), 0o600); err != nil {
		b.t.Fatal(err)
	}
}

func (b *bird) try(args ...string) (string, error) {
	out, err := exec.Command("birdc", append([]string{"-s", b.socket}, args...)...).CombinedOutput()
	// An empty table is reported as a failure of the command.
	if err != nil && !strings.Contains(string(out), "Network not found") {
		return "", fmt.Errorf("birdc: %v: %s", err, out)
	}
	return string(out), nil
}

func (b *bird) ctl(command string) string {
	b.t.Helper()
	out, err := b.try(strings.Fields(command)...)
	if err != nil {
		b.t.Fatal(err)
	}
	return out
}

// birdPeer is a BGP protocol for one neighbour; both families, fast timers.
func birdPeer(name string, us, router netip.Addr, as uint32, more string) string {
	return fmt.Sprintf(`protocol bgp %s {
 local %v as 64501; neighbor %v as %d; hold time 9; connect retry time 1; error wait time 1, 5; connect delay time 1;
 ipv4 { import all; export none; import table on; }; ipv6 { import all; export none; import table on; };
 %s
}
`, name, router, us, as, more)
}

func (b *bird) waitRoute(p netip.Prefix, parts ...string) {
	b.t.Helper()
	eventually(b.t, "BIRD's route to "+p.String(), func() error {
		out := b.ctl("show route " + p.String() + " all")
		for _, part := range parts {
			if !strings.Contains(out, part) {
				return fmt.Errorf("%q is missing in:\n%s", part, out)
			}
		}
		return nil
	})
}

func (b *bird) waitGone(p netip.Prefix) {
	b.t.Helper()
	eventually(b.t, "BIRD's route to "+p.String(), func() error {
		if out := b.ctl("show route " + p.String()); strings.Contains(out, "unicast") {
			return fmt.Errorf("still there:\n%s", out)
		}
		return nil
	})
}

func TestBIRDBothTransportsBothFamilies(t *testing.T) {
	for _, v6 := range []bool{false, true} {
		t.Run(fmt.Sprintf("v6=%v", v6), func(t *testing.T) {
			h := newHost(t, "bird")
			l := h.plug(1)
			us, router := l.speaker4(0), l.router4
			if v6 {
				us, router = l.speaker6(0), l.router6
			}
			b := startBIRD(h, birdPeer("node", us, router, 64500, ""))
			startSpeaker(t, onePeer(config(router), routes(everything(), both...)))
			for i, hop := range []netip.Addr{l.speaker4(0), l.speaker6(0)} {
				b.waitRoute(both[i], "via "+hop.String(), "BGP.as_path: 64500 64500 64500", "BGP.med: 77", "(64500,1)", "(65535,65281)",
					"(65535,0)", "(4200000001, 2, 3)", "(rt, 64500, 100)", "(unknown 0x4004, 64500, 1290693416)")
			}
		})
	}
}

func TestBIRDInternal(t *testing.T) {
	h := newHost(t, "bird")
	l := h.plug(1)
	b := startBIRD(h, birdPeer("node", l.speaker4(0), l.router4, 64501, ""))
	c := config(l.router4)
	c.LocalASN, c.PeerASN = 64501, bgp.InternalAS()
	startSpeaker(t, onePeer(c, routes(everything(), both...)))
	b.waitRoute(both[0], "BGP.local_pref: 250", "BGP.as_path: \n")
}

func TestBIRDPassword(t *testing.T) {
	h := newHost(t, "bird")
	l := h.plug(1)
	b := startBIRD(h, birdPeer("node", l.speaker4(0), l.router4, 64500, `password "key"; passive on;`))
	c := config(l.router4)
	c.Password = "wrong"
	s := startSpeaker(t, onePeer(c, routes(bgp.Attributes{}, both...)))
	s.waitFor("tor", "a timeout", func(st bgp.Status) bool { return strings.Contains(st.LastError, "no answer") })
	c.Password = "key"
	s.Set(bgp.Desired{Peers: onePeer(c, routes(bgp.Attributes{}, both...)).Peers, Complete: true})
	b.waitRoute(both[0], "via")
}

func TestBIRDTTLSecurityAndPassive(t *testing.T) {
	h := newHost(t, "bird")
	l := h.plug(1)
	b := startBIRD(h, birdPeer("node", l.speaker4(0), l.router4, 64500, `ttl security on; password "key";`))
	c := config(l.router4)
	c.SecurityHops, c.Mode, c.Source, c.Password = 1, bgp.ModePassive, l.speaker4(0), "key"
	startSpeaker(t, onePeer(c, routes(bgp.Attributes{}, both...)))
	b.waitRoute(both[0], "via")
	b.waitRoute(both[1], "via")
}

func TestBIRDMultihop(t *testing.T) {
	middle, far := newHost(t, "mid"), newHost(t, "bird")
	l := middle.plug(1)
	middle.run("ip", "link", "add", "far", "type", "veth", "peer", "name", "eth0", "netns", far.name)
	middle.run("ip", "addr", "add", "10.79.0.1/24", "dev", "far")
	middle.run("ip", "link", "set", "far", "up")
	middle.run("sysctl", "-qw", "net.ipv4.ip_forward=1")
	far.run("ip", "addr", "add", "10.79.0.2/24", "dev", "eth0")
	far.run("ip", "link", "set", "eth0", "up")
	far.run("ip", "route", "add", "10.77.0.0/16", "via", "10.79.0.1")
	run(t, "ip", "route", "replace", "10.79.0.0/24", "via", l.router4.String())
	router := netip.MustParseAddr("10.79.0.2")
	b := startBIRD(far, birdPeer("node", l.speaker4(0), router, 64500, "multihop 5;")+
		"protocol static { ipv4; route 10.77.0.0/16 via 10.79.0.1; }\n")
	c := config(router)
	startSpeaker(t, onePeer(c, routes(bgp.Attributes{}, both[0])))
	b.waitRoute(both[0], "BGP.next_hop: "+l.speaker4(0).String())
}

func TestBIRDMultipath(t *testing.T) {
	const speakers = 3
	h := newHost(t, "bird")
	l := h.plug(speakers)
	conf := ""
	for i := range speakers {
		conf += birdPeer(fmt.Sprintf("node%d", i), l.speaker4(i), l.router4, 64500, "")
	}
	startBIRD(h, conf)
	for i := range speakers {
		c := config(l.router4)
		c.Source, c.RouterID = l.speaker4(i), netip.AddrFrom4([4]byte{10, 0, 0, byte(10 + i)})
		startSpeaker(t, onePeer(c, routes(bgp.Attributes{}, both[0])))
	}
	eventually(t, "the router's kernel", func() error {
		out := h.run("ip", "route", "show", both[0].String())
		if n := strings.Count(out, "nexthop via"); n != speakers {
			return fmt.Errorf("%d next hops in %q", n, out)
		}
		return nil
	})
}

func TestBIRDHoldTimeZero(t *testing.T) {
	h := newHost(t, "bird")
	l := h.plug(1)
	b := startBIRD(h, birdPeer("node", l.speaker4(0), l.router4, 64500, ""))
	c := config(l.router4)
	c.Hold = 0
	s := startSpeaker(t, onePeer(c, routes(bgp.Attributes{}, both...)))
	b.waitRoute(both[0], "via")
	hushed := time.NewTimer(11 * time.Second)
	<-hushed.C
	if st := s.Snapshot()["tor"]; st.State != bgp.StateEstablished || st.Established != 1 || st.Hold != 0 {
		t.Errorf("%v, established %d times, hold %v", st.State, st.Established, st.Hold)
	}
	b.waitRoute(both[0], "via")
}

func TestBIRDRefreshAndChanges(t *testing.T) {
	h := newHost(t, "bird")
	l := h.plug(1)
	// Without an import table "reload in" asks for a refresh.
	peer := strings.ReplaceAll(birdPeer("node", l.speaker4(0), l.router4, 64500, ""), "import table on; ", "")
	b := startBIRD(h, peer)
	c := config(l.router4)
	s := startSpeaker(t, onePeer(c, routes(bgp.Attributes{}, both...)))
	b.waitRoute(both[0], "via")
	st := s.waitFor("tor", "End-of-RIB", func(st bgp.Status) bool { return st.EndOfRIB })
	b.ctl("reload in node")
	eventually(t, "the refresh", func() error {
		now := s.Snapshot()["tor"]
		if now.Received.RouteRefreshes < 2 || now.Sent.Updates < st.Sent.Updates+2 {
			return fmt.Errorf("%d refreshes, %d updates", now.Received.RouteRefreshes, now.Sent.Updates-st.Sent.Updates)
		}
		return nil
	})
	s.Set(bgp.Desired{Peers: onePeer(c, routes(bgp.Attributes{MED: bgp.Some(5)}, both[0])).Peers, Complete: true})
	b.waitRoute(both[0], "BGP.med: 5")
	b.waitGone(both[1])
	if st := s.Snapshot()["tor"]; st.Established != 1 {
		t.Errorf("established %d times", st.Established)
	}
}

// BIRD as the helper, for a silent restart, long-lived restart, and a NOTIFICATION.
func TestBIRDGracefulRestart(t *testing.T) {
	h := newHost(t, "bird")
	l := h.plug(1)
	b := startBIRD(h, birdPeer("node", l.speaker4(0), l.router4, 64500, "graceful restart aware; long lived graceful restart aware;"))
	c := config(l.router4)
	c.GracefulRestart = bgp.GracefulRestart{Enabled: true, RestartTime: 3 * time.Second, LongLived: 40 * time.Second}
	first := startSpeaker(t, onePeer(c, routes(bgp.Attributes{}, both...)))
	b.waitRoute(both[0], "via")
	first.waitFor("tor", "End-of-RIB", func(st bgp.Status) bool { return st.EndOfRIB && st.GracefulPeer })
	contains(t, "BIRD", b.ctl("show protocols all node"), "Restart time: 3", "AF preserved: ipv4 ipv6", "LL stale time: 40")
	first.stop()
	// After the restart time the routes are long-lived stale ones, which says a community.
	b.waitRoute(both[0], "(65535,6)")
	second := startSpeaker(t, onePeer(c, routes(bgp.Attributes{MED: bgp.Some(8)}, both[0])))
	b.waitRoute(both[0], "BGP.med: 8")
	b.waitGone(both[1])
	second.waitFor("tor", "End-of-RIB", func(st bgp.Status) bool { return st.EndOfRIB })
}

func TestBIRDDrain(t *testing.T) {
	h := newHost(t, "bird")
	l := h.plug(1)
	b := startBIRD(h, birdPeer("node", l.speaker4(0), l.router4, 64500, "error wait time 60, 60;"))
	s := startSpeaker(t, onePeer(config(l.router4), routes(bgp.Attributes{}, both...)))
	b.waitRoute(both[0], "via")
	ended := make(chan error, 1)
	go func() {
		ended <- s.Shutdown(t.Context(), bgp.Ending{End: bgp.EndDrain, Wait: 2 * time.Second, Text: "drained"})
	}()
	b.waitRoute(both[0], "(65535,0)")
	b.waitGone(both[0])
	if err := <-ended; err != nil {
		t.Error(err)
	}
	eventually(t, "BIRD's last error", func() error {
		if out := b.ctl("show protocols all node"); !strings.Contains(out, "Received: Administrative shutdown") {
			return fmt.Errorf("%s", out)
		}
		return nil
	})
}

func TestBIRDRefusesOpen(t *testing.T) {
	h := newHost(t, "bird")
	l := h.plug(1)
	startBIRD(h, birdPeer("node", l.speaker4(0), l.router4, 64999, "passive on;"))
	s := startSpeaker(t, onePeer(config(l.router4), nil))
	s.waitFor("tor", "bad peer AS", func(st bgp.Status) bool { return strings.Contains(st.LastError, "bad peer AS (2/2)") })
}
