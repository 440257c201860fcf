package labtest

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/lintel-lb/lintel/lab"
	"github.com/lintel-lb/lintel/lab/probe"
)

func TestMain(m *testing.M) {
	Main(m, Options{Lab: lab.Options{Name: "labtest", Nodes: 2}})
}

const service = `
apiVersion: v1
kind: Service
metadata:
  name: web
spec:
  type: LoadBalancer
  ipFamilyPolicy: RequireDualStack
  selector: {app: web}
  ports:
  - {port: 80, targetPort: http}
`

// announce does by hand what a load balancer does: it gives the Service its
// addresses and puts them on a node, which then answers for them.
func announce(t *testing.T, e *Env, node string) (v4, v6 netip.Addr) {
	t.Helper()
	v4, v6 = e.Pool4.At(0), e.Pool6.At(0)
	var s corev1.Service
	if err := e.Client.Get(t.Context(), client.ObjectKey{Namespace: e.Namespace, Name: "web"}, &s); err != nil {
		t.Fatal(err)
	}
	s.Status.LoadBalancer.Ingress = []corev1.LoadBalancerIngress{{IP: v4.String()}, {IP: v6.String()}}
	if err := e.Client.Status().Update(t.Context(), &s); err != nil {
		t.Fatal(err)
	}
	move(t, e, "add", node, v4, v6)
	t.Cleanup(func() { move(t, e, "delete", node, v4, v6) })
	return v4, v6
}

func move(t *testing.T, e *Env, verb, node string, addrs ...netip.Addr) {
	t.Helper()
	for _, a := range addrs {
		argv := []string{"ip", "address", verb, netip.PrefixFrom(a, a.BitLen()).String(), "dev", linkPort}
		if verb == "add" && a.Is6() {
			argv = append(argv, "nodad")
		}
		if _, err := e.Lab.Exec(context.WithoutCancel(t.Context()), node, argv...); err != nil {
			t.Error(err)
		}
	}
}

func url(a netip.Addr) string { return "http://" + netip.AddrPortFrom(a, 80).String() + "/" }

func TestPageBehindAnAddress(t *testing.T) {
	e := New(t)
	e.Page("web", 2)
	e.Apply(service, nil)
	v4, v6 := announce(t, e, "n2")
	for _, a := range []netip.Addr{v4, v6} {
		for _, from := range []string{"c1", "f1"} {
			e.Eventually(fmt.Sprintf("%s reaches both Pods at %s", from, a), 20*time.Second, func(ctx context.Context) error {
				var nodes []string
				for range 20 {
					r, err := e.GetFrom(ctx, from, url(a))
					if err != nil {
						return err
					}
					nodes = append(nodes, r.Page.Node)
				}
				slices.Sort(nodes)
				if nodes = slices.Compact(nodes); len(nodes) != 2 {
					return fmt.Errorf("answers from %v", nodes)
				}
				return nil
			})
		}
		n, err := e.Neighbor("c1", a)
		if err != nil || e.HostOf(n.MAC) != "n2" {
			t.Errorf("c1 sends packets for %s to %v, %v; want n2", a, n, err)
		}
		who, err := e.Answerers(t.Context(), "c1", a)
		if err != nil || !slices.Equal(who, []string{"n2"}) {
			t.Errorf("for %s answer %v, %v; want n2", a, who, err)
		}
	}
	for _, a := range []netip.Addr{e.Pool4.At(1), e.Pool6.At(1)} {
		if who, err := e.Answerers(t.Context(), "c1", a); err != nil || len(who) > 0 {
			t.Errorf("for %s answer %v, %v; want nobody", a, who, err)
		}
		if _, err := e.Get(t.Context(), url(a)); err == nil {
			t.Errorf("%s answers", a)
		}
	}
	if _, err := e.Get(t.Context(), url(v4)+"nothing"); err == nil || !strings.Contains(err.Error(), "404") {
		t.Errorf("error %v, want 404", err)
	}
}

func TestTwoAnswerers(t *testing.T) {
	e := New(t)
	v4, v6 := e.Pool4.At(0), e.Pool6.At(0)
	for _, node := range []string{"n1", "n2"} {
		move(t, e, "add", node, v4, v6)
		defer move(t, e, "delete", node, v4, v6)
	}
	for _, a := range []netip.Addr{v4, v6} {
		if who, err := e.Answerers(t.Context(), "c1", a); err != nil || !slices.Equal(who, []string{"n1", "n2"}) {
			t.Errorf("for %s answer %v, %v; want n1 and n2", a, who, err)
		}
	}
}

func TestBreakProbeRepair(t *testing.T) {
	e := New(t)
	e.Page("web", 2)
	e.Apply(service, nil)
	v4, _ := announce(t, e, "n1")
	e.Eventually("the page is served", 20*time.Second, func(ctx context.Context) error {
		_, err := e.Get(ctx, url(v4))
		return err
	})
	p := e.Probe("c1", probe.Options{URL: url(v4), Control: time.Second})
	p.Mark("blackhole")
	e.Break("n1", lab.FaultBlackhole)
	e.Eventually("the probe sees it", 10*time.Second, func(context.Context) error {
		if got := p.Progress(); got.Reason.Fault() != probe.FaultAddress {
			return fmt.Errorf("%v", got)
		}
		return nil
	})
	e.Repair("n1")
	healed := p.Progress().OK
	e.Eventually("the page is back", 30*time.Second, func(context.Context) error {
		if got := p.Progress(); got.OK < healed+5 {
			return fmt.Errorf("%v", got)
		}
		return nil
	})
	r := p.Stop()
	t.Log(r)
	gaps := r.GapsSince("blackhole")
	if len(r.Tainted) > 0 || len(gaps) == 0 || gaps[0].Fault != probe.FaultAddress {
		t.Errorf("want a gap with the address at fault:\n%v", r)
	}
}

func TestApplyRefusesWhatIsNotItsOwn(t *testing.T) {
	e := New(t)
	err := e.TryApply("apiVersion: v1\nkind: Namespace\nmetadata: {name: default}\n", nil)
	if err == nil || !strings.Contains(err.Error(), "not this test's") {
		t.Errorf("error %v", err)
	}
	err = e.TryApply("apiVersion: v1\nkind: Service\nmetadata: {name: bad}\nspec: {ports: [{port: 99999}]}\n", nil)
	if !apierrors.IsInvalid(errors.Unwrap(err)) {
		t.Errorf("error %v, want one of the API server", err)
	}
}

// recorded is a test that fails without failing.
type recorded struct {
	*testing.T
	failed   bool
	said     strings.Builder
	cleanups []func()
}

func (r *recorded) Failed() bool               { return r.failed }
func (r *recorded) Cleanup(f func())           { r.cleanups = append(r.cleanups, f) }
func (r *recorded) Logf(f string, args ...any) { fmt.Fprintf(&r.said, f+"\n", args...) }

func TestFailureLeavesADirectory(t *testing.T) {
	r := &recorded{T: t}
	e := New(r)
	e.Page("web", 1)
	e.Apply("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\n", nil)
	e.Apply("apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole\nmetadata: {name: '{{.Name}}'}\n", nil)
	e.Capture("c1", "arp or icmp6")
	if _, err := e.Answerers(t.Context(), "c1", e.Pool4.At(0)); err != nil {
		t.Error(err)
	}
	r.failed = true
	for _, f := range slices.Backward(r.cleanups) {
		f()
	}

	_, dir, ok := strings.Cut(strings.TrimSpace(r.said.String()), " is in ")
	if !ok {
		t.Fatalf("no directory in the log: %q", r.said.String())
	}
	defer func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
		// Only if nothing else is in it, which is another failed test's.
		_ = os.Remove(filepath.Dir(dir))
	}()
	for _, want := range []string{
		"network/c1.txt", "network/n1.txt", "network/sw.txt", "captures/01-c1.pcap", "objects/pods.yaml", "objects/nodes.yaml",
		"objects/services.yaml", "objects/endpointslices.discovery.k8s.io.yaml", "daemons/n1/kubelet.log", "daemons/cp/kube-apiserver.log",
		"pods/" + e.Namespace + "/web-*/page.log",
	} {
		found, err := filepath.Glob(filepath.Join(dir, want))
		if err != nil || len(found) != 1 {
			t.Errorf("%s: %v, %v", want, found, err)
			continue
		}
		if info, err := os.Stat(found[0]); err != nil || info.Size() == 0 {
			t.Errorf("%s is empty (%v)", want, err)
		}
	}
	if why, err := os.ReadFile(filepath.Join(dir, "not-collected.txt")); err == nil {
		t.Errorf("not collected: %s", why)
	}

	n, err := e.Core.CoreV1().Namespaces().Get(t.Context(), e.Namespace, metav1.GetOptions{})
	if !apierrors.IsNotFound(err) && (err != nil || n.DeletionTimestamp == nil) {
		t.Errorf("the namespace after the test: %v, want it gone or going", err)
	}
	pods, err := e.Core.CoreV1().Pods(e.Namespace).List(t.Context(), metav1.ListOptions{})
	if err != nil || len(pods.Items) > 0 {
		t.Errorf("%d Pods after the test, %v", len(pods.Items), err)
	}
	if _, err := e.Core.RbacV1().ClusterRoles().Get(t.Context(), e.Name, metav1.GetOptions{}); !apierrors.IsNotFound(err) {
		t.Errorf("the cluster role after the test: %v, want it gone", err)
	}
}
