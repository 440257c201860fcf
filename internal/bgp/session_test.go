package bgp

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lintel-lb/lintel/internal/bgp/wire"
)

var vip = netip.MustParsePrefix("198.51.100.1/32")

func oneRoute(a Attributes) map[netip.Prefix]Attributes { return map[netip.Prefix]Attributes{vip: a} }

// Routes that change, whatever they do, never touch the session.
func TestRouteChangesNeverResetTheSession(t *testing.T) {
	const changes = 10_000
	bubble(t, nil, func(t *testing.T, r *rig) {
		r.Set(onePeer(testConfig(), nil))
		p := r.up(peerOpen())
		p.expectEndOfRIB()
		mail := p.collect()
		all := prefixList(1000)
		for i := range changes {
			routes := make(map[netip.Prefix]Attributes, 10)
			for k := range 10 {
				routes[all[(i*7+k)%1000]] = Attributes{MED: Some(uint32(i))}
			}
			r.Set(onePeer(testConfig(), routes))
			if i%100 == 0 {
				synctest.Wait()
			}
		}
		st := r.wantState(StateEstablished)
		if st.Established != 1 || len(st.Routes) != 10 || st.Pending != 0 {
			t.Errorf("established %d times, %d routes, %d pending", st.Established, len(st.Routes), st.Pending)
		}
		if n, _ := mail.count(wire.TypeNotification); n != 0 || mail.ended() {
			t.Errorf("%d NOTIFICATIONs, ended %v", n, mail.ended())
		}
	})
}

// Only the session whose own configuration changed is reset.
func TestConfigChangeResetsOneSession(t *testing.T) {
	bubble(t, nil, func(t *testing.T, r *rig) {
		a, b := testConfig(), testConfig()
		b.PeerAddress = netip.MustParseAddr("192.0.2.2")
		set := func() {
			r.Set(Desired{Complete: true, Peers: map[string]Peer{
				"a": {Config: a, Routes: NewRoutes(oneRoute(Attributes{}))}, "b": {Config: b, Routes: NewRoutes(oneRoute(Attributes{}))},
			}})
		}
		set()
		mails := map[netip.Addr]*mailbag{}
		for range 2 {
			p := r.up(peerOpen())
			mails[endpoint(p.c.LocalAddr()).Addr()] = p.collect()
		}
		synctest.Wait()
		a.Password = "changed"
		set()
		synctest.Wait()
		p := r.up(peerOpen())
		p.collect()
		synctest.Wait()
		if o := r.net.options[len(r.net.options)-1]; o.Password != "changed" {
			t.Errorf("dialled with password %q", string(o.Password))
		}
		if n, _ := mails[a.PeerAddress].count(wire.TypeNotification); n != 1 || !mails[a.PeerAddress].ended() {
			t.Errorf("%d NOTIFICATIONs in the session that changed", n)
		}
		if mails[b.PeerAddress].ended() {
			t.Error("the other session was reset")
		}
		for name, want := range map[string]uint64{"a": 2, "b": 1} {
			if st := r.Snapshot()[name]; st.State != StateEstablished || st.Established != want || len(st.Routes) != 1 {
				t.Errorf("%s: %v, established %d times, %d routes", name, st.State, st.Established, len(st.Routes))
			}
		}
	})
}

// RFC 4724: the R bit is set until the first End-of-RIB of the process, F always; and
// End-of-RIB waits for the first complete set, but routes do not.
func TestRestartingSpeaker(t *testing.T) {
	bubble(t, nil, func(t *testing.T, r *rig) {
		c := testConfig()
		c.GracefulRestart = GracefulRestart{Enabled: true, RestartTime: 30 * time.Second, LongLived: time.Hour}
		d := onePeer(c, oneRoute(Attributes{}))
		d.Complete = false
		r.Set(d)
		p := r.accept()
		want := wire.GracefulRestart{Present: true, Restarting: true, Time: 30 * time.Second, Families: []wire.RestartFamily{
			{Family: wire.IPv4Unicast, Forwarding: true}, {Family: wire.IPv6Unicast, Forwarding: true},
		}}
		caps := p.handshake(peerOpen()).Capabilities
		if got := caps.GracefulRestart; got.Restarting != true || got.Time != want.Time || !slices.Equal(got.Families, want.Families) {
			t.Errorf("capability %+v", got)
		}
		if len(caps.LongLived) != 2 || caps.LongLived[0].StaleTime != time.Hour {
			t.Errorf("long-lived %+v", caps.LongLived)
		}
		if u := p.expectUpdate(); !slices.Equal(u.Announced, []netip.Prefix{vip}) {
			t.Fatalf("first update %+v", u)
		}
		mail := p.collect()
		time.Sleep(20 * time.Second)
		synctest.Wait()
		if n, _ := mail.count(wire.TypeUpdate); n != 0 || r.status().EndOfRIB {
			t.Fatalf("%d updates before the set is complete", n)
		}
		// Lost before End-of-RIB: still restarting.
		p.c.Close()
		p = r.accept()
		if !p.handshake(peerOpen()).Capabilities.GracefulRestart.Restarting {
			t.Error("R bit is clear before End-of-RIB")
		}
		d.Complete = true
		r.Set(d)
		p.expectEndOfRIB()
		if st := r.wantState(StateEstablished); !st.EndOfRIB || !st.GracefulPeer {
			t.Errorf("status %+v", st)
		}
	})
}

func TestRestartBitIsClearedAfterEndOfRIB(t *testing.T) {
	bubble(t, nil, func(t *testing.T, r *rig) {
		c := testConfig()
		c.GracefulRestart = GracefulRestart{Enabled: true, RestartTime: 30 * time.Second}
		r.Set(onePeer(c, nil))
		p := r.up(peerOpen())
		p.expectEndOfRIB()
		synctest.Wait()
		p.c.Close()
		got := r.accept().handshake(peerOpen()).Capabilities.GracefulRestart
		if got.Restarting || !got.Families[0].Forwarding {
			t.Errorf("capability %+v, want R clear and F set", got)
		}
	})
}

func TestRouteRefresh(t *testing.T) {
	bubble(t, nil, func(t *testing.T, r *rig) {
		v6 := netip.MustParsePrefix("2001:db8::1/128")
		r.Set(onePeer(testConfig(), map[netip.Prefix]Attributes{vip: {}, v6: {}}))
		p := r.up(peerOpen())
		p.expectEndOfRIB()
		p.send(wire.RouteRefresh{Family: wire.IPv6Unicast}.Append(nil))
		if u := p.expectUpdate(); !slices.Equal(u.Announced, []netip.Prefix{v6}) {
			t.Errorf("refresh of IPv6 gives %+v", u)
		}
		// The markers of RFC 7313, an unknown family and route filters behind the request
		// are no reason for anything.
		for _, refresh := range []wire.RouteRefresh{
			{Family: wire.IPv4Unicast, Subtype: wire.RefreshBegin}, {Family: wire.IPv4Unicast, Subtype: wire.RefreshEnd},
			{Family: wire.IPv4Unicast, Subtype: 200}, {Family: wire.NewFamily(25, 70)},
		} {
			p.send(refresh.Append(nil))
		}
		long := append(wire.RouteRefresh{Family: wire.IPv4Unicast}.Append(nil), 1, 2, 0, 0)
		long[17] += 4
		p.send(long)
		if u := p.expectUpdate(); !slices.Equal(u.Announced, []netip.Prefix{vip}) {
			t.Errorf("refresh of IPv4 gives %+v", u)
		}
		r.wantState(StateEstablished)
	})
}

func TestBFDDown(t *testing.T) {
	for _, mode := range []BFDMode{BFDOn, BFDStrict} {
		var states chan BFDState
		bubble(t, func(o *Options) {
			states = make(chan BFDState)
			o.BFD = fakeBFD{states}
		}, func(t *testing.T, r *rig) {
			c := testConfig()
			c.BFD = mode
			r.Set(onePeer(c, oneRoute(Attributes{})))
			if mode == BFDStrict {
				if st := r.wantState(StateIdle); !strings.Contains(st.LastError, "waits for the BFD session") {
					t.Errorf("last error %q", st.LastError)
				}
			}
			states <- BFDDown // at first: no reason for anything
			states <- BFDUp
			p := r.up(peerOpen())
			p.expectEndOfRIB()
			states <- BFDAdminDown // RFC 5882, section 3.2
			if st := r.wantState(StateEstablished); st.BFD != BFDAdminDown {
				t.Errorf("BFD %v", st.BFD)
			}
			states <- BFDUp
			states <- BFDDown
			p.expectNotification(wire.CodeCease, wire.CeaseBFDDown)
			time.Sleep(10 * time.Second)
			synctest.Wait()
			if st := r.status(); mode == BFDStrict && st.State != StateIdle || mode == BFDOn && st.State != StateOpenSent {
				t.Errorf("mode %d: state %v ten seconds later", mode, st.State)
			}
			if mode == BFDStrict {
				states <- BFDUp
				r.up(peerOpen()).expectEndOfRIB()
			}
		})
	}
}

// RFC 6793: towards a peer with two-octet numbers.
func TestTwoOctetPeer(t *testing.T) {
	bubble(t, nil, func(t *testing.T, r *rig) {
		c := testConfig()
		c.LocalASN = 4200000001
		r.Set(onePeer(c, oneRoute(Attributes{Prepend: 2})))
		o := peerOpen()
		o.Capabilities.FourOctetAS = 0
		p := r.accept()
		ours := p.handshake(o)
		if ours.ASN != 4200000001 {
			t.Errorf("OPEN has AS %d", ours.ASN)
		}
		body := p.expect(wire.TypeUpdate)
		if !strings.Contains(string(body), "\x02\x03\x5b\xa0\x5b\xa0\x5b\xa0") {
			t.Errorf("AS_PATH is not three times AS_TRANS in % x", body)
		}
		if !strings.Contains(string(body), "\xc0\x11\x0e\x02\x03\xfa\x56\xea\x01\xfa\x56\xea\x01\xfa\x56\xea\x01") {
			t.Errorf("no AS4_PATH in % x", body)
		}
	})
}

func TestUnknownCapabilityIsIgnored(t *testing.T) {
	bubble(t, nil, func(t *testing.T, r *rig) {
		r.Set(onePeer(testConfig(), nil))
		p := r.accept()
		p.expect(wire.TypeOpen)
		o := peerOpen()
		b := o.Append(nil)
		b = append(b, 2, 5, 222, 3, 1, 2, 3) // another parameter with an unknown capability
		b[28] += 7
		b[17] += 7
		p.send(b)
		p.expect(wire.TypeKeepalive)
		p.sendKeepalive()
		p.expectEndOfRIB()
		if st := r.wantState(StateEstablished); !slices.Equal(st.Capabilities.Unknown, []uint8{222}) {
			t.Errorf("capabilities %+v", st.Capabilities)
		}
	})
}

func TestInvalidConfigTouchesNoOther(t *testing.T) {
	bubble(t, nil, func(t *testing.T, r *rig) {
		bad := testConfig()
		bad.RouterID = netip.MustParseAddr("2001:db8::1")
		d := onePeer(testConfig(), nil)
		d.Peers["bad"] = Peer{Config: bad}
		r.Set(d)
		r.up(peerOpen()).expectEndOfRIB()
		r.wantState(StateEstablished)
		if st := r.Snapshot()["bad"]; st.State != StateIdle || !strings.Contains(st.LastError, "router ID") {
			t.Errorf("bad peer: %v, %q", st.State, st.LastError)
		}
	})
}

// What cannot be announced is named with its reason and harms nothing else.
func TestWithheldRoutes(t *testing.T) {
	bubble(t, nil, func(t *testing.T, r *rig) {
		many := make([]uint32, 2000)
		for i := range many {
			many[i] = uint32(i)
		}
		want := map[netip.Prefix]Withheld{
			netip.MustParsePrefix("2001:db8::1/128"):   FamilyNotNegotiated,
			netip.MustParsePrefix("198.51.100.9/24"):   InvalidPrefix,
			netip.MustParsePrefix("198.51.100.2/32"):   AttributesTooLarge,
			netip.MustParsePrefix("198.51.100.3/32"):   NoNextHop,
			netip.PrefixFrom(vip.Addr(), 99):           InvalidPrefix,
			netip.MustParsePrefix("::ffff:1.2.3.4/96"): InvalidPrefix,
		}
		routes := map[netip.Prefix]Attributes{vip: {}}
		for p, w := range want {
			var a Attributes
			switch w {
			case AttributesTooLarge:
				a.Communities = NewCommunities(many, nil, nil)
			case NoNextHop:
				a.NextHop = ourAddr6 // without extended next hop
			}
			routes[p] = a
		}
		r.Set(onePeer(testConfig(), routes))
		o := peerOpen()
		o.Capabilities.Families = nil // IPv4 only
		p := r.up(o)
		if u := p.expectUpdate(); !slices.Equal(u.Announced, []netip.Prefix{vip}) {
			t.Errorf("announced %v", u.Announced)
		}
		st := r.wantState(StateEstablished)
		if len(st.Withheld) != len(want) {
			t.Errorf("withheld %v", st.Withheld)
		}
		for p, w := range want {
			if st.Withheld[p] != w {
				t.Errorf("%v: %v, want %v", p, st.Withheld[p], w)
			}
		}
	})
}

// An interface that gets an address of the other family after the session came up, as by router
// advertisements at boot, makes a next hop for the routes that wait for one.
func TestNextHopComesLate(t *testing.T) {
	bubble(t, nil, func(t *testing.T, r *rig) {
		r.net.lacks6 = true
		vip6 := netip.MustParsePrefix("2001:db8:9::1/128")
		routes := map[netip.Prefix]Attributes{vip6: {}}
		r.Set(onePeer(testConfig(), routes))
		p := r.up(peerOpen())
		p.expectEndOfRIB()
		if st := r.wantState(StateEstablished); st.Withheld[vip6] != NoNextHop {
			t.Fatalf("withheld %v", st.Withheld)
		}
		r.net.set(func() { r.net.lacks6 = false })
		r.Set(onePeer(testConfig(), routes)) // the speaker follows its links
		mail := p.collect()
		if st := r.wantState(StateEstablished); len(st.Withheld) != 0 || len(st.Routes) != 1 || st.Established != 1 {
			t.Errorf("withheld %v, %d routes, established %d times", st.Withheld, len(st.Routes), st.Established)
		}
		if n, _ := mail.count(wire.TypeUpdate); n != 1 {
			t.Errorf("%d updates", n)
		}
	})
}

// The pause between attempts to connect is of no concern to a session that is up.
func TestConnectTimeResetsNoSession(t *testing.T) {
	bubble(t, nil, func(t *testing.T, r *rig) {
		c := testConfig()
		r.Set(onePeer(c, nil))
		p := r.up(peerOpen())
		p.expectEndOfRIB()
		p.collect()
		c.Connect = 40 * time.Second
		r.Set(onePeer(c, oneRoute(Attributes{})))
		if st := r.wantState(StateEstablished); st.Established != 1 || len(st.Routes) != 1 {
			t.Errorf("established %d times, %d routes", st.Established, len(st.Routes))
		}
		// It counts from the next attempt on.
		r.net.set(func() { r.net.dialErr = errRefuse })
		p.c.Close()
		time.Sleep(10 * time.Minute)
		if n := r.net.dialled(); n < 15 || n > 22 {
			t.Errorf("%d dials in 10 minutes", n)
		}
	})
}
