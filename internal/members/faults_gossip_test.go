package members

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"
)

func addrPort(a netip.Addr, port uint16) netip.AddrPort { return netip.AddrPortFrom(a, port) }

func TestRestart(t *testing.T) {
	c := newCluster(t)
	a := c.start(c.config("a"))
	b := c.start(c.config("b"))
	for _, state := range []string{"1", "2", "3"} {
		must(t, b.SetState([]byte(state)))
	}
	c.meet()
	for _, state := range []string{"4", "5"} {
		must(t, b.SetState([]byte(state)))
		a.wait("b's state", tells("b", state))
	}
	old := a.Snapshot().Alive["b"]

	b.stop() // crash, and back at once: nobody has noticed
	cfg := b.cfg
	again := c.start(cfg, func(g *Gossip) { must(t, g.SetState([]byte("new life"))) })
	again.SetPeers(c.peers())
	a.wait("b's new life", tells("b", "new life"))
	if m := a.Snapshot().Alive["b"]; m.Version >= old.Version || m.Incarnation <= old.Incarnation {
		t.Errorf("want a lower version of a later incarnation than %d/%d, have %d/%d", old.Incarnation, old.Version, m.Incarnation, m.Version)
	}
	must(t, again.SetState([]byte("and on")))
	a.wait("b's update", tells("b", "and on"))
}

func TestUnreachablePeers(t *testing.T) {
	c := newCluster(t)
	a := c.start(c.config("a"))
	nobody := c.address()
	a.SetPeers([]Peer{{Node: "a", Addr: addrPort(a.cfg.BindAddr, 0)}, {Node: "b", Addr: addrPort(nobody, 0)}})
	a.wait("b to be found unreachable", func(s Snapshot) bool { return len(s.Health.UnreachablePeers) == 1 })
	h := a.Snapshot().Health
	u := h.UnreachablePeers[0]
	if u.Node != "b" || u.Addr != addrPort(nobody, c.port) || u.TCP != PortRefused || u.UDP != PortSilent || u.Cause != CausePort {
		t.Errorf("have %+v", u)
	}
	if h.Joined || !strings.Contains(h.LastJoinError, "refused") {
		t.Errorf("have %+v", h)
	}
	a.SetPeers([]Peer{{Node: "a", Addr: addrPort(a.cfg.BindAddr, 0)}})
	a.wait("a to be content alone", func(s Snapshot) bool {
		return s.Health.Joined && len(s.Health.UnreachablePeers) == 0 && s.Health.LastJoinError == ""
	})

	// It comes up after all, while its peers keep trying.
	a.SetPeers([]Peer{{Addr: addrPort(nobody, 0)}})
	a.wait("it to be missed again", func(s Snapshot) bool { return len(s.Health.UnreachablePeers) == 1 })
	c.start(c.config("b", func(cfg *Config) { cfg.BindAddr = nobody }))
	a.wait("b", func(s Snapshot) bool { return alive("a", "b")(s) && len(s.Health.Problems()) == 0 })
}

func TestPortTaken(t *testing.T) {
	c := newCluster(t)
	cfg := c.config("a")
	other, err := net.ListenTCP("tcp", &net.TCPAddr{IP: cfg.BindAddr.AsSlice(), Port: int(c.port)})
	must(t, err)
	a := c.start(cfg)
	a.wait("the port to be found taken", func(s Snapshot) bool {
		return strings.Contains(s.Health.BindError, "address already in use") && len(s.Health.Problems()) == 1 && alive("a")(s)
	})
	other.Close()
	a.wait("the port to be opened", func(s Snapshot) bool { return s.Health.BindError == "" && s.Alive["a"].Addr.IsValid() })
}

func TestNameConflict(t *testing.T) {
	c := newCluster(t)
	a := c.start(c.config("a"))
	b := c.start(c.config("b"))
	c.meet()
	impostor := c.start(c.config("b"))
	impostor.SetPeers([]Peer{c.peer(a)})
	a.wait("the conflict", func(s Snapshot) bool {
		return len(s.Health.Conflicts) == 1 && s.Health.Conflicts[0] ==
			Conflict{"b", addrPort(b.cfg.BindAddr, c.port), addrPort(impostor.cfg.BindAddr, c.port)}
	})
	if m := a.Snapshot().Alive["b"]; m.Addr.Addr() != b.cfg.BindAddr {
		t.Errorf("the later one took the name: %+v", m)
	}
}

// A peer that takes connections and says nothing must not hold up the end.
func TestRunEndsDuringJoin(t *testing.T) {
	c := newCluster(t)
	mute, err := net.ListenTCP("tcp", &net.TCPAddr{IP: c.address().AsSlice(), Port: int(c.port)})
	must(t, err)
	defer mute.Close()
	a := c.start(c.config("a", func(cfg *Config) { cfg.Tuning = Tuning{} })) // 10 s for TCP
	a.SetPeers([]Peer{{Node: "mute", Addr: addrPort(mustAddr(mute.Addr().String()), 0)}})
	conn, err := mute.Accept()
	must(t, err)
	defer conn.Close()
	incoming, err := net.Dial("tcp", addrPort(a.cfg.BindAddr, c.port).String())
	must(t, err)
	defer incoming.Close()
	begin := time.Now()
	a.stop()
	if d := time.Since(begin); d > 3*time.Second {
		t.Errorf("Run took %s to end", d)
	}
}

func mustAddr(hostPort string) netip.Addr { return netip.MustParseAddrPort(hostPort).Addr() }

func TestMisuse(t *testing.T) {
	c := newCluster(t)
	a := c.start(c.config("a"))
	a.wait("a to gossip", func(s Snapshot) bool { return s.Alive["a"].Addr.IsValid() })
	if err := a.Run(t.Context()); !errors.Is(err, ErrAlreadyRun) {
		t.Errorf("second Run: %v", err)
	}
	if err := a.SetState(make([]byte, MaxState+1)); !errors.Is(err, ErrStateTooLarge) {
		t.Errorf("large state: %v", err)
	}
	a.SetPeers([]Peer{{Node: "no address"}, {Node: "zone", Addr: netip.MustParseAddrPort("[fe80::1%lo]:1")}})
	a.wait("peers without an address to be passed over", func(s Snapshot) bool { return s.Health.Joined })
	a.stop()
	if err := a.Leave(t.Context()); !errors.Is(err, ErrStopped) {
		t.Errorf("leave after the end: %v", err)
	}
}

func TestLeaveWithoutGossip(t *testing.T) {
	c := newCluster(t)
	a := c.start(c.config("a", keyed)) // and no key
	must(t, a.Leave(t.Context()))
	a.wait("a to be gone", func(s Snapshot) bool { return s.Health.Left && len(s.Alive) == 0 })

	b, err := New(c.config("b"))
	must(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := b.Leave(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("leave without Run: %v", err)
	}
}

func TestDisabled(t *testing.T) {
	m := Disabled("a")
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- m.Run(ctx) }()
	m.SetPeers([]Peer{{Node: "b"}})
	must(t, errors.Join(m.SetKeys(nil), m.SetState(nil), m.Leave(ctx)))
	if s := m.Snapshot(); s.Enabled || !alive("a")(s) || len(s.Health.Problems()) != 0 {
		t.Errorf("have %+v", s)
	}
	cancel()
	must(t, <-done)
}
