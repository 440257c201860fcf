package allocation

import (
	"context"
	"fmt"
	"math/rand/v2"
	"regexp"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/lintel-lb/lintel/lab"
	"github.com/lintel-lb/lintel/lab/e2e/install"
)

// many begins a test with many Services that have addresses, and one that cannot have one.
func many(t *testing.T, n int) (f fixture, before map[string]state) {
	f = alone(t)
	f.leading(1)
	f.pool("p", []string{f.Routed4.String(), f.Routed6.String()}, nil)
	f.create(append(f.mixture(n), f.build(hopeless, fromPool("none"))))
	t.Cleanup(func() {
		if err := f.Client.DeleteAllOf(context.WithoutCancel(t.Context()), &corev1.Service{}, client.InNamespace(f.Namespace)); err != nil {
			t.Error(err)
		}
	})
	return f, f.states()
}

// A new controller writes nothing where nothing is to be done.
func TestRestart(t *testing.T) {
	f, before := many(t, 300)
	f.deletePod(f.leading(1))
	f.leading(1)
	f.fence("restart")
	f.unchanged(before)
}

// Services that come back from a backup without their status get the same addresses whatever
// order they came in.
func TestRestoreWithoutStatus(t *testing.T) {
	f := alone(t)
	f.pool("p", []string{f.Routed4.String(), f.Routed6.String()}, nil)
	services := append(f.mixture(60),
		f.build("zz-annotated", requesting(f.routed(2).String())),
		f.build("zz-field", func(s *corev1.Service) { s.Spec.LoadBalancerIP = f.routed(200).String() }))
	restore := func(seed uint64) map[string]assignment {
		f.scale(0)
		f.removeServices()
		r := rand.New(rand.NewPCG(seed, seed))
		r.Shuffle(len(services), func(i, j int) { services[i], services[j] = services[j], services[i] })
		f.create(services)
		f.scale(1)
		f.fence(fmt.Sprint("restored-", seed))
		out := map[string]assignment{}
		all, err := f.services(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for i := range all {
			out[all[i].Name] = assignmentOf(&all[i])
		}
		return out
	}
	first := restore(1)
	if diff := cmp.Diff(first, restore(2)); diff != "" {
		t.Errorf("-first +second:\n%s", diff)
	}
	if got := first["zz-field"].Addresses; len(got) != 1 || got[0] != f.routed(200).String() {
		t.Errorf("the Service that asks for %s has %v", f.routed(200), got)
	}
}

// A controller that starts before its pools exist leaves what Services have, and takes it
// over when the pools come.
func TestStartWithoutPools(t *testing.T) {
	f, before := many(t, 20)
	f.noOtherPools(f.Name + "-p")
	f.scale(0)
	f.deletePool(f.Name + "-p")
	f.scale(1)
	f.event(f.service("later"), "Warning", "AllocationFailed", "no IPAddressPool exists")
	services, err := f.services(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for i := range services {
		if s := &services[i]; s.Name != "later" && s.ResourceVersion != before[s.Name].Version {
			t.Errorf("%s was written: %v, before %v", s.Name, assignmentOf(s), before[s.Name])
		}
	}
	f.pool("p", []string{f.Routed4.String(), f.Routed6.String()}, nil)
	f.has(f.service("later"))
	f.unchanged(before, "pool "+f.Name+"-p")
}

// Of two controllers one leads. When its Pod goes, the other goes on, and nothing changes.
func TestTwoControllers(t *testing.T) {
	f, before := many(t, 100)
	leader := f.scale(2)
	f.unchanged(before)
	f.deletePod(leader)
	began := time.Now()
	f.create([]*corev1.Service{f.build("new")})
	f.Eventually("a new Service has an address", takeOver, func(ctx context.Context) error {
		svc := &corev1.Service{}
		if err := f.Client.Get(ctx, f.key("new"), svc); err != nil {
			return err
		}
		if len(svc.Status.LoadBalancer.Ingress) == 0 {
			return fmt.Errorf("it has none%s", f.told(ctx, f.key("new")))
		}
		return nil
	})
	t.Logf("a Service created as the leader was deleted had its address after %v", time.Since(began).Round(time.Millisecond))
	if now := f.leading(2); now == leader {
		t.Errorf("%s leads still", now)
	}
	f.delete(f.key("new"))
	f.fence("two")
	f.unchanged(before, "pool "+f.Name+"-p")
}

// A leader that falls silent is replaced, and when it wakes up it gives nothing away that its
// successor has given.
func TestLeaderPaused(t *testing.T) {
	f, _ := many(t, 50)
	leader := f.scale(2)
	resume := f.pause(f.process(leader))
	began := time.Now()
	var first, second []*corev1.Service
	for i := range 20 {
		first = append(first, f.build(fmt.Sprintf("first-%02d", i)))
		second = append(second, f.build(fmt.Sprintf("second-%02d", i)))
	}
	f.create(first)
	f.Eventually("the other leads", takeOver, func(ctx context.Context) error {
		if now, err := f.holder(ctx); err != nil || now == leader {
			return fmt.Errorf("%s leads, error %v", now, err)
		}
		return nil
	})
	f.has(f.key("first-00"))
	t.Logf("a Service created while the leader was silent had its address after %v", time.Since(began).Round(time.Millisecond))
	between := f.states()
	resume()
	f.create(second)
	f.Eventually("the old leader ends", started, func(ctx context.Context) error {
		if n, err := f.restarts(ctx, leader); err != nil || n == 0 {
			return fmt.Errorf("%d restarts, error %v", n, err)
		}
		return nil
	})
	f.leading(2)
	f.fence("resumed")
	f.unchanged(between, "pool "+f.Name+"-p")
}

// The API server does not answer for so long that the leader loses its lead.
func TestAPIServerAway(t *testing.T) {
	const away = 15 * time.Second
	f, before := many(t, 100)
	f.leading(1)
	signal := func(s syscall.Signal) {
		if err := f.Lab.Signal(lab.ControlPlaneName, "kube-apiserver", s); err != nil {
			t.Error(err)
		}
	}
	t.Cleanup(func() { signal(syscall.SIGCONT) })
	signal(syscall.SIGSTOP)
	<-time.After(away) // how long the fault lasts
	signal(syscall.SIGCONT)
	back := time.Now()
	f.fence("back")
	t.Logf("a Service created as the API server was back had its address after %v", time.Since(back).Round(time.Millisecond))
	f.leading(1)
	f.unchanged(before)
}

// Connections to the API server break, and what happens meanwhile is seen afterwards.
func TestLostWatch(t *testing.T) {
	f, before := many(t, 100)
	leader := f.leading(1)
	restarts, err := f.restarts(t.Context(), leader)
	if err != nil {
		t.Fatal(err)
	}
	heal := f.resetConnections(leader)
	f.delete(f.key("s0003"))
	freed := before["s0003"].Has
	// Nobody else competes for the address: what is seen late is seen in any order.
	f.create([]*corev1.Service{f.build("heir", requesting(freed.Addresses[0]))})
	heal()
	healed := time.Now()
	// A reset may also miss a connection that is busy, and leave it to be noticed by its silence.
	f.fence("healed")
	t.Logf("a Service created as connections were let through again had its address after %v", time.Since(healed).Round(time.Millisecond))
	f.becomes(f.key("heir"), freed)
	f.unchanged(before, "pool "+f.Name+"-p", "s0003")
	if n, err := f.restarts(t.Context(), leader); err != nil || n != restarts {
		t.Errorf("the controller has started %d times again, error %v: the watch was not lost, the process was", n-restarts, err)
	}
}

// resetConnections has the API server's host reset every connection of a Pod. It returns when
// that has happened, with what ends it.
func (f fixture) resetConnections(pod string) (heal func()) {
	f.t.Helper()
	p, err := f.Core.CoreV1().Pods(install.Namespace).Get(f.t.Context(), pod, metav1.GetOptions{})
	if err != nil {
		f.t.Fatal(err)
	}
	run := func(ctx context.Context, argv ...string) []byte {
		out, err := f.Lab.Exec(ctx, lab.ControlPlaneName, argv...)
		if err != nil {
			f.t.Error(err)
		}
		return out
	}
	const table = "allocation"
	counted := regexp.MustCompile(`packets [1-9]`)
	healed := false
	heal = func() {
		if !healed {
			healed = true
			run(context.WithoutCancel(f.t.Context()), "nft", "delete", "table", "inet", table)
		}
	}
	f.t.Cleanup(heal)
	run(f.t.Context(), "nft", "add table inet "+table+
		"; add chain inet "+table+" input { type filter hook input priority 0; }"+
		"; add rule inet "+table+" input ip saddr "+p.Status.PodIP+" tcp dport 6443 counter reject with tcp reset")
	f.Eventually("a connection is reset", soon, func(ctx context.Context) error {
		out := string(run(ctx, "nft", "list", "table", "inet", table))
		if counted.MatchString(out) {
			return nil
		}
		return fmt.Errorf("none yet:\n%s", out)
	})
	return heal
}
