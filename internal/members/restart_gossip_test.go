package members

import (
	"fmt"
	"testing"
	"time"
)

// killed is a member of MetalLB's that listens where cfg says and that all list, and that ends
// without leaving. It is still a member for the others when it returns.
func killed(t *testing.T, c *cluster, cfg Config, others ...*node) {
	t.Helper()
	var logs lockedBuffer
	list, peer := upstreamAt(t, c, cfg.NodeName, cfg.BindAddr, &logs)
	for _, n := range others {
		n.SetPeers([]Peer{peer})
	}
	for _, n := range others {
		n.wait(cfg.NodeName, func(s Snapshot) bool { return s.Alive[cfg.NodeName].Foreign })
	}
	must(t, list.Shutdown())
}

// A node whose speaker was killed and is replaced says first that it joins and then what it has.
// All learn the latter at once, though for memberlist it was never away.
func TestStateAfterAKill(t *testing.T) {
	for i := range 4 {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			t.Parallel()
			c := newCluster(t)
			a := c.start(c.config("a", lan), with(keyOne))
			b := c.start(c.config("b", lan), with(keyOne))
			c.meet()
			must(t, a.SetState([]byte("state a")))
			must(t, b.SetState([]byte("state b")))
			cfg := c.config("d", lan)
			killed(t, c, cfg, a, b)
			d := c.start(cfg, with(keyOne), func(g *Gossip) {
				must(t, g.SetState([]byte("joining")))
				g.SetPeers([]Peer{c.peer(a), c.peer(b)})
			})
			d.wait("the others", func(s Snapshot) bool { return s.Health.Joined })
			must(t, d.SetState([]byte("joined")))
			for _, n := range []*node{a, b} {
				n.wait("d's state", tells("d", "joined"))
			}
		})
	}
}

// Gossip may be lost altogether; push/pull, every half minute, is not what repairs that.
func TestALostNoticeIsRepaired(t *testing.T) {
	c := newCluster(t)
	a := c.start(c.config("a", lan), with(keyOne))
	b := c.start(c.config("b", lan), with(keyOne))
	must(t, a.SetState([]byte("old")))
	c.meet()
	b.wait("a's first state", tells("a", "old"))
	must(t, a.SetState([]byte("new")))
	lost := func() {
		a.box.gossip.mu.Lock()
		defer a.box.gossip.mu.Unlock()
		clear(a.box.gossip.queue)
	}
	for begin := time.Now(); !tells("a", "new")(b.Snapshot()); lost() {
		if time.Since(begin) > patience {
			t.Fatalf("b has %s", describe(b.Snapshot()))
		}
	}
}
