package members

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const patience = 10 * time.Second

// cluster hands out loopback addresses that no other test uses, and one port that is free.
type cluster struct {
	t     *testing.T
	port  uint16
	nodes []*node
}

var lastAddr atomic.Uint32 // of 127.0.0.0/8, beyond the process's own block

func newCluster(t *testing.T) *cluster {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	c := &cluster{t: t, port: uint16(l.Addr().(*net.TCPAddr).Port)}
	t.Cleanup(func() {
		var stopping sync.WaitGroup
		for _, n := range c.nodes {
			stopping.Go(n.stop)
		}
		stopping.Wait()
	})
	return c
}

// address returns a fresh address.
func (c *cluster) address() netip.Addr {
	n := lastAddr.Add(1)
	return netip.AddrFrom4([4]byte{127, byte(16 + os.Getpid()%200), byte(n >> 8), byte(n)})
}

func (c *cluster) peer(n *node) Peer {
	return Peer{n.cfg.NodeName, netip.AddrPortFrom(n.cfg.BindAddr, c.port)}
}

func (c *cluster) peers() []Peer {
	var out []Peer
	for _, n := range c.nodes {
		out = append(out, c.peer(n))
	}
	return out
}

// node is a member under test.
type node struct {
	*Gossip
	t    *testing.T
	stop func() // without leaving, and wait
}

// fast is a profile that finds out sooner than the defaults.
func fast(t *testing.T) Tuning {
	t.Helper()
	tuning, err := ParseTuning([]byte(`{"ProbeInterval":"200ms","ProbeTimeout":"100ms","GossipInterval":"50ms",
		"PushPullInterval":"3s","TCPTimeout":"2s","SuspicionMult":3}`))
	if err != nil {
		t.Fatal(err)
	}
	return tuning
}

// config is that of a node in the cluster; opts change it.
func (c *cluster) config(name string, opts ...func(*Config)) Config {
	cfg := Config{NodeName: name, BindAddr: c.address(), BindPort: c.port, Tuning: fast(c.t)}
	if testing.Verbose() {
		cfg.Log = slog.New(slog.NewTextHandler(c.t.Output(), &slog.HandlerOptions{Level: slog.LevelInfo})).With("self", name)
	}
	for _, opt := range opts {
		opt(&cfg)
	}
	return cfg
}

func keyed(cfg *Config) { cfg.Keyed = true }

// start runs a node; before says things to it first.
func (c *cluster) start(cfg Config, before ...func(*Gossip)) *node {
	c.t.Helper()
	g, err := New(cfg)
	if err != nil {
		c.t.Fatal(err)
	}
	for _, f := range before {
		f(g)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- g.Run(ctx) }()
	var stopped atomic.Bool
	n := &node{Gossip: g, t: c.t}
	n.stop = func() {
		if stopped.Swap(true) {
			return
		}
		cancel()
		select {
		case err := <-done:
			if err != nil {
				c.t.Errorf("Run of %s: %v", cfg.NodeName, err)
			}
		case <-time.After(patience):
			c.t.Errorf("Run of %s does not end", cfg.NodeName)
		}
	}
	c.nodes = append(c.nodes, n)
	return n
}

// meet makes everybody a listed peer of everybody and waits until all are members.
func (c *cluster) meet() {
	c.t.Helper()
	for _, n := range c.nodes {
		n.SetPeers(c.peers())
	}
	for _, n := range c.nodes {
		n.wait("all to be members", func(s Snapshot) bool { return len(s.Alive) == len(c.nodes) })
	}
}

// wait waits until the snapshot is as wanted and returns how long that took.
func (n *node) wait(what string, ok func(Snapshot) bool) time.Duration {
	n.t.Helper()
	return n.within(patience, what, ok)
}

func (n *node) within(limit time.Duration, what string, ok func(Snapshot) bool) time.Duration {
	n.t.Helper()
	begin := time.Now()
	timeout := time.NewTimer(limit)
	defer timeout.Stop()
	for !ok(n.Snapshot()) {
		select {
		case <-n.Changed():
		case <-timeout.C:
			n.t.Fatalf("%s waited %s for %s; has %s", n.cfg.NodeName, limit, what, describe(n.Snapshot()))
		}
	}
	return time.Since(begin)
}

func describe(s Snapshot) string {
	text := ""
	for _, name := range sortedKeys(s.Alive) {
		m := s.Alive[name]
		text += fmt.Sprintf("%s@%s(foreign %t, %d bytes, %d/%d) ", name, m.Addr, m.Foreign, len(m.State), m.Incarnation, m.Version)
	}
	return fmt.Sprintf("%s; %+v", text, s.Health)
}

func alive(names ...string) func(Snapshot) bool {
	return func(s Snapshot) bool {
		for _, n := range names {
			if _, ok := s.Alive[n]; !ok {
				return false
			}
		}
		return len(s.Alive) == len(names)
	}
}

func tells(name, state string) func(Snapshot) bool {
	return func(s Snapshot) bool { return string(s.Alive[name].State) == state }
}
