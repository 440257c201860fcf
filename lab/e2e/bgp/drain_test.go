package bgp

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"syscall"
	"testing"

	"github.com/lintel-lb/lintel/lab"
	"github.com/lintel-lb/lintel/lab/e2e/install"
	"github.com/lintel-lb/lintel/lab/probe"
)

// drainLabel is what users put on a node before maintenance.
const drainLabel = "lintel.dev/drain"

// polite is a Deployment with a Pod on each node as documentation of Kubernetes has it: a Pod
// that is told to end says that it is not ready, and goes on serving for long enough for
// everybody to notice.
const polite = `
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: {{.Vars.Replicas}}
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      terminationGracePeriodSeconds: 20
      automountServiceAccountToken: false
      topologySpreadConstraints:
      - maxSkew: 1
        topologyKey: kubernetes.io/hostname
        whenUnsatisfiable: ScheduleAnyway
        labelSelector: {matchLabels: {app: web}}
      containers:
      - name: page
        image: {{.PageImage}}
        imagePullPolicy: Never
        args: [--drain=8s]
        ports: [{name: http, containerPort: 80}]
        env:
        - {name: POD_NAME, valueFrom: {fieldRef: {fieldPath: metadata.name}}}
        - {name: NODE_NAME, valueFrom: {fieldRef: {fieldPath: spec.nodeName}}}
        readinessProbe:
          httpGet: {path: /healthz, port: http}
          periodSeconds: 1
          failureThreshold: 2
`

// deployed has the Service web over such a Deployment, so that Pods that are evicted come back
// elsewhere.
func deployed(t testing.TB, policy string) (*scene, netip.Prefix) {
	t.Helper()
	s := sessionsScene(t, 300)
	s.Apply(service, map[string]any{"Name": "web", "Policy": policy, "Pods": true})
	s.Apply(polite, map[string]any{"Replicas": len(s.nodes())})
	s.kubectl("-n", s.Namespace, "rollout", "status", "deployment/web", "--timeout=90s")
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
			s.kubectl("-n", install.Namespace, "wait", "--for=delete", "servicebgpstatuses.metallb.io", "--selector=metallb.io/node="+node, "--timeout=60s")
			paths, err := s.router.paths(t.Context(), v4)
			if by := slices.Sorted(keys(paths)); err != nil || !slices.Equal(by, others) {
				t.Errorf("when the status says that %s announces nothing, %v do, %v", node, by, err)
			}
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
			if lost := r.Failed() - moved(r); lost > 0 {
				t.Errorf("maintenance lost requests:\n%v", r)
			}
		})
	}
}

// moved counts the requests that failed because the router sent the second half of them to
// another node, which knows nothing of the first and resets the connection. That ends whatever is
// under way at the moment in which a router balances over fewer or more nodes.
func moved(r probe.Report) (n int) {
	for _, a := range r.Failures {
		if a.Reason == probe.ReasonReset {
			n++
		}
	}
	return n
}

// Cordoning and evicting alone is not draining: with policy Cluster the node goes on announcing,
// and no request is lost for as long as it runs. With policy Local its routes go when its last
// Pod is not ready any more, which the router learns a moment after the node has ceased to
// forward; what that costs is printed. When the node is shut down after that, its routes do not
// stay behind.
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
			evicting, off := since(r, "drain"), since(r, "shutdown")
			t.Logf("of %d requests %d failed while Pods were evicted, and %d, for %v, when the node was shut down; load %s",
				r.Attempts, evicting, off, lostSince(r, "shutdown"), loadAverage())
			if policy == "Cluster" && evicting > 0 || lostSince(r, "shutdown") > lostBound {
				t.Errorf("requests were lost:\n%v", r)
			}
		})
	}
}

// since counts the requests that failed after a mark and before the next, but for those that the
// router moved.
func since(r probe.Report, mark string) (n int) {
	for _, g := range r.GapsSince(mark) {
		n += g.Failures - g.Reasons[probe.ReasonReset]
	}
	return n
}
