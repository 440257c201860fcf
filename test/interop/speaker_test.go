package interop

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"testing"
	"time"

	"github.com/lintel-lb/lintel/internal/bgp"
)

// speaker is an Engine under test.
type speaker struct {
	*bgp.Engine
	t       testing.TB
	desired bgp.Desired
	cancel  context.CancelFunc
	done    chan error
}

type testLog struct{ t testing.TB }

func (l testLog) Write(b []byte) (int, error) {
	l.t.Logf("%s", b)
	return len(b), nil
}

// startSpeaker runs an engine until the test ends.
func startSpeaker(t testing.TB, d bgp.Desired, edit ...func(*bgp.Options)) *speaker {
	t.Helper()
	d.Complete = true
	o := bgp.Options{Log: slog.New(slog.NewTextHandler(testLog{t}, nil))}
	for _, f := range edit {
		f(&o)
	}
	ctx, cancel := context.WithCancel(context.Background())
	s := &speaker{Engine: bgp.New(o), t: t, desired: d, cancel: cancel, done: make(chan error, 1)}
	s.Set(d)
	go func() { s.done <- s.Run(ctx) }()
	t.Cleanup(func() { s.stop() })
	return s
}

// stop ends the engine as for a restart.
func (s *speaker) stop() {
	s.cancel()
	select {
	case <-s.done:
		s.done <- nil
	case <-time.After(20 * time.Second):
		s.t.Error("engine does not stop")
	}
}

// wait waits until the session is in the state.
func (s *speaker) wait(peer string, want bgp.State) bgp.Status {
	s.t.Helper()
	return s.waitFor(peer, want.String(), func(st bgp.Status) bool { return st.State == want })
}

func (s *speaker) waitFor(peer, what string, ok func(bgp.Status) bool) bgp.Status {
	s.t.Helper()
	changed := s.Subscribe()
	deadline := time.After(patience)
	for {
		st := s.Snapshot()[peer]
		if ok(st) {
			return st
		}
		select {
		case <-changed:
		case <-deadline:
			s.t.Fatalf("peer %s: waited in vain for %s: %v, %q", peer, what, st.State, st.LastError)
		}
	}
}

func onePeer(c bgp.SessionConfig, routes map[netip.Prefix]bgp.Attributes) bgp.Desired {
	return bgp.Desired{Peers: map[string]bgp.Peer{"tor": {Config: c, Routes: bgp.NewRoutes(routes)}}}
}

// config is a session of AS 64500 with AS 64501.
func config(peer netip.Addr) bgp.SessionConfig {
	return bgp.SessionConfig{
		PeerAddress: peer, LocalASN: 64500, PeerASN: bgp.ExactAS(64501), RouterID: netip.MustParseAddr("10.0.0.1"),
		Hold: 9 * time.Second, Connect: time.Second, Families: bgp.IPv4 | bgp.IPv6,
	}
}

func prefix(s string) netip.Prefix { return netip.MustParsePrefix(s) }

// hosts returns n host routes of a family.
func hosts(n int, v6 bool) []netip.Prefix {
	out := make([]netip.Prefix, n)
	for i := range out {
		s := fmt.Sprintf("198.18.%d.%d/32", i>>8, i&0xff)
		if v6 {
			s = fmt.Sprintf("2001:db8::%x:%x/128", i>>16, i&0xffff)
		}
		out[i] = prefix(s)
	}
	return out
}

func routes(a bgp.Attributes, ps ...netip.Prefix) map[netip.Prefix]bgp.Attributes {
	out := make(map[netip.Prefix]bgp.Attributes, len(ps))
	for _, p := range ps {
		out[p] = a
	}
	return out
}
