package speaker

import (
	"bytes"
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

func TestGateFollowsItsCheck(t *testing.T) {
	var well atomic.Bool
	well.Store(true)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if !well.Load() {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	}))
	defer server.Close()
	g := NewGate(server.URL, slog.New(slog.DiscardHandler))
	g.interval = 5 * time.Millisecond
	if !g.Closed() {
		t.Error("the gate is open before the first check")
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- g.Run(ctx) }()
	expect := func(closed bool) {
		t.Helper()
		select {
		case <-g.Changed():
		case <-time.After(10 * time.Second):
			t.Fatal("the gate does not change")
		}
		if g.Closed() != closed {
			t.Errorf("closed is %v, want %v", g.Closed(), closed)
		}
	}
	expect(false)
	well.Store(false)
	expect(true)
	well.Store(true)
	expect(false)
	server.Close()
	expect(true)
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	var none *Gate
	if none.Closed() || none.Changed() != nil {
		t.Error("without a gate the node is closed")
	}
}

// A gate that fails from the start is decided with the second failure, and says so.
func TestGateThatIsClosedFromTheStart(t *testing.T) {
	server := httptest.NewServer(http.NotFoundHandler())
	defer server.Close()
	var said bytes.Buffer
	g := NewGate(server.URL, slog.New(slog.NewTextHandler(&said, nil)))
	g.interval = 5 * time.Millisecond
	if g.Decided() {
		t.Error("it is decided before the first check")
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- g.Run(ctx) }()
	select {
	case <-g.Changed():
	case <-time.After(10 * time.Second):
		t.Fatal("it is never decided")
	}
	if !g.Decided() || !g.Closed() {
		t.Errorf("decided %t, closed %t", g.Decided(), g.Closed())
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if n := strings.Count(said.String(), "announces nothing"); n != 1 {
		t.Errorf("said %d times:\n%s", n, said.String())
	}
}

// A router that keeps the routes of a speaker that restarts is not told that they were all, before
// it is known whether the node may announce.
func TestRoutesAreNotCompleteBeforeTheGateIsDecided(t *testing.T) {
	h := twoNodes(t)
	gate := NewGate("http://192.0.2.1/", slog.New(slog.DiscardHandler))
	h.speaker.Gate = gate
	h.service("web", "198.51.100.7")
	h.run(nil)
	h.until("sessions", func() bool { return len(h.bgp.told().Peers) > 0 })
	if d := h.bgp.told(); d.Complete || len(d.Peers["wan"].Routes) > 0 {
		t.Errorf("before it is decided: %+v", d)
	}
	gate.set(false, nil)
	h.until("all routes", func() bool { d := h.bgp.told(); return d.Complete && len(d.Peers["wan"].Routes) == 1 })
}

// A gate that opens while the loop is at something else does not complete the routes before they are
// there: what is decided counts once the World has it.
func TestRoutesAreNotCompleteBeforeTheOpenGateIsSeen(t *testing.T) {
	h := twoNodes(t)
	gate := NewGate("http://192.0.2.1/", slog.New(slog.DiscardHandler))
	h.speaker.Gate = gate
	h.service("web", "198.51.100.7")
	h.run(nil)
	h.until("sessions", func() bool { return len(h.bgp.told().Peers) > 0 })
	h.ask(func(s *Speaker) {
		gate.set(false, nil)
		s.bgp.stale = true
		s.flushBGP()
		if d := h.bgp.told(); d.Complete && len(d.Peers["wan"].Routes) == 0 {
			t.Error("a router is told that no routes are all")
		}
	})
	h.until("all routes", func() bool { d := h.bgp.told(); return d.Complete && len(d.Peers["wan"].Routes) == 1 })
}
