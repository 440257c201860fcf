package bgp

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/lintel-lb/lintel/lab"
	"github.com/lintel-lb/lintel/lab/e2e/install"
	"github.com/lintel-lb/lintel/lab/probe"
)

// onLayer2 is a Service with an address that only n2 announces on the nodes' segment.
const onLayer2 = `
apiVersion: metallb.io/v1beta1
kind: IPAddressPool
metadata: {name: '{{.Name}}-lan', namespace: metallb-system}
spec:
  autoAssign: false
  addresses: ['{{.Pool4}}']
---
apiVersion: metallb.io/v1beta1
kind: L2Advertisement
metadata: {name: '{{.Name}}-lan', namespace: metallb-system}
spec:
  ipAddressPools: ['{{.Name}}-lan']
  nodeSelectors: [{matchLabels: {kubernetes.io/hostname: n2}}]
---
apiVersion: v1
kind: Service
metadata:
  name: lan
  annotations: {metallb.io/address-pool: '{{.Name}}-lan'}
spec:
  type: LoadBalancer
  selector: {app: web}
  ports: [{name: http, port: 80, targetPort: 80}]
`

// A speaker that is killed while the API server is away goes on from the copy on its node's
// disk: routers do not lose its routes, ARP is answered, and a session with a password opens.
// When the API server is back nothing is withdrawn and no session is reset.
func TestSpeakerRestartsWithoutAPIServer(t *testing.T) {
	const node = "n2"
	s := newScene(t, over4("password right"))
	s.Apply(secret, map[string]any{"Password": "right"})
	s.peer("four", router4, "passwordSecret: {name: '"+s.Name+"'}")
	s.advertise("")
	v4, _ := s.pages("Local", node)
	s.Apply(onLayer2, nil)
	lan := s.address("lan")
	s.whole(v4, node)
	if before := s.speaker(node); before.Status.ContainerStatuses[0].RestartCount > 0 {
		// A container that ended before in the same Pod is kept waiting by kubelet.
		s.kubectl("-n", install.Namespace, "delete", "pod", before.Name, "--wait=false")
		s.restarted(node, before)
		s.whole(v4, node)
	}
	answered := func(ctx context.Context) error {
		who, err := s.Answerers(ctx, "c1", lan)
		if err == nil && !slices.Equal(who, []string{node}) {
			err = fmt.Errorf("it is answered by %v", who)
		}
		return err
	}
	s.Eventually(node+" answers for "+lan.String(), soon, answered)
	s.Eventually("the copy is kept", soon, func(ctx context.Context) error {
		_, err := s.Lab.Exec(ctx, node, "grep", "-q", lan.String(), "/var/lib/lintel/world-"+node)
		return err
	})
	if mode := strings.TrimSpace(s.exec(node, "stat", "-c", "%a %u", "/var/lib/lintel/world-"+node)); mode != "600 0" {
		t.Errorf("the copy has mode and owner %s", mode)
	}

	session := s.router.sessions(false, s.nodes()...)
	routed, onLink := s.Probe(far, probe.Options{URL: url(v4), Timeout: patient}), s.Probe("c1", probe.Options{URL: "http://" + lan.String() + "/", Timeout: patient})
	if err := s.Lab.Signal(lab.ControlPlaneName, "kube-apiserver", syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	resume := sync.OnceFunc(func() {
		if err := s.Lab.Signal(lab.ControlPlaneName, "kube-apiserver", syscall.SIGCONT); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(resume)
	old := s.pid(node)
	routed.Mark("kill")
	onLink.Mark("kill")
	began := time.Now()
	if err := syscall.Kill(old, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	s.Eventually("the router has a new session with "+node+" and a fresh route", time.Minute, func(ctx context.Context) error {
		all, err := s.router.neighbors(ctx)
		if err != nil {
			return err
		}
		paths, err := s.router.paths(ctx, v4)
		if err != nil {
			return err
		}
		n := all[s.host(node).String()]
		if n.State != "Established" || n.Established <= session[node].Established || len(paths) != 1 || paths[node].Stale {
			return fmt.Errorf("%+v, %+v", n, paths)
		}
		return nil
	})
	t.Logf("without API server the router had a fresh route %v after the kill", time.Since(began).Round(time.Millisecond))
	s.Eventually(node+" answers for "+lan.String()+" again", soon, answered)
	t.Logf("and ARP was answered after %v", time.Since(began).Round(time.Millisecond))
	if said := s.exec(node, "grep", "-rho", "working from the copy on the disk", "/var/log/pods"); said == "" {
		t.Error("the speaker's log does not say that it works from the copy")
	}

	again := s.router.sessions(false, s.nodes()...)
	fresh, err := s.router.paths(t.Context(), v4)
	if err != nil {
		t.Fatal(err)
	}
	resume()
	s.Eventually("the speaker is back at the API server", time.Minute, func(ctx context.Context) error {
		_, err := s.Lab.Exec(ctx, node, "grep", "-rq", "the API server is back", "/var/log/pods")
		return err
	})
	// A change that comes after the switch shows that the speaker follows again.
	v4other, _ := s.service("other", "Cluster", node)
	s.router.announced(v4other, s.nodes()...)
	s.untouched(false, again)
	now, err := s.router.paths(t.Context(), v4)
	if err != nil {
		t.Fatal(err)
	}
	// FRR computes the time from an age in whole seconds, so it may differ by one.
	if a, b := fresh[node], now[node]; b.LastUpdate.Epoch > a.LastUpdate.Epoch+1 || b.LastUpdate.Epoch == 0 {
		t.Errorf("the route was told again when the API server was back: %+v, then %+v", a, b)
	}
	for name, p := range map[string]*probe.Probe{"BGP": routed, "layer 2": onLink} {
		r := p.Stop()
		t.Logf("%s: %d of %d requests failed", name, r.Failed(), r.Attempts)
		if r.Failed() > 0 {
			t.Errorf("%s lost requests:\n%v", name, r)
		}
	}
}

// The speaker of a node whose connections to the API server are lost without a word, as when a
// host of the control plane dies, makes new ones and sees what has changed.
func TestConnectionLostWithoutAWord(t *testing.T) {
	const node, table = "n2", "lost"
	s := newScene(t, over4())
	s.peer("four", router4)
	s.advertise("")
	v4, _ := s.service("web", "Local", node)
	s.router.announced(v4, node)
	before := s.router.sessions(false, s.nodes()...)
	pod := s.speaker(node)

	var ports []string
	for _, line := range strings.Split(s.exec(lab.ControlPlaneName, "ss", "-Htn", "state", "established", "sport", "=", ":6443"), "\n") {
		fields := strings.Fields(line)
		if len(fields) < 4 {
			continue
		}
		peer, err := netip.ParseAddrPort(fields[3])
		if err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		if peer.Addr().Unmap() == s.host(node) {
			ports = append(ports, fmt.Sprint(peer.Port()))
		}
	}
	if len(ports) == 0 {
		t.Fatalf("the API server has no connection of %s", node)
	}
	t.Cleanup(func() {
		_, _ = s.Lab.Exec(context.WithoutCancel(t.Context()), lab.ControlPlaneName, "nft", "delete", "table", "inet", table)
	})
	s.exec(lab.ControlPlaneName, "nft", "add table inet "+table+
		"; add chain inet "+table+" input { type filter hook input priority 0; }"+
		"; add rule inet "+table+" input ip saddr "+s.host(node).String()+" tcp sport { "+strings.Join(ports, ", ")+" } tcp dport 6443 drop"+
		"; add chain inet "+table+" output { type filter hook output priority 0; }"+
		"; add rule inet "+table+" output ip daddr "+s.host(node).String()+" tcp dport { "+strings.Join(ports, ", ")+" } tcp sport 6443 drop")
	began := time.Now()
	other, _ := s.service("other", "Local", node)
	s.Eventually("the router has the new route of "+node, time.Minute, func(ctx context.Context) error {
		paths, err := s.router.paths(ctx, other)
		if err == nil && len(paths) != 1 {
			err = fmt.Errorf("%+v", paths)
		}
		return err
	})
	t.Logf("a Service was announced %v after %d connections of its node were lost", time.Since(began).Round(time.Millisecond), len(ports))
	s.untouched(false, before)
	if now := s.speaker(node); now.Name != pod.Name || now.Status.ContainerStatuses[0].RestartCount != pod.Status.ContainerStatuses[0].RestartCount {
		t.Errorf("the speaker was started again: that proves nothing of its connections")
	}
}

// address waits until a Service has an address.
func (s *scene) address(name string) (a netip.Addr) {
	s.t.Helper()
	s.Eventually("Service "+name+" has an address", soon, func(ctx context.Context) error {
		var svc corev1.Service
		if err := s.Client.Get(ctx, client.ObjectKey{Namespace: s.Namespace, Name: name}, &svc); err != nil {
			return err
		}
		if len(svc.Status.LoadBalancer.Ingress) == 0 {
			return fmt.Errorf("it has none")
		}
		var err error
		a, err = netip.ParseAddr(svc.Status.LoadBalancer.Ingress[0].IP)
		return err
	})
	return a
}
