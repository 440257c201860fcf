package layer2

import (
	"context"
	"encoding/json"
	"syscall"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"github.com/lintel-lb/lintel/lab/e2e/install"
)

// Tests in this file change nodes or speakers, so each runs alone.

const excludeLabel = "node.kubernetes.io/exclude-from-external-load-balancers"

func TestExcludedNodesAndFlags(t *testing.T) {
	s := newScene(t, "Cluster", []string{"n1"})
	s.agreed("web", s.all(candidate))
	s.label("n1", excludeLabel, "")
	s.label("n2", excludeLabel, "any")
	s.agreed("web", s.all("NodeExcluded").with(candidate, "n3"))
	s.label("n3", excludeLabel, "false")
	s.agreed("web", s.all("NodeExcluded"))
	s.warned("Service", s.Namespace, "web", "notAnnounced", excludeLabel)

	s.restartSpeakersWith("--ignore-exclude-lb", "--dataplane-check-url=http://127.0.0.1:10256/healthz")
	owners := s.agreed("web", s.all(candidate))

	// kube-proxy of the owner stops to answer its health check.
	for a, owner := range owners {
		if err := s.Lab.Signal(owner, "kube-proxy", syscall.SIGSTOP); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { s.resume(owner, "kube-proxy") })
		s.answers(a, s.others(owner)...)
		s.agreed("web", s.all(candidate).with("DataplaneNotReady", owner))
		s.resume(owner, "kube-proxy")
		s.agreed("web", s.all(candidate))
		break
	}
}

func (s *scene) resume(host, daemon string) {
	s.t.Helper()
	if err := s.Lab.Signal(host, daemon, syscall.SIGCONT); err != nil {
		s.t.Error(err)
	}
}

// restartSpeakersWith adds arguments to the speakers' until the test ends, and restarts all of
// them at once.
func (s *scene) restartSpeakersWith(args ...string) {
	s.t.Helper()
	var patch []map[string]any
	add := func(path string, value any) {
		patch = append(patch, map[string]any{"op": "add", "path": path, "value": value})
	}
	add("/spec/updateStrategy", map[string]any{"type": "RollingUpdate", "rollingUpdate": map[string]any{"maxUnavailable": "100%"}})
	for _, a := range args {
		add("/spec/template/spec/containers/0/args/-", a)
	}
	b, err := json.Marshal(patch)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() {
		s.kubectl("-n", install.Namespace, "rollout", "undo", "daemonset/speaker")
		s.kubectl("-n", install.Namespace, "rollout", "status", "daemonset/speaker", "--timeout=90s")
		s.kubectl("-n", install.Namespace, "patch", "daemonset", "speaker", "--type=merge", "-p",
			`{"spec":{"updateStrategy":{"rollingUpdate":{"maxUnavailable":1}}}}`)
	})
	s.kubectl("-n", install.Namespace, "patch", "daemonset", "speaker", "--type=json", "-p", string(b))
	s.kubectl("-n", install.Namespace, "rollout", "status", "daemonset/speaker", "--timeout=90s")
}

func TestNetworkUnavailable(t *testing.T) {
	s := newScene(t, "Cluster", []string{"n1"})
	s.agreed("web", s.all(candidate))
	for _, n := range []string{"n1", "n2"} {
		s.networkUnavailable(n, corev1.ConditionTrue)
	}
	s.agreed("web", s.all("NodeNetworkUnavailable").with(candidate, "n3"))
	s.networkUnavailable("n3", corev1.ConditionTrue)
	s.agreed("web", s.all("NodeNetworkUnavailable"))
	s.networkUnavailable("n2", corev1.ConditionFalse)
	s.agreed("web", s.all("NodeNetworkUnavailable").with(candidate, "n2"))
}

// networkUnavailable sets the node condition, which nobody else does in a lab, and ends it with
// the test.
func (s *scene) networkUnavailable(node string, status corev1.ConditionStatus) {
	s.t.Helper()
	set := func(status corev1.ConditionStatus) error {
		b, err := json.Marshal(map[string]any{"status": map[string]any{"conditions": []map[string]any{
			{"type": corev1.NodeNetworkUnavailable, "status": status, "reason": "Test"}}}})
		if err != nil {
			return err
		}
		return s.Core.CoreV1().RESTClient().Patch("application/strategic-merge-patch+json").
			Resource("nodes").Name(node).SubResource("status").Body(b).Do(context.WithoutCancel(s.t.Context())).Error()
	}
	if err := set(status); err != nil {
		s.t.Fatal(err)
	}
	if status == corev1.ConditionTrue {
		s.t.Cleanup(func() {
			if err := set(corev1.ConditionFalse); err != nil {
				s.t.Error(err)
			}
		})
	}
}
