package interop

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/lintel-lb/lintel/internal/bgp"
)

// TCP MD5: the right key works, and a key that changes on both sides resets this session
// alone. A wrong key shows as a connection without an answer.
func TestFRRPassword(t *testing.T) {
	f, l := pair(t, "password first")
	us := l.speaker4(0).String()
	c := config(l.router4)
	c.Password = "wrong"
	s := startSpeaker(t, onePeer(c, routes(bgp.Attributes{}, both...)))
	s.waitFor("tor", "a timeout", func(st bgp.Status) bool { return strings.Contains(st.LastError, "no answer") })
	if st := f.state(us); st == "Established" {
		t.Fatal("FRR is established with the wrong key")
	}
	c.Password = "first"
	s.Set(bgp.Desired{Peers: onePeer(c, routes(bgp.Attributes{}, both...)).Peers, Complete: true})
	f.waitPrefixes(both...)
	f.vtysh("configure terminal", "router bgp 64501", "neighbor "+us+" password second")
	c.Password = "second"
	s.Set(bgp.Desired{Peers: onePeer(c, routes(bgp.Attributes{}, both...)).Peers, Complete: true})
	s.waitFor("tor", "the second session", func(st bgp.Status) bool {
		return st.State == bgp.StateEstablished && st.Established >= 2
	})
	f.waitPrefixes(both...)
}

// GTSM on both sides works; a speaker without it is not heard by FRR.
func TestFRRTTLSecurity(t *testing.T) {
	f, l := pair(t, "ttl-security hops 1")
	c := config(l.router4)
	s := startSpeaker(t, onePeer(c, routes(bgp.Attributes{}, both...)))
	s.waitFor("tor", "a timeout", func(st bgp.Status) bool {
		return st.LastError != "" && st.State != bgp.StateEstablished
	})
	if st := f.state(l.speaker4(0).String()); st == "Established" {
		t.Fatal("FRR is established without TTL security")
	}
	c.SecurityHops = 1
	s.Set(bgp.Desired{Peers: onePeer(c, routes(bgp.Attributes{}, both...)).Peers, Complete: true})
	f.waitPrefixes(both...)
}

// A peer two hops away, in both families, with and without GTSM.
func TestFRRMultihop(t *testing.T) {
	for _, security := range []bool{false, true} {
		t.Run(fmt.Sprintf("gtsm=%v", security), func(t *testing.T) {
			middle, far := newHost(t, "mid"), newHost(t, "frr")
			l := middle.plug(1)
			middle.run("ip", "link", "add", "far", "type", "veth", "peer", "name", "eth0", "netns", far.name)
			middle.run("ip", "addr", "add", "10.78.0.1/24", "dev", "far")
			middle.run("ip", "addr", "add", "fd78::1/64", "dev", "far", "nodad")
			middle.run("ip", "link", "set", "far", "up")
			middle.run("sysctl", "-qw", "net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1")
			far.run("ip", "addr", "add", "10.78.0.2/24", "dev", "eth0")
			far.run("ip", "addr", "add", "fd78::2/64", "dev", "eth0", "nodad")
			far.run("ip", "link", "set", "eth0", "up")
			far.run("ip", "route", "add", "default", "via", "10.78.0.1")
			far.run("ip", "-6", "route", "add", "default", "via", "fd78::1")
			run(t, "ip", "route", "replace", "10.78.0.0/24", "via", l.router4.String())
			run(t, "ip", "-6", "route", "replace", "fd78::/64", "via", l.router6.String())
			option := "ebgp-multihop 5"
			if security {
				option = "ttl-security hops 2"
			}
			f := startFRR(far, 64501, neighbor(l.speaker4(0), "64500", option)+neighbor(l.speaker6(0), "64500", option))
			c4, c6 := config(netip.MustParseAddr("10.78.0.2")), config(netip.MustParseAddr("fd78::2"))
			if security {
				c4.SecurityHops, c6.SecurityHops = 2, 2
			}
			c4.Families, c6.Families = bgp.IPv4, bgp.IPv6
			startSpeaker(t, bgp.Desired{Peers: map[string]bgp.Peer{
				"v4": {Config: c4, Routes: bgp.NewRoutes(routes(bgp.Attributes{}, both...))},
				"v6": {Config: c6, Routes: bgp.NewRoutes(routes(bgp.Attributes{}, both...))},
			}})
			f.waitPrefixes(both...)
			f.waitState(l.speaker4(0).String(), "Established")
			f.waitState(l.speaker6(0).String(), "Established")
		})
	}
}

// FRR dials and we listen; and both at once end up with one session.
func TestFRRPassive(t *testing.T) {
	for _, mode := range []bgp.Mode{bgp.ModePassive, bgp.ModeBoth} {
		t.Run(fmt.Sprint(mode), func(t *testing.T) {
			f, l := pair(t, "timers connect 1", "password key")
			c := config(l.router4)
			c.Mode, c.Source, c.Password = mode, l.speaker4(0), "key"
			s := startSpeaker(t, onePeer(c, routes(bgp.Attributes{}, both...)))
			f.waitPrefixes(both...)
			st := s.wait("tor", bgp.StateEstablished)
			if mode == bgp.ModePassive && st.Local.Port() != 179 {
				t.Errorf("local end is %v", st.Local)
			}
			out := run(t, "ss", "-Htnl")
			if !strings.Contains(out, c.Source.String()+":179") || strings.Contains(out, "*:179") || strings.Contains(out, "0.0.0.0:179") {
				t.Errorf("listening on:\n%s", out)
			}
		})
	}
}

// A range of addresses, passive: FRR is not known by address.
func TestFRRPeerRange(t *testing.T) {
	f, l := pair(t, "timers connect 1")
	c := config(netip.Addr{})
	c.PeerRange = netip.PrefixFrom(l.router4, 24).Masked()
	c.Mode, c.Source, c.PeerASN = bgp.ModePassive, l.speaker4(0), bgp.ExternalAS()
	s := startSpeaker(t, onePeer(c, routes(bgp.Attributes{}, both...)))
	f.waitPrefixes(both...)
	s.wait("tor/"+l.router4.String(), bgp.StateEstablished)
}

// A range gets a password while its port is open: FRR is out until it has the key, which the
// kernel then knows for the whole range.
func TestFRRPeerRangePassword(t *testing.T) {
	f, l := pair(t, "timers connect 1")
	c := config(netip.Addr{})
	c.PeerRange = netip.PrefixFrom(l.router4, 24).Masked()
	c.Mode, c.Source, c.PeerASN = bgp.ModePassive, l.speaker4(0), bgp.ExternalAS()
	s := startSpeaker(t, onePeer(c, routes(bgp.Attributes{}, both...)))
	name, us := "tor/"+l.router4.String(), l.speaker4(0).String()
	s.wait(name, bgp.StateEstablished)
	c.Password = "key"
	s.Set(bgp.Desired{Peers: onePeer(c, routes(bgp.Attributes{}, both...)).Peers, Complete: true})
	eventually(t, "FRR to try in vain", func() error {
		// Its SYN is dropped, so that it stays in the middle of connecting.
		if out := f.run("ss", "-Htn", "state", "syn-sent"); !strings.Contains(out, us+":179") {
			return fmt.Errorf("not connecting: %s", out)
		}
		return nil
	})
	if st := s.Snapshot()[name]; st.State > bgp.StateActive {
		t.Errorf("without the key: %v", st.State)
	}
	f.vtysh("configure terminal", "router bgp 64501", "neighbor "+us+" password key")
	s.waitFor(name, "a session with the key", func(st bgp.Status) bool {
		return st.State == bgp.StateEstablished && st.Established >= 2
	})
	f.waitPrefixes(both...)
}

// The AS of the session and the AS demanded of the peer.
func TestFRRASNumbers(t *testing.T) {
	for name, tt := range map[string]struct {
		local uint32
		peer  bgp.PeerAS
		path  string
		down  string
	}{
		"exact":              {64500, bgp.ExactAS(64501), "64500", ""},
		"external":           {64500, bgp.ExternalAS(), "64500", ""},
		"internal":           {64501, bgp.InternalAS(), "Local", ""},
		"four octets":        {4200000001, bgp.ExactAS(64501), "4200000001", ""},
		"wrong":              {64500, bgp.ExactAS(64999), "", "the peer is AS 64501, the configuration wants AS 64999"},
		"internal wanted":    {64500, bgp.InternalAS(), "", "the peer is AS 64501, the configuration wants the local AS"},
		"not what FRR wants": {64777, bgp.ExactAS(64501), "", "bad peer AS (2/2)"},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHost(t, "frr")
			l := h.plug(1)
			expected := tt.local
			if expected == 64777 {
				expected = 64500
			}
			f := startFRR(h, 64501, neighbor(l.speaker4(0), fmt.Sprint(expected)))
			c := config(l.router4)
			c.LocalASN, c.PeerASN = tt.local, tt.peer
			s := startSpeaker(t, onePeer(c, routes(bgp.Attributes{}, both...)))
			if tt.down == "" {
				f.waitPath(both[0], func(p frrPath) bool { return p.ASPath.String == tt.path })
				return
			}
			s.waitFor("tor", tt.down, func(st bgp.Status) bool { return strings.Contains(st.LastError, tt.down) })
			if st := f.state(l.speaker4(0).String()); st == "Established" {
				t.Error("FRR is established")
			}
		})
	}
}

// Hold time 0, offered by FRR or by us.
func TestFRRHoldTimeZero(t *testing.T) {
	for _, ours := range []bool{false, true} {
		t.Run(fmt.Sprintf("ours=%v", ours), func(t *testing.T) {
			option, hold := "timers 0 0", 9*time.Second
			if ours {
				option, hold = "timers 3 9", 0
			}
			f, l := pair(t, option)
			c := config(l.router4)
			c.Hold = hold
			s := startSpeaker(t, onePeer(c, routes(bgp.Attributes{}, both...)))
			f.waitPrefixes(both...)
			start := s.wait("tor", bgp.StateEstablished)
			if start.Hold != 0 || start.Keepalive != 0 {
				t.Errorf("negotiated %v, %v", start.Hold, start.Keepalive)
			}
			// Longer than the hold time that either side would have had.
			hushed := time.NewTimer(11 * time.Second)
			<-hushed.C
			st := s.Snapshot()["tor"]
			if st.State != bgp.StateEstablished || st.Established != 1 || st.Sent.Keepalives != 1 {
				t.Errorf("%v, established %d times, %d keepalives", st.State, st.Established, st.Sent.Keepalives)
			}
			f.waitState(l.speaker4(0).String(), "Established")
		})
	}
}

// RFC 8950: IPv4 routes with an IPv6 next hop over an IPv6 session.
func TestFRRExtendedNextHop(t *testing.T) {
	h := newHost(t, "frr")
	l := h.plug(1)
	f := startFRR(h, 64501, neighbor(l.speaker6(0), "64500", "capability extended-nexthop"))
	c := config(l.router6)
	c.ExtendedNextHop = true
	startSpeaker(t, onePeer(c, routes(bgp.Attributes{}, both...)))
	for _, p := range both {
		f.waitPath(p, func(path frrPath) bool { return path.Valid && path.Nexthops[0].IP == l.speaker6(0).String() })
	}
}
