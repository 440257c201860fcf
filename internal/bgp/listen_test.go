package bgp

import (
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lintel-lb/lintel/internal/bgp/wire"
)

var listenAt = netip.AddrPortFrom(ourAddr, 179)

func passiveConfig(m Mode) SessionConfig {
	c := testConfig()
	c.Mode, c.Source = m, ourAddr
	return c
}

// A port is open only while a session asks for it.
func TestPortIsOpenOnlyOnRequest(t *testing.T) {
	bubble(t, nil, func(t *testing.T, r *rig) {
		r.Set(onePeer(testConfig(), nil))
		r.accept()
		synctest.Wait()
		if len(r.net.ports) != 0 {
			t.Fatal("a port is open for an active session")
		}
		c := passiveConfig(ModePassive)
		c.Password = "one"
		r.Set(onePeer(c, nil))
		synctest.Wait()
		port := r.net.port(listenAt)
		key := netip.PrefixFrom(peerAddr, 32)
		if port == nil || port.keys[key] != "one" {
			t.Fatalf("port %+v", port)
		}
		c.Password = "two"
		r.Set(onePeer(c, nil))
		<-port.closed // with whatever had come in by the old key
		synctest.Wait()
		if port = r.net.port(listenAt); port.keys[key] != "two" {
			t.Error("the key was not changed")
		}
		r.Set(onePeer(c, nil))
		c.Hold = 30 * time.Second
		r.Set(onePeer(c, nil))
		synctest.Wait()
		if r.net.port(listenAt) != port {
			t.Error("a port was opened anew without a reason")
		}
		c.Password = ""
		r.Set(onePeer(c, nil))
		synctest.Wait()
		if port = r.net.port(listenAt); port.keys[key] != "" {
			t.Error("the key was not removed")
		}
		r.Set(onePeer(testConfig(), nil))
		<-port.closed
	})
}

func TestPassiveSession(t *testing.T) {
	bubble(t, nil, func(t *testing.T, r *rig) {
		r.Set(onePeer(passiveConfig(ModePassive), oneRoute(Attributes{})))
		r.wantState(StateActive)
		stranger := r.net.port(listenAt).call(t, netip.MustParseAddr("192.0.2.99"))
		stranger.expectEnd()
		p := r.net.port(listenAt).call(t, peerAddr)
		p.handshake(peerOpen())
		if u := p.expectUpdate(); len(u.Announced) != 1 {
			t.Errorf("got %+v", u)
		}
		if r.net.dialled() != 0 {
			t.Error("a passive session has dialled")
		}
		// A second connection is turned away, without graceful restart.
		p2 := r.net.port(listenAt).call(t, peerAddr)
		p2.expectNotification(wire.CodeCease, wire.CeaseCollision)
		r.wantState(StateEstablished)
		// A peer that comes back at once is not refused but answered after the hold-down.
		p.c.Close()
		synctest.Wait()
		p = r.net.port(listenAt).call(t, peerAddr)
		p.handshake(peerOpen())
		r.wantState(StateEstablished)
	})
}

// RFC 4724, section 4.2: a peer that has restarted opens a new connection while the old
// one still looks good.
func TestPeerRestartsBehindAnOldConnection(t *testing.T) {
	bubble(t, nil, func(t *testing.T, r *rig) {
		c := passiveConfig(ModePassive)
		c.GracefulRestart = GracefulRestart{Enabled: true, RestartTime: 30 * time.Second}
		r.Set(onePeer(c, oneRoute(Attributes{})))
		synctest.Wait()
		old := r.net.port(listenAt).call(t, peerAddr)
		old.handshake(peerOpen())
		old.expectEndOfRIB()
		p := r.net.port(listenAt).call(t, peerAddr)
		bad := peerOpen()
		bad.ASN, bad.Capabilities.FourOctetAS = 1, 1
		p.expect(wire.TypeOpen)
		p.send(bad.Append(nil))
		p.expectNotification(wire.CodeOpen, wire.OpenBadPeerAS)
		r.wantState(StateEstablished) // a bad OPEN takes nothing away
		p = r.net.port(listenAt).call(t, peerAddr)
		p.handshake(peerOpen())
		old.expectEnd()
		p.expectEndOfRIB()
		if st := r.wantState(StateEstablished); st.Established != 2 || len(st.Routes) != 1 {
			t.Errorf("established %d times, %d routes", st.Established, len(st.Routes))
		}
	})
}

// RFC 4271, section 6.8: both sides have connected. Whatever the order of the OPENs, the
// connection of the side with the higher identifier stays, and it comes up.
func TestCollision(t *testing.T) {
	for _, tt := range []struct {
		name        string
		id          string
		outboundGet bool // the OPEN on our connection arrives first
		keepInbound bool
	}{
		{"peer higher, ours first", "10.0.0.9", true, true},
		{"peer higher, theirs first", "10.0.0.9", false, true},
		{"peer lower, ours first", "10.0.0.1", true, false},
		{"peer lower, theirs first", "10.0.0.1", false, false},
		{"equal, AS decides", "10.0.0.5", true, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			bubble(t, nil, func(t *testing.T, r *rig) {
				outbound, inbound := r.compete(oneRoute(Attributes{}))
				o := peerOpen()
				o.RouterID = netip.MustParseAddr(tt.id)
				first, then := outbound, inbound
				if !tt.outboundGet {
					first, then = inbound, outbound
				}
				first.send(o.Append(nil))
				first.expect(wire.TypeKeepalive)
				synctest.Wait()
				keep, lose := outbound, inbound
				if tt.keepInbound {
					keep, lose = inbound, outbound
				}
				then.send(o.Append(nil))
				lose.expectNotification(wire.CodeCease, wire.CeaseCollision)
				if keep == then {
					keep.expect(wire.TypeKeepalive)
				}
				keep.sendKeepalive()
				keep.expectEndOfRIB()
				if st := r.wantState(StateEstablished); st.Established != 1 {
					t.Errorf("established %d times, %q", st.Established, st.LastError)
				}
			})
		})
	}
}

// Where the peer drops one of two connections by itself, the other goes on.
// compete has the engine dial its peer and be dialled by it: its OPEN is on both connections.
func (r *rig) compete(routes map[netip.Prefix]Attributes) (outbound, inbound *fakePeer) {
	r.t.Helper()
	r.Set(onePeer(passiveConfig(ModeBoth), routes))
	outbound = r.accept()
	outbound.expect(wire.TypeOpen)
	inbound = r.net.port(listenAt).call(r.t, peerAddr)
	inbound.expect(wire.TypeOpen)
	return outbound, inbound
}

func TestCollisionResolvedByPeer(t *testing.T) {
	bubble(t, nil, func(t *testing.T, r *rig) {
		outbound, inbound := r.compete(nil)
		outbound.c.Close()
		synctest.Wait()
		o := peerOpen()
		inbound.send(o.Append(nil))
		inbound.expect(wire.TypeKeepalive)
		inbound.sendKeepalive()
		inbound.expectEndOfRIB()
		r.wantState(StateEstablished)
	})
}

func TestPeerRange(t *testing.T) {
	bubble(t, nil, func(t *testing.T, r *rig) {
		c := passiveConfig(ModePassive)
		c.PeerAddress, c.PeerRange = netip.Addr{}, netip.MustParsePrefix("192.0.2.0/29")
		c.Password = "key"
		r.Set(onePeer(c, oneRoute(Attributes{})))
		synctest.Wait()
		port := r.net.port(listenAt)
		if port.keys[c.PeerRange] != "key" {
			t.Errorf("keys %v", port.keys)
		}
		port.call(t, netip.MustParseAddr("192.0.2.9")).expectEnd()
		for _, a := range []string{"192.0.2.1", "192.0.2.2"} {
			p := port.call(t, netip.MustParseAddr(a))
			p.handshake(peerOpen())
			p.expectEndOfRIB()
			synctest.Wait()
			st := r.Snapshot()["tor/"+a]
			if st.State != StateEstablished || len(st.Routes) != 1 {
				t.Errorf("%s: %v with %d routes", a, st.State, len(st.Routes))
			}
			p.c.Close()
		}
		time.Sleep(3 * dynamicIdle)
		synctest.Wait()
		if got := r.Snapshot(); len(got) != 1 {
			t.Errorf("peers that are gone are still there: %d", len(got))
		}
	})
}

// A range takes as many peers as its limit, none that has a session of its own, and says so.
func TestPeerRangeIsBounded(t *testing.T) {
	bubble(t, nil, func(t *testing.T, r *rig) {
		c := passiveConfig(ModePassive)
		c.PeerAddress, c.PeerRange = netip.Addr{}, netip.MustParsePrefix("192.0.2.0/29")
		d := onePeer(c, nil)
		d.Peers["tor"] = Peer{Config: c, Limit: 1}
		own := testConfig()
		own.PeerAddress = netip.MustParseAddr("192.0.2.3")
		d.Peers["own"] = Peer{Config: own}
		r.Set(d)
		r.accept()
		synctest.Wait()
		port := r.net.port(listenAt)
		port.call(t, own.PeerAddress).expectEnd()
		if got := r.status().LastError; got != "" {
			t.Errorf("last error %q", got)
		}
		p := port.call(t, netip.MustParseAddr("192.0.2.1"))
		p.handshake(peerOpen())
		p.expectEndOfRIB()
		port.call(t, netip.MustParseAddr("192.0.2.2")).expectEnd()
		synctest.Wait()
		if got := r.status().LastError; !strings.Contains(got, "192.0.2.2 was turned away: the limit of 1 sessions") {
			t.Errorf("last error %q", got)
		}
		if st := r.Snapshot()["tor/192.0.2.1"]; st.State != StateEstablished {
			t.Errorf("the first peer is %v", st.State)
		}
		// With the first peer forgotten there is room.
		p.c.Close()
		time.Sleep(3 * dynamicIdle)
		synctest.Wait()
		if got := r.status().LastError; got != "" {
			t.Errorf("last error %q", got)
		}
		p = port.call(t, netip.MustParseAddr("192.0.2.2"))
		p.handshake(peerOpen())
		p.expectEndOfRIB()
	})
}

// A peer of a range that gets a session of its own leaves the range for it.
func TestPeerLeavesItsRange(t *testing.T) {
	bubble(t, nil, func(t *testing.T, r *rig) {
		c := passiveConfig(ModePassive)
		c.PeerAddress, c.PeerRange = netip.Addr{}, netip.MustParsePrefix("192.0.2.0/29")
		r.Set(onePeer(c, nil))
		synctest.Wait()
		dynamic := r.net.port(listenAt).call(t, peerAddr)
		dynamic.handshake(peerOpen())
		dynamic.expectEndOfRIB()
		d := onePeer(c, nil)
		d.Peers["own"] = Peer{Config: passiveConfig(ModePassive)}
		elsewhere := passiveConfig(ModePassive)
		elsewhere.PeerAddress = netip.MustParseAddr("192.0.2.2")
		d.Peers["elsewhere"] = Peer{Config: elsewhere}
		r.Set(d)
		dynamic.expectNotification(wire.CodeCease, wire.CeasePeerDeconfigured)
		synctest.Wait()
		p := r.net.port(listenAt).call(t, peerAddr)
		p.handshake(peerOpen())
		p.expectEndOfRIB()
		synctest.Wait()
		got := r.Snapshot()
		if _, ok := got[dynamicName("tor", peerAddr)]; ok || got["own"].State != StateEstablished {
			t.Errorf("the own session is %v; %d sessions", got["own"].State, len(got))
		}
	})
}

// A peer in trouble has no session, and says why.
func TestPeerInTrouble(t *testing.T) {
	bubble(t, nil, func(t *testing.T, r *rig) {
		r.Set(Desired{Peers: map[string]Peer{"tor": {Trouble: "no address"}}, Complete: true})
		if st := r.wantState(StateIdle); st.LastError != "no address" {
			t.Errorf("last error %q", st.LastError)
		}
		r.Set(onePeer(testConfig(), nil))
		r.up(peerOpen())
		r.wantState(StateEstablished)
	})
}

func TestPortThatCannotBeOpened(t *testing.T) {
	bubble(t, func(o *Options) { o.Transport = noPorts{newFakeNet()} }, func(t *testing.T, r *rig) {
		r.Set(onePeer(passiveConfig(ModePassive), nil))
		synctest.Wait()
		if st := r.status(); !strings.Contains(st.LastError, "listen on 192.0.2.10:179: connection refused") {
			t.Errorf("last error %q", st.LastError)
		}
	})
}

// A NOTIFICATION is not answered (RFC 4271, section 6.4), on a connection that competes neither.
func TestNotificationOnSecondConnection(t *testing.T) {
	bubble(t, nil, func(t *testing.T, r *rig) {
		outbound, inbound := r.compete(nil)
		inbound.send(collision().Append(nil))
		inbound.expectEnd()
		o := peerOpen()
		outbound.send(o.Append(nil))
		outbound.expect(wire.TypeKeepalive)
		outbound.sendKeepalive()
		outbound.expectEndOfRIB()
		r.wantState(StateEstablished)
	})
}

// Peers that are turned away at the limit cost the sessions that are up nothing, however often
// they come.
func TestCrowdAtARange(t *testing.T) {
	bubble(t, nil, func(t *testing.T, r *rig) {
		c := passiveConfig(ModePassive)
		c.PeerAddress, c.PeerRange = netip.Addr{}, netip.MustParsePrefix("192.0.2.0/28")
		d := onePeer(c, nil)
		d.Peers["tor"] = Peer{Config: c, Limit: 1}
		r.Set(d)
		synctest.Wait()
		port := r.net.port(listenAt)
		p := port.call(t, peerAddr)
		p.handshake(peerOpen())
		p.expectEndOfRIB()
		port.call(t, netip.MustParseAddr("192.0.2.2")).expectEnd()
		synctest.Wait()
		changes := r.Subscribe()
		for _, a := range []string{"192.0.2.3", "192.0.2.4", "192.0.2.3"} {
			port.call(t, netip.MustParseAddr(a)).expectEnd()
		}
		synctest.Wait()
		select {
		case <-changes:
			t.Error("all sessions were gone through again")
		default:
		}
	})
}
