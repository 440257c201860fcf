package interop

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	lintel "github.com/lintel-lb/lintel/internal/bgp"
	"github.com/osrg/gobgp/v4/api"
	"github.com/osrg/gobgp/v4/pkg/apiutil"
	"github.com/osrg/gobgp/v4/pkg/packet/bgp"
	"github.com/osrg/gobgp/v4/pkg/server"
)

// gobgp is a GoBGP server on loopback in this process.
type gobgp struct {
	*server.BgpServer
	t    testing.TB
	addr netip.AddrPort
	us   netip.Addr
}

// loopback returns two addresses for a session.
func loopback(t testing.TB, v6 bool) (server, speaker netip.Addr) {
	if !v6 {
		return netip.MustParseAddr("127.0.0.1"), netip.MustParseAddr("127.0.0.2")
	}
	if os.Getenv(nsVariable) == "" {
		return netip.IPv6Loopback(), netip.IPv6Loopback()
	}
	return netip.IPv6Loopback(), netip.MustParseAddr("fd00:77::2")
}

func startGoBGP(t testing.TB, v6 bool, edit func(*api.Peer)) *gobgp {
	t.Helper()
	at, us := loopback(t, v6)
	ln, err := net.Listen("tcp", netip.AddrPortFrom(at, 0).String())
	if err != nil {
		t.Fatal(err)
	}
	g := &gobgp{t: t, addr: netip.MustParseAddrPort(ln.Addr().String()), us: us}
	ln.Close() // GoBGP takes a number only
	lvl := &slog.LevelVar{}
	lvl.Set(slog.LevelError)
	g.BgpServer = server.NewBgpServer(server.LoggerOption(slog.New(slog.NewTextHandler(testLog{t}, &slog.HandlerOptions{Level: lvl})), lvl))
	go g.Serve()
	ctx := context.Background()
	if err := g.StartBgp(ctx, &api.StartBgpRequest{Global: &api.Global{
		Asn: 64501, RouterId: "10.255.0.1", ListenPort: int32(g.addr.Port()), ListenAddresses: []string{at.String()},
	}}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(g.Stop)
	p := &api.Peer{
		Conf:         &api.PeerConf{NeighborAddress: us.String(), PeerAsn: 64500},
		Transport:    &api.Transport{PassiveMode: true, LocalAddress: at.String()},
		Timers:       &api.Timers{Config: &api.TimersConfig{HoldTime: 9, KeepaliveInterval: 3, ConnectRetry: 2, IdleHoldTimeAfterReset: 1}},
		EbgpMultihop: &api.EbgpMultihop{Enabled: true, MultihopTtl: 10},
	}
	for _, afi := range []api.Family_Afi{api.Family_AFI_IP, api.Family_AFI_IP6} {
		p.AfiSafis = append(p.AfiSafis, &api.AfiSafi{
			Config:            &api.AfiSafiConfig{Family: &api.Family{Afi: afi, Safi: api.Family_SAFI_UNICAST}, Enabled: true},
			MpGracefulRestart: &api.MpGracefulRestart{Config: &api.MpGracefulRestartConfig{Enabled: true}},
		})
	}
	if edit != nil {
		edit(p)
	}
	if err := g.AddPeer(ctx, &api.AddPeerRequest{Peer: p}); err != nil {
		t.Fatal(err)
	}
	return g
}

func (g *gobgp) config() lintel.SessionConfig {
	c := config(g.addr.Addr())
	c.Port, c.Source = g.addr.Port(), g.us
	return c
}

// hops are next hops of both families, which loopback has none of.
func withHop(a lintel.Attributes) map[netip.Prefix]lintel.Attributes {
	out := map[netip.Prefix]lintel.Attributes{}
	for _, p := range both {
		a.NextHop = netip.MustParseAddr("192.0.2.7")
		if p.Addr().Is6() {
			a.NextHop = netip.MustParseAddr("2001:db8:7::7")
		}
		out[p] = a
	}
	return out
}

// paths returns what GoBGP has received for a prefix.
func (g *gobgp) table() map[string]*apiutil.Path {
	out := map[string]*apiutil.Path{}
	for _, f := range []bgp.Family{bgp.RF_IPv4_UC, bgp.RF_IPv6_UC} {
		err := g.ListPath(apiutil.ListPathRequest{TableType: api.TableType_TABLE_TYPE_ADJ_IN, Name: g.us.String(), Family: f},
			func(p bgp.NLRI, paths []*apiutil.Path) { out[p.String()] = paths[0] })
		if err != nil {
			return nil
		}
	}
	return out
}

func (g *gobgp) waitTable(what string, ok func(map[string]*apiutil.Path) bool) {
	g.t.Helper()
	eventually(g.t, "GoBGP's table: "+what, func() error {
		if t := g.table(); !ok(t) {
			return fmt.Errorf("table is %v", t)
		}
		return nil
	})
}

func (g *gobgp) waitPrefixes(want ...netip.Prefix) {
	g.t.Helper()
	g.waitTable(fmt.Sprintf("%d prefixes", len(want)), func(t map[string]*apiutil.Path) bool {
		for _, p := range want {
			if t[p.String()] == nil {
				return false
			}
		}
		return len(t) == len(want)
	})
}

func (g *gobgp) peer() *api.Peer {
	var got *api.Peer
	_ = g.ListPeer(context.Background(), &api.ListPeerRequest{}, func(p *api.Peer) { got = p })
	return got
}

func TestGoBGPBothTransportsBothFamilies(t *testing.T) {
	for _, v6 := range []bool{false, true} {
		t.Run(fmt.Sprintf("v6=%v", v6), func(t *testing.T) {
			g := startGoBGP(t, v6, nil)
			startSpeaker(t, onePeer(g.config(), withHop(everything())))
			g.waitPrefixes(both...)
			for _, p := range both {
				var seen []string
				for _, a := range g.table()[p.String()].Attrs {
					seen = append(seen, a.String())
				}
				contains(t, "attributes", strings.Join(seen, " "), "64500 64500 64500", "64500:1", "no-export", "planned-shut", // GRACEFUL_SHUTDOWN by its older name
					"4200000001:2:3", "Med: 77", "64500:100", "125000000")
			}
		})
	}
}

func TestGoBGPPassword(t *testing.T) {
	g := startGoBGP(t, false, func(p *api.Peer) { p.Conf.AuthPassword = "key" })
	c := g.config()
	c.Password = "wrong"
	s := startSpeaker(t, onePeer(c, withHop(lintel.Attributes{})))
	s.waitFor("tor", "a timeout", func(st lintel.Status) bool { return strings.Contains(st.LastError, "no answer") })
	c.Password = "key"
	s.Set(lintel.Desired{Peers: onePeer(c, withHop(lintel.Attributes{})).Peers, Complete: true})
	g.waitPrefixes(both...)
}

// Each case has a server of its own: GoBGP holds on to a connection whose packets it drops.
func TestGoBGPTTLSecurity(t *testing.T) {
	for _, hops := range []uint8{0, 1} {
		t.Run(fmt.Sprintf("hops=%d", hops), func(t *testing.T) {
			g := startGoBGP(t, false, func(p *api.Peer) {
				p.EbgpMultihop = nil
				p.TtlSecurity = &api.TtlSecurity{Enabled: true, TtlMin: 255}
			})
			c := g.config()
			c.SecurityHops = hops
			s := startSpeaker(t, onePeer(c, withHop(lintel.Attributes{})))
			if hops == 1 {
				g.waitPrefixes(both...)
				return
			}
			s.waitFor("tor", "a failure", func(st lintel.Status) bool { return st.LastError != "" })
			if n := len(g.table()); n != 0 {
				t.Errorf("GoBGP has %d routes without TTL security", n)
			}
		})
	}
}

// GoBGP dials, we listen.
func TestGoBGPPassive(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.2:0")
	if err != nil {
		t.Fatal(err)
	}
	port := netip.MustParseAddrPort(ln.Addr().String()).Port()
	ln.Close()
	g := startGoBGP(t, false, func(p *api.Peer) {
		p.Transport.PassiveMode, p.Transport.RemotePort = false, uint32(port)
		p.Conf.AuthPassword = "key"
	})
	c := g.config()
	c.Mode, c.ListenPort, c.Password = lintel.ModePassive, port, "key"
	startSpeaker(t, onePeer(c, withHop(lintel.Attributes{})))
	g.waitPrefixes(both...)
}

func TestGoBGPHoldTimeZero(t *testing.T) {
	g := startGoBGP(t, false, func(p *api.Peer) { p.Conf.Description = "silent" })
	c := g.config()
	c.Hold = 0
	s := startSpeaker(t, onePeer(c, withHop(lintel.Attributes{})))
	g.waitPrefixes(both...)
	hushed := time.NewTimer(11 * time.Second)
	<-hushed.C
	if st := s.Snapshot()["tor"]; st.State != lintel.StateEstablished || st.Established != 1 || st.Hold != 0 {
		t.Errorf("%v, established %d times, hold %v, %q", st.State, st.Established, st.Hold, st.LastError)
	}
	g.waitPrefixes(both...)
}

// The helper keeps routes over a silent restart, drops what the new process does not want,
// and shows the R bit's effect: no waiting.
func TestGoBGPGracefulRestart(t *testing.T) {
	g := startGoBGP(t, false, func(p *api.Peer) {
		p.GracefulRestart = &api.GracefulRestart{Enabled: true, RestartTime: 20, HelperOnly: true}
	})
	c := g.config()
	c.GracefulRestart = lintel.GracefulRestart{Enabled: true, RestartTime: 20 * time.Second}
	first := startSpeaker(t, onePeer(c, withHop(lintel.Attributes{})))
	g.waitPrefixes(both...)
	first.waitFor("tor", "End-of-RIB", func(st lintel.Status) bool { return st.EndOfRIB && st.GracefulPeer })
	first.stop()
	g.waitTable("stale routes", func(m map[string]*apiutil.Path) bool {
		return len(m) == 2 && m[both[0].String()].Stale && m[both[1].String()].Stale
	})
	d := withHop(lintel.Attributes{})
	delete(d, both[1])
	startSpeaker(t, onePeer(c, d))
	g.waitTable("fresh routes", func(m map[string]*apiutil.Path) bool { return len(m) == 1 && !m[both[0].String()].Stale })
}

func TestGoBGPRefreshAndChanges(t *testing.T) {
	g := startGoBGP(t, false, nil)
	c := g.config()
	s := startSpeaker(t, onePeer(c, withHop(lintel.Attributes{})))
	g.waitPrefixes(both...)
	before := s.Snapshot()["tor"].Sent.Updates
	if err := g.ResetPeer(context.Background(), &api.ResetPeerRequest{
		Address: g.us.String(), Soft: true, Direction: api.ResetPeerRequest_DIRECTION_IN,
	}); err != nil {
		t.Fatal(err)
	}
	s.Set(lintel.Desired{Peers: onePeer(c, withHop(lintel.Attributes{MED: lintel.Some(3)})).Peers, Complete: true})
	g.waitTable("the changed MED", func(m map[string]*apiutil.Path) bool {
		return len(m) == 2 && strings.Contains(fmt.Sprint(m[both[0].String()].Attrs), "Med: 3")
	})
	s.Set(lintel.Desired{Peers: onePeer(c, nil).Peers, Complete: true})
	g.waitPrefixes()
	if st := s.Snapshot()["tor"]; st.Established != 1 || st.Sent.Updates <= before {
		t.Errorf("established %d times, %d updates", st.Established, st.Sent.Updates)
	}
}

// GoBGP sends us 20,000 routes while ours change: nobody is held up.
func TestGoBGPFlood(t *testing.T) {
	const flood = 20_000
	g := startGoBGP(t, false, nil)
	c := g.config()
	s := startSpeaker(t, onePeer(c, nil))
	s.wait("tor", lintel.StateEstablished)
	origin := bgp.NewPathAttributeOrigin(0)
	hop, _ := bgp.NewPathAttributeNextHop(netip.MustParseAddr("192.0.2.9"))
	var paths []*apiutil.Path
	for i := range flood {
		p, err := bgp.NewIPAddrPrefix(netip.PrefixFrom(netip.AddrFrom4([4]byte{100, byte(64 + i>>16), byte(i >> 8), byte(i)}), 32))
		if err != nil {
			t.Fatal(err)
		}
		paths = append(paths, &apiutil.Path{Family: bgp.RF_IPv4_UC, Nlri: p, Attrs: []bgp.PathAttributeInterface{
			origin, hop, bgp.NewPathAttributeMultiExitDisc(uint32(i))}})
	}
	if _, err := g.AddPath(apiutil.AddPathRequest{Paths: paths}); err != nil {
		t.Fatal(err)
	}
	s.Set(lintel.Desired{Peers: onePeer(c, withHop(lintel.Attributes{})).Peers, Complete: true})
	g.waitPrefixes(both...)
	eventually(t, "the flood", func() error {
		if n := s.Snapshot()["tor"].Received.Updates; n < flood {
			return fmt.Errorf("%d updates", n)
		}
		return nil
	})
	if st := s.Snapshot()["tor"]; st.Established != 1 || st.State != lintel.StateEstablished {
		t.Errorf("%v, established %d times", st.State, st.Established)
	}
}

func TestGoBGPRefusesOpen(t *testing.T) {
	g := startGoBGP(t, false, nil)
	c := g.config()
	c.LocalASN = 64999
	s := startSpeaker(t, onePeer(c, nil))
	s.waitFor("tor", "bad peer AS", func(st lintel.Status) bool { return strings.Contains(st.LastError, "bad peer AS (2/2)") })
	if st := g.peer().State.SessionState; st == api.PeerState_SESSION_STATE_ESTABLISHED {
		t.Error("GoBGP is established")
	}
}
