package layer2

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/lintel-lb/lintel/lab/e2e/install"
)

// Tests in this file make clusters in which layer 2 cannot work, and want their users to be told:
// by `lintel why`, and by an event.

// toldBound is how long it may take until users are told: some causes are looked for every
// minute.
const toldBound = 2 * time.Minute

// warned waits for an event of type Warning about an object, whose message has all the parts.
func (s *scene) warned(kind, namespace, name, reason string, parts ...string) {
	s.t.Helper()
	s.Eventually(fmt.Sprintf("%s %s has the event %s", kind, name, reason), toldBound, func(ctx context.Context) error {
		var list corev1.EventList
		if err := s.Client.List(ctx, &list, client.InNamespace(namespace)); err != nil {
			return err
		}
		var seen []string
		for _, e := range list.Items {
			if e.InvolvedObject.Kind != kind || e.InvolvedObject.Name != name || e.Type != corev1.EventTypeWarning {
				continue
			}
			seen = append(seen, e.Reason+": "+e.Message)
			if e.Reason == reason && !slices.ContainsFunc(parts, func(p string) bool { return !strings.Contains(e.Message, p) }) {
				return nil
			}
		}
		return fmt.Errorf("its warnings are %q", seen)
	})
}

// problem waits until `lintel why` tells of a problem that has all the parts.
func (s *scene) problem(name string, parts ...string) {
	s.t.Helper()
	s.Eventually(fmt.Sprintf("why tells of %q", parts), toldBound, func(ctx context.Context) error {
		e, err := s.why(ctx, name)
		if err != nil {
			return err
		}
		for _, p := range e.Problems {
			if !slices.ContainsFunc(parts, func(part string) bool { return !strings.Contains(p, part) }) {
				return nil
			}
		}
		return fmt.Errorf("problems %q", e.Problems)
	})
}

// Port 7946 is blocked at one node: both sides say so, and name the port.
func TestBlockedMemberlistPortIsTold(t *testing.T) {
	s := newScene(t, "Cluster", []string{"n1"})
	s.agreed("web", s.all(candidate))
	s.block("n2", 7946)
	s.problem("web", "speaker on n2: ", "node n1", "port 7946", "TCP", "UDP")
	s.problem("web", "speaker on n1: ", "node n2", "port 7946", "TCP", "UDP")
	s.warned("Node", metav1.NamespaceDefault, "n2", "memberlistProblem", "node n1", "port 7946")
	s.warned("Node", metav1.NamespaceDefault, "n1", "memberlistProblem", "node n2", "port 7946")
	s.Eventually("why --node and status name the port as well", soon, func(ctx context.Context) error {
		for _, args := range [][]string{{"why", "--node", "n2"}, {"status"}} {
			out, err := s.lintel(ctx, args...)
			if err != nil || !contains(out, "port 7946") {
				return fmt.Errorf("%v: %v\n%s", args, err, out)
			}
		}
		return nil
	})
}

// kube-proxy is set up such that every node answers ARP for every address, by what its
// configuration says.
func TestKubeProxyWithoutStrictARPIsTold(t *testing.T) {
	s := newScene(t, "Cluster", []string{"n1"})
	s.agreed("web", s.all(candidate))
	cm := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "kube-system", Name: "kube-proxy"},
		Data: map[string]string{"config.conf": "kind: KubeProxyConfiguration\nmode: ipvs\nipvs: {strictARP: false}\n"}}
	if err := s.Client.Create(t.Context(), cm); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := client.IgnoreNotFound(s.Client.Delete(context.WithoutCancel(t.Context()), cm)); err != nil {
			t.Error(err)
		}
	})
	s.problem("web", "IPVS", "strictARP")
	s.warned("L2Advertisement", install.Namespace, s.Name, "kubeProxyStrictARP", "IPVS", "strictARP")
	cm.Data["config.conf"] = "kind: KubeProxyConfiguration\nmode: ipvs\nipvs: {strictARP: true}\n"
	if err := s.Client.Update(t.Context(), cm); err != nil {
		t.Fatal(err)
	}
	s.Eventually("why is content", soon, func(ctx context.Context) error {
		e, err := s.why(ctx, "web")
		if err == nil && len(e.Problems) > 0 {
			err = fmt.Errorf("problems %q", e.Problems)
		}
		return err
	})
}

// A cloud provider's controller cares for the Service.
func TestCloudControllerIsTold(t *testing.T) {
	s := newScene(t, "Cluster", []string{"n1"})
	const finalizer = "service.kubernetes.io/load-balancer-cleanup"
	cloud := &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Namespace: s.Namespace, Name: "cloud", Finalizers: []string{finalizer},
			Annotations: map[string]string{"metallb.io/address-pool": s.Name}},
		Spec: corev1.ServiceSpec{Type: corev1.ServiceTypeLoadBalancer, Ports: []corev1.ServicePort{{Port: 80}}},
	}
	if err := s.Client.Create(t.Context(), cloud); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		patch := client.RawPatch("application/merge-patch+json", []byte(`{"metadata":{"finalizers":null}}`))
		if err := s.Client.Patch(context.WithoutCancel(t.Context()), cloud, patch); err != nil {
			t.Error(err)
		}
	})
	s.warned("Service", s.Namespace, "cloud", "foreignController", finalizer)
	s.problem("cloud", "cloud provider's controller", finalizer)
	if a, err := s.ingress(t.Context(), "cloud"); err != nil || len(a) > 0 {
		t.Errorf("it has the addresses %v: %v", a, err)
	}
}
