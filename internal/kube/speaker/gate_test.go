package speaker

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
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
