package bgp

import (
	"context"
	"fmt"
	"net/netip"
	"syscall"
	"testing"

	"github.com/lintel-lb/lintel/lab"
	"github.com/lintel-lb/lintel/lab/probe"
)

// drainLabel is what users put on a node before maintenance.
const drainLabel = "lintel.dev/drain"

// deployed has the Service web over a Deployment with a Pod on each node, so that Pods that are
// evicted come back elsewhere.
func deployed(t testing.TB, policy string) (*scene, netip.Prefix) {
	t.Helper()
	s := sessionsScene(t, 50)
	s.Apply(service, map[string]any{"Name": "web", "Policy": policy, "Pods": true})
	s.Page("web", len(s.nodes()))
	v4, _ := s.addresses("web")
	s.whole(v4, s.nodes()...)
	return s, v4
}

// evict is what users run to take the Pods off a node.
func (s *scene) evict(node string) {
	s.t.Helper()
	s.kubectl("drain", node, "--ignore-daemonsets", "--delete-emptydir-data", "--timeout=90s")
	s.t.Cleanup(func() { s.kubectl("uncordon", node) })
}

// shutDown ends a node as a machine does that is told to: the kubelet first, then what runs gets
// SIGTERM, then the power goes.
func (s *scene) shutDown(node string) {
	s.t.Helper()
	if err := s.Lab.Signal(node, "kubelet", syscall.SIGKILL); err != nil {
		s.t.Fatal(err)
	}
	pid := s.pid(node)
	if err := syscall.Kill(pid, syscall.SIGTERM); err != nil {
		s.t.Fatal(err)
	}
	s.Eventually("the speaker of "+node+" ends", soon, func(context.Context) error {
		if err := syscall.Kill(pid, 0); err == nil {
			return fmt.Errorf("process %d is still there", pid)
		}
		return nil
	})
	s.Break(node, lab.FaultCrashed)
}

// Maintenance as the documentation says: no request is lost, though the Pods of the node go
// and the node is switched off and on again.
func TestMaintenance(t *testing.T) {
	for _, policy := range []string{"Cluster", "Local"} {
		t.Run(policy, func(t *testing.T) {
			s, v4 := deployed(t, policy)
			const node = "n3"
			others := []string{"n1", "n2"}
			load := s.Probe(far, probe.Options{URL: url(v4), Timeout: patient})
			load.Mark("label")
			unlabel := s.label(node, drainLabel, "true")
			s.router.kernelHops(v4, len(others))
			s.router.announced(v4, others...)
			load.Mark("drain")
			s.evict(node)
			load.Mark("reboot")
			s.shutDown(node)
			s.Repair(node)
			load.Mark("uncordon")
			s.kubectl("uncordon", node)
			s.router.sessions(false, s.nodes()...)
			s.router.announced(v4, others...)
			load.Mark("unlabel")
			unlabel()
			if policy == "Cluster" {
				s.router.announced(v4, s.nodes()...)
				s.router.kernelHops(v4, len(s.nodes()))
			}
			s.again(load)
			r := load.Stop()
			t.Logf("%d of %d requests failed; load %s", r.Failed(), r.Attempts, loadAverage())
			if r.Failed() > 0 {
				t.Errorf("maintenance lost requests:\n%v", r)
			}
		})
	}
}

// Cordoning and evicting alone is not draining: with policy Cluster the node goes on
// announcing, and no request is lost for as long as it runs. When it is shut down after that, its
// routes must not stay behind.
func TestEvictionIsNotDrain(t *testing.T) {
	for _, policy := range []string{"Cluster", "Local"} {
		t.Run(policy, func(t *testing.T) {
			s, v4 := deployed(t, policy)
			const node = "n3"
			by := s.nodes()
			if policy == "Local" {
				by = []string{"n1", "n2"}
			}
			load := s.Probe(far, probe.Options{URL: url(v4), Timeout: patient})
			load.Mark("drain")
			s.evict(node)
			s.router.announced(v4, by...)
			s.router.kernelHops(v4, len(by))
			load.Mark("shutdown")
			s.shutDown(node)
			s.router.kernelHopsWithin(v4, 2, established)
			s.again(load)
			r := load.Stop()
			if gaps := r.GapsSince("drain"); len(gaps) > 0 {
				t.Errorf("eviction lost requests:\n%v", r)
			}
			lost := lostSince(r, "shutdown")
			t.Logf("after the node was shut down, requests failed for %v: %d of %d; load %s", lost, r.Failed(), r.Attempts, loadAverage())
			if lost > lostBound {
				t.Errorf("requests failed for %v:\n%v", lost, r)
			}
		})
	}
}
