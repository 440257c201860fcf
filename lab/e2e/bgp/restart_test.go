package bgp

import (
	"context"
	"fmt"
	"slices"
	"testing"

	"github.com/lintel-lb/lintel/lab"
)

// longLivedStale is LLGR_STALE (RFC 9494, section 4.6).
const longLivedStale = "llgr-stale"

// A node that falls silent keeps its routes where the peer asks for that (RFC 8538): stale for
// the restart time, and then as the last resort (RFC 9494). FRR is the helper.
func TestRoutesOfASilentNodeAreKeptOnRequest(t *testing.T) {
	s := newScene(t, over4("timers 3 9"))
	s.router.configure("router bgp 65000", "bgp long-lived-graceful-restart stale-time 600")
	s.peer("four", router4, "holdTime: 9s", "gracefulRestart: {restartTime: 6s, notification: true, longLivedStaleTime: 300s}")
	s.advertise("")
	v4, _ := s.service("web", "Local", "n2")
	for node, n := range s.router.sessions(false, s.nodes()...) {
		if !n.Graceful.NBit || n.Graceful.Timers.Received != 6 || n.Graceful.Remote != "Restart" {
			t.Errorf("FRR knows of %s: %+v", node, n.Graceful)
		}
	}
	s.router.announced(v4, "n2")
	s.Break("n2", lab.FaultBlackhole)
	s.Eventually("the route is stale", established, func(ctx context.Context) error {
		paths, err := s.router.paths(ctx, v4)
		if err == nil && !paths["n2"].Stale {
			err = fmt.Errorf("%+v", paths)
		}
		return err
	})
	s.Eventually("the route is long-lived stale", established, func(ctx context.Context) error {
		paths, err := s.router.paths(ctx, v4)
		if err == nil && !slices.Contains(paths["n2"].Community.List, longLivedStale) {
			err = fmt.Errorf("%+v", paths)
		}
		return err
	})
	s.Repair("n2")
	s.Eventually("the route is fresh", established, func(ctx context.Context) error {
		paths, err := s.router.paths(ctx, v4)
		if x, known := paths["n2"]; err == nil && (!known || x.Stale || slices.Contains(x.Community.List, longLivedStale)) {
			err = fmt.Errorf("%+v", paths)
		}
		return err
	})
}

// Without the request a silent node's routes go with the hold time.
func TestRoutesOfASilentNodeGo(t *testing.T) {
	s := newScene(t, over4("timers 3 9"))
	s.peer("four", router4, "holdTime: 9s")
	s.advertise("")
	v4, _ := s.service("web", "Local", "n2")
	for node, n := range s.router.sessions(false, s.nodes()...) {
		if n.Graceful.NBit || n.Graceful.Timers.Received != 30 {
			t.Errorf("FRR knows of %s: %+v", node, n.Graceful)
		}
	}
	s.router.announced(v4, "n2")
	s.Break("n2", lab.FaultBlackhole)
	s.Eventually("the route is gone", established, func(ctx context.Context) error {
		paths, err := s.router.paths(ctx, v4)
		if err == nil && len(paths) > 0 {
			err = fmt.Errorf("%+v", paths)
		}
		return err
	})
	s.Repair("n2")
	s.router.announced(v4, "n2")
}
