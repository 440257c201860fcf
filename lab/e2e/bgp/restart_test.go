package bgp

import (
	"context"
	"fmt"
	"slices"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/lintel-lb/lintel/lab"
	"github.com/lintel-lb/lintel/lab/e2e/install"
)

// longLivedStale is LLGR_STALE (RFC 9494, section 4.6) in the words of FRR.
const longLivedStale = "llgrStale"

// withoutController is a node whose fault leaves the controller alone.
func (s *scene) withoutController() string {
	s.t.Helper()
	var pods corev1.PodList
	if err := s.Client.List(s.t.Context(), &pods, client.InNamespace(install.Namespace), client.MatchingLabels{"component": "controller"}); err != nil {
		s.t.Fatal(err)
	}
	for _, n := range s.nodes() {
		if !slices.ContainsFunc(pods.Items, func(p corev1.Pod) bool { return p.Spec.NodeName == n }) {
			return n
		}
	}
	s.t.Fatal("every node has a controller")
	return ""
}

// A node that falls silent keeps its routes where the peer asks for that (RFC 8538): stale for
// the restart time, and then as the last resort (RFC 9494). FRR is the helper.
func TestRoutesOfASilentNodeAreKeptOnRequest(t *testing.T) {
	s := newScene(t, over4("timers 3 9"))
	s.router.configure("router bgp 65000", "bgp long-lived-graceful-restart stale-time 600")
	s.peer("four", router4, "holdTime: 9s", "gracefulRestart: {restartTime: 6s, notification: true, longLivedStaleTime: 300s}")
	s.advertise("")
	node := s.withoutController()
	v4, _ := s.service("web", "Local", node)
	for name, n := range s.router.sessions(false, s.nodes()...) {
		if !n.Graceful.NBit || n.Graceful.Timers.Received != 6 || n.Graceful.Remote != "Restart" {
			t.Errorf("FRR knows of %s: %+v", name, n.Graceful)
		}
	}
	s.router.announced(v4, node)
	s.Break(node, lab.FaultBlackhole)
	s.Eventually("the route is stale", established, func(ctx context.Context) error {
		paths, err := s.router.paths(ctx, v4)
		if err == nil && !paths[node].Stale {
			err = fmt.Errorf("%+v", paths)
		}
		return err
	})
	s.Eventually("the route is long-lived stale", established, func(ctx context.Context) error {
		paths, err := s.router.paths(ctx, v4)
		if err == nil && !slices.Contains(paths[node].Community.List, longLivedStale) {
			err = fmt.Errorf("%+v", paths)
		}
		return err
	})
	s.Repair(node)
	s.Eventually("the route is fresh", established, func(ctx context.Context) error {
		paths, err := s.router.paths(ctx, v4)
		if x, known := paths[node]; err == nil && (!known || x.Stale || slices.Contains(x.Community.List, longLivedStale)) {
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
	node := s.withoutController()
	v4, _ := s.service("web", "Local", node)
	for name, n := range s.router.sessions(false, s.nodes()...) {
		if n.Graceful.NBit || n.Graceful.Timers.Received != 30 {
			t.Errorf("FRR knows of %s: %+v", name, n.Graceful)
		}
	}
	s.router.announced(v4, node)
	s.Break(node, lab.FaultBlackhole)
	s.Eventually("the route is gone", established, func(ctx context.Context) error {
		paths, err := s.router.paths(ctx, v4)
		if err == nil && len(paths) > 0 {
			err = fmt.Errorf("%+v", paths)
		}
		return err
	})
	s.Repair(node)
	s.router.announced(v4, node)
}
