package members

import (
	"bytes"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/memberlist"
	"go.uber.org/goleak"
)

// upstream is a member configured as MetalLB 0.16 configures its speakers: the LAN profile, the key of
// the Secret, no delegate of any kind but events. The receiver gets the log.
func upstream(t *testing.T, c *cluster, name string, logs *lockedBuffer) (*memberlist.Memberlist, Peer) {
	t.Helper()
	return upstreamAt(t, c, name, c.address(), logs)
}

func upstreamAt(t *testing.T, c *cluster, name string, bind netip.Addr, logs *lockedBuffer) (*memberlist.Memberlist, Peer) {
	t.Helper()
	cfg := memberlist.DefaultLANConfig()
	cfg.Name = name
	cfg.BindAddr, cfg.BindPort, cfg.AdvertisePort = bind.String(), int(c.port), int(c.port)
	cfg.SecretKey = keyOne
	cfg.LogOutput = logs
	events := make(chan memberlist.NodeEvent, 1024)
	cfg.Events = &memberlist.ChannelEventDelegate{Ch: events}
	list, err := memberlist.Create(cfg)
	must(t, err)
	t.Cleanup(func() { must(t, list.Shutdown()) })
	return list, Peer{name, addrPort(bind, c.port)}
}

type lockedBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

func lan(cfg *Config) { cfg.Keyed, cfg.Tuning = true, Tuning{} }

func TestWithMetalLB(t *testing.T) {
	t.Cleanup(func() { // after everything else; a bare memberlist does not wait for its probes
		eventually(t, patience, "the last probe to end", func() bool { return goleak.Find() == nil })
	})
	c := newCluster(t)
	var logs lockedBuffer
	theirs1, peer1 := upstream(t, c, "metallb-1", &logs)
	theirs2, _ := upstream(t, c, "metallb-2", &logs)
	a := c.start(c.config("a", lan), with(keyOne))
	b := c.start(c.config("b", lan), with(keyOne))

	a.SetPeers([]Peer{peer1, c.peer(b)}) // we join them
	a.wait("metallb-1 and b", alive("a", "b", "metallb-1"))
	if n, err := theirs2.Join([]string{c.peer(b).Addr.Addr().String()}); n != 1 || err != nil { // they join us
		t.Fatalf("joined %d, %v", n, err)
	}
	everybody := []string{"a", "b", "metallb-1", "metallb-2"}
	for _, n := range c.nodes {
		n.wait("everybody", alive(everybody...))
		s := n.Snapshot()
		if !s.Health.Mixed || !s.Alive["metallb-1"].Foreign || !s.Alive["metallb-2"].Foreign || s.Alive["a"].Foreign || s.Alive["b"].Foreign {
			t.Errorf("%s: %s", n.cfg.NodeName, describe(s))
		}
	}
	sees := func(list *memberlist.Memberlist, want ...string) func() bool {
		return func() bool {
			var names []string
			for _, m := range list.Members() {
				names = append(names, m.Name)
			}
			slices.Sort(names)
			return slices.Equal(names, want)
		}
	}
	eventually(t, patience, "metallb-1 to see everybody", sees(theirs1, everybody...))
	eventually(t, patience, "metallb-2 to see everybody", sees(theirs2, everybody...))

	state := strings.Repeat("x", 30<<10)
	must(t, a.SetState([]byte(state)))
	t.Logf("30 KiB among foreigners after %s", b.wait("a's state", tells("a", state)).Round(time.Millisecond))

	begin := time.Now()
	must(t, a.Leave(t.Context()))
	rest := everybody[1:]
	eventually(t, time.Second, "metallb-1 to see a leave", sees(theirs1, rest...))
	eventually(t, time.Second, "metallb-2 to see a leave", sees(theirs2, rest...))
	b.within(time.Second, "a to leave", alive(rest...))
	t.Logf("leave seen by all after %s", time.Since(begin).Round(time.Millisecond))
	must(t, theirs2.Leave(time.Second))
	b.within(time.Second, "metallb-2 to leave", alive("b", "metallb-1"))

	for line := range strings.Lines(logs.String()) {
		if strings.Contains(line, "[ERR]") || strings.Contains(line, "[WARN]") {
			t.Errorf("MetalLB's side complains: %s", line)
		}
	}
}

// eventually waits for what memberlist has no signal for.
func eventually(t *testing.T, limit time.Duration, what string, ok func() bool) {
	t.Helper()
	timeout, tick := time.NewTimer(limit), time.NewTicker(5*time.Millisecond)
	defer timeout.Stop()
	defer tick.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-timeout.C:
			t.Fatalf("waited %s for %s", limit, what)
		}
	}
}
