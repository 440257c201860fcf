package members

import (
	"context"
	"strings"
	"testing"
	"time"
)

func TestJoinLeaveCrash(t *testing.T) {
	c := newCluster(t)
	a := c.start(c.config("a"))
	b := c.start(c.config("b"))
	d := c.start(c.config("d"))
	c.meet()
	for _, n := range c.nodes {
		n.wait("health to be good", func(s Snapshot) bool {
			return s.Health.Joined && !s.Health.Mixed && len(s.Health.Problems()) == 0
		})
	}

	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	begin := time.Now()
	if err := b.Leave(ctx); err != nil {
		t.Fatal(err)
	}
	a.within(time.Second, "b to be gone", alive("a", "d"))
	d.within(time.Second, "b to be gone", alive("a", "d"))
	t.Logf("leave seen by all after %s", time.Since(begin).Round(time.Millisecond))
	b.within(time.Second, "itself to be gone", alive("a", "d"))
	if h := b.Snapshot().Health; !h.Left {
		t.Errorf("b does not know that it left: %+v", h)
	}

	begin = time.Now()
	d.stop()
	a.wait("d to be dead", alive("a"))
	t.Logf("crash seen after %s", time.Since(begin).Round(time.Millisecond))
}

func TestStateSpreads(t *testing.T) {
	c := newCluster(t)
	a := c.start(c.config("a"), func(g *Gossip) { must(t, g.SetState([]byte("early"))) })
	b := c.start(c.config("b"))
	d := c.start(c.config("d"))
	c.meet()
	b.wait("a's state", tells("a", "early"))
	d.wait("a's state", tells("a", "early"))

	big := strings.Repeat("0123456789abcdef", 30<<10/16)
	for _, state := range []string{"update", big, "", "small again"} {
		must(t, a.SetState([]byte(state)))
		for _, n := range c.nodes {
			took := n.wait("a's update", tells("a", state))
			t.Logf("%d bytes at %s after %s", len(state), n.cfg.NodeName, took.Round(time.Millisecond))
		}
	}
	if m := b.Snapshot().Alive["a"]; m.Version != 5 || m.State == nil {
		t.Errorf("a told five states, b has version %d", m.Version)
	}
	if m := a.Snapshot().Alive["b"]; m.State != nil {
		t.Errorf("b told nothing, a has %q", m.State)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
