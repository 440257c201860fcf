package interop

import (
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/lintel-lb/lintel/internal/bgp"
)

func everything() bgp.Attributes {
	return bgp.Attributes{
		MED: bgp.Some(77), LocalPref: bgp.Some(250), Prepend: 2, LinkBandwidth: 125_000_000,
		Communities: bgp.NewCommunities([]uint32{64500<<16 | 1, 0xffffff01}, [][3]uint32{{4200000001, 2, 3}},
			[]uint64{0x0002_fbf4_00000064}), // route target 64500:100
		GracefulShutdown: true,
	}
}

// Attributes of all kinds as FRR shows them, to an external and an internal peer.
func TestFRRAttributes(t *testing.T) {
	for _, internal := range []bool{false, true} {
		t.Run(fmt.Sprintf("internal=%v", internal), func(t *testing.T) {
			h := newHost(t, "frr")
			l := h.plug(1)
			as, path, pref := uint32(64500), "64500 64500 64500", uint32(0)
			if internal {
				as, path, pref = 64501, "Local", 250
			}
			f := startFRR(h, 64501, neighbor(l.speaker4(0), fmt.Sprint(as)))
			c := config(l.router4)
			c.LocalASN = as
			startSpeaker(t, onePeer(c, routes(everything(), both...)))
			for _, p := range both {
				f.waitPath(p, func(path frrPath) bool { return path.Valid })
				got := f.paths(p)[0]
				if got.Metric != 77 || got.ASPath.String != path || internal && got.LocPrf != pref || got.Origin != "IGP" {
					t.Errorf("%v: %+v", p, got)
				}
				contains(t, "communities", got.Community.String, "64500:1", "no-export", "graceful-shutdown")
				contains(t, "large communities", got.Large.String, "4200000001:2:3")
				contains(t, "extended communities", got.Extended.String, "RT:64500:100", "LB:", "125000000")
			}
		})
	}
}

// Several of our speakers announce the same address: FRR and the router's kernel use all.
func TestFRRMultipath(t *testing.T) {
	const speakers = 3
	h := newHost(t, "frr")
	l := h.plug(speakers)
	conf := ""
	for i := range speakers {
		conf += neighbor(l.speaker4(i), fmt.Sprint(64600+i))
	}
	f := startFRR(h, 64501, conf)
	var engines []*speaker
	for i := range speakers {
		c := config(l.router4)
		c.Source, c.LocalASN = l.speaker4(i), uint32(64600+i)
		c.RouterID = netip.AddrFrom4([4]byte{10, 0, 0, byte(10 + i)})
		engines = append(engines, startSpeaker(t, onePeer(c, routes(bgp.Attributes{NextHop: l.speaker4(i)}, both[0]))))
	}
	kernel := func(want int) {
		t.Helper()
		eventually(t, "the router's kernel", func() error {
			out := h.run("ip", "route", "show", both[0].String())
			n := strings.Count(out, "nexthop via")
			if want == 1 {
				n = strings.Count(out, " via ")
			}
			if n != want {
				return fmt.Errorf("want %d next hops, routes are %q", want, out)
			}
			return nil
		})
	}
	kernel(3)
	paths := f.paths(both[0])
	if n := len(slices.DeleteFunc(paths, func(p frrPath) bool { return !p.Multipath })); n != 3 {
		t.Errorf("%d paths are multipath", n)
	}
	engines[0].Set(bgp.Desired{Peers: map[string]bgp.Peer{"tor": {Config: engines[0].desired.Peers["tor"].Config}}, Complete: true})
	kernel(2)
}

// Routes that come, change and go without a reset, and FRR's refresh.
func TestFRRChangesAndRefresh(t *testing.T) {
	f, l := pair(t)
	us := l.speaker4(0).String()
	c := config(l.router4)
	s := startSpeaker(t, onePeer(c, nil))
	s.wait("tor", bgp.StateEstablished)
	set := func(r map[netip.Prefix]bgp.Attributes) {
		s.Set(bgp.Desired{Peers: onePeer(c, r).Peers, Complete: true})
	}
	all := append(hosts(300, false), hosts(300, true)...)
	set(routes(bgp.Attributes{}, all...))
	f.waitPrefixes(all...)
	set(routes(bgp.Attributes{MED: bgp.Some(9)}, all...))
	f.waitPath(all[0], func(p frrPath) bool { return p.Metric == 9 })
	set(routes(bgp.Attributes{}, all[10:20]...))
	f.waitPrefixes(all[10:20]...)

	f.vtysh("configure terminal", "route-map none deny 10", "exit", "router bgp 64501",
		"address-family ipv4 unicast", "neighbor "+us+" route-map none in")
	f.waitPrefixes()
	f.vtysh("configure terminal", "router bgp 64501", "address-family ipv4 unicast", "no neighbor "+us+" route-map none in")
	f.waitPrefixes(all[10:20]...)
	st := s.Snapshot()["tor"]
	if st.Established != 1 || st.Received.RouteRefreshes == 0 {
		t.Errorf("established %d times, %d refreshes", st.Established, st.Received.RouteRefreshes)
	}
}

// A restart of the speaker, silent: FRR as the helper keeps the routes as stale, and the
// new session refreshes them. Without graceful restart they go at once.
func TestFRRGracefulRestart(t *testing.T) {
	for _, on := range []bool{true, false} {
		t.Run(fmt.Sprintf("on=%v", on), func(t *testing.T) {
			f, l := pair(t)
			c := config(l.router4)
			c.GracefulRestart = bgp.GracefulRestart{Enabled: on}
			if on {
				c.GracefulRestart.RestartTime = 20 * time.Second
			}
			first := startSpeaker(t, onePeer(c, routes(bgp.Attributes{}, both...)))
			f.waitPrefixes(both...)
			first.waitFor("tor", "End-of-RIB", func(st bgp.Status) bool { return st.EndOfRIB })
			first.stop()
			if !on {
				f.waitPrefixes()
				return
			}
			f.waitPath(both[0], func(p frrPath) bool { return p.Stale })
			f.waitPath(both[1], func(p frrPath) bool { return p.Stale })
			// The second process wants one route less.
			second := startSpeaker(t, onePeer(c, routes(bgp.Attributes{}, both[0])))
			f.waitPath(both[0], func(p frrPath) bool { return !p.Stale && p.Valid })
			f.waitPrefixes(both[0])
			second.waitFor("tor", "End-of-RIB", func(st bgp.Status) bool { return st.EndOfRIB })
			out := f.vtysh("show bgp ipv4 neighbors " + l.speaker4(0).String() + " graceful-restart")
			contains(t, "FRR", out, "R bit: True", "F bit: True", "End-of-RIB received: Yes", "Received Restart Time(sec): 20")
		})
	}
}

// Drain as FRR sees it: the community, the withdrawal, and the text.
func TestFRRDrain(t *testing.T) {
	f, l := pair(t)
	us := l.speaker4(0).String()
	s := startSpeaker(t, onePeer(config(l.router4), routes(bgp.Attributes{}, both...)))
	f.waitPrefixes(both...)
	ended := make(chan error, 1)
	go func() {
		ended <- s.Shutdown(t.Context(), bgp.Ending{End: bgp.EndDrain, Wait: 3 * time.Second, Text: "node n1 is drained"})
	}()
	f.waitPath(both[0], func(p frrPath) bool { return strings.Contains(p.Community.String, "graceful-shutdown") })
	f.waitPrefixes()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	eventually(t, "FRR's neighbor", func() error {
		n := f.neighbor(us)
		if r := fmt.Sprint(n["lastNotificationReason"]); r != "Cease/Administrative Shutdown" {
			return fmt.Errorf("last notification %q", r)
		}
		if d := fmt.Sprint(n["lastShutdownDescription"]); d != "node n1 is drained" {
			return fmt.Errorf("text %q", d)
		}
		return nil
	})
}

// upBFD is a BFD whose one session the test moves.
type upBFD chan bgp.BFDState

func (b upBFD) Watch(string) (<-chan bgp.BFDState, func()) { return b, func() {} }

func TestFRRBFDDown(t *testing.T) {
	f, l := pair(t)
	states := make(upBFD)
	c := config(l.router4)
	c.BFD = bgp.BFDStrict
	s := startSpeaker(t, onePeer(c, routes(bgp.Attributes{}, both...)), func(o *bgp.Options) { o.BFD = states })
	if st := f.state(l.speaker4(0).String()); st == "Established" {
		t.Fatal("established before BFD is up")
	}
	states <- bgp.BFDUp
	f.waitPrefixes(both...)
	s.wait("tor", bgp.StateEstablished)
	states <- bgp.BFDDown
	f.waitPrefixes()
	// FRR 8.4 does not know the subcode by name and shows the numbers: 06 is Cease, 0A is BFD Down.
	eventually(t, "FRR's neighbor", func() error {
		if c := fmt.Sprint(f.neighbor(l.speaker4(0).String())["lastErrorCodeSubcode"]); c != "060A" {
			return fmt.Errorf("last error %q", c)
		}
		return nil
	})
}

// bgpd is killed and comes back: the session does too, with everything.
func TestFRRKilled(t *testing.T) {
	f, l := pair(t)
	s := startSpeaker(t, onePeer(config(l.router4), routes(bgp.Attributes{}, both...)))
	f.waitPrefixes(both...)
	if err := f.bgpd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	s.waitFor("tor", "the loss", func(st bgp.Status) bool { return st.State != bgp.StateEstablished })
	f.startBGPd()
	f.waitPrefixes(both...)
}

// The connection is reset within an UPDATE, in either direction, by something in between.
func TestFRRResetWithinMessage(t *testing.T) {
	f, l := pair(t)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	// The first connection is cut 3000 octets into what we send: within the second UPDATE.
	go func() {
		for first := true; ; first = false {
			near, err := ln.Accept()
			if err != nil {
				return
			}
			d := net.Dialer{LocalAddr: &net.TCPAddr{IP: l.speaker4(0).AsSlice()}}
			far, err := d.Dial("tcp", netip.AddrPortFrom(l.router4, 179).String())
			if err != nil {
				near.Close()
				continue
			}
			limit := int64(1 << 40)
			if first {
				limit = 3000
			}
			go relay(near, far, 1<<40)
			go relay(far, near, limit)
		}
	}()
	c := config(netip.MustParseAddr("127.0.0.1"))
	c.Port = netip.MustParseAddrPort(ln.Addr().String()).Port()
	c.Families = bgp.IPv4
	all := hosts(2000, false)
	s := startSpeaker(t, onePeer(c, routes(bgp.Attributes{NextHop: l.speaker4(0)}, all...)))
	f.waitPrefixes(all...)
	if st := s.Snapshot()["tor"]; st.Established != 2 || !strings.Contains(st.LastError, "connection lost") {
		t.Errorf("established %d times, last error %q", st.Established, st.LastError)
	}
}

// relay copies up to limit octets and then resets both connections.
func relay(to, from net.Conn, limit int64) {
	buf := make([]byte, 1000)
	for limit > 0 {
		n, err := from.Read(buf[:min(limit, int64(len(buf)))])
		if n > 0 {
			_, _ = to.Write(buf[:n])
		}
		if limit -= int64(n); err != nil {
			break
		}
	}
	for _, c := range []net.Conn{to, from} {
		_ = c.(*net.TCPConn).SetLinger(0)
		c.Close()
	}
}

// RFC 8538: FRR sees the N bit, and the end is a hard reset, after which nothing stays.
func TestFRRNotificationBit(t *testing.T) {
	h := newHost(t, "frr")
	l := h.plug(1)
	us := l.speaker4(0).String()
	f := startFRR(h, 64501, " bgp graceful-restart notification\n"+neighbor(us, "64500"))
	c := config(l.router4)
	c.GracefulRestart = bgp.GracefulRestart{Enabled: true, RestartTime: 20 * time.Second, Notification: true}
	s := startSpeaker(t, onePeer(c, routes(bgp.Attributes{}, both...)))
	f.waitPrefixes(both...)
	contains(t, "FRR", f.vtysh("show bgp ipv4 neighbors "+us+" graceful-restart"), "N bit: True")
	if err := s.Shutdown(t.Context(), bgp.Ending{End: bgp.EndUninstall}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "FRR's neighbor", func() error {
		n := f.neighbor(us)
		if n["lastNotificationHardReset"] != true || n["lastNotificationReason"] != "Cease/Administrative Shutdown" {
			return fmt.Errorf("hard reset %v, %v", n["lastNotificationHardReset"], n["lastNotificationReason"])
		}
		return nil
	})
	f.waitPrefixes()
}
