package controller

import (
	"context"
	"fmt"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/record"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	"github.com/lintel-lb/lintel/api/v1beta1"
	"github.com/lintel-lb/lintel/internal/kube/resources"
	"github.com/lintel-lb/lintel/internal/kube/translate"
)

// store is a cache that is always up to date.
type store struct {
	cache.Cache
	client client.Client
}

func (s store) List(ctx context.Context, list client.ObjectList, opts ...client.ListOption) error {
	return s.client.List(ctx, list, opts...)
}

// A restore makes pools one after another. The first one is no reason to renumber the Services
// of those that follow.
func TestTheFirstPoolOfARestoreWaitsForTheOthers(t *testing.T) {
	restore(t, func(pool func(name, addresses string), remove func(name string), wait func(time.Duration, string)) {
		wait(time.Minute, "192.0.2.7")
		pool("a", "198.51.100.0/24")
		wait(time.Second, "192.0.2.7")
		pool("b", "192.0.2.0/24")
		wait(time.Minute, "192.0.2.7")
		remove("b")
		wait(time.Second, "198.51.100.0")
	})
}

// Where something changes all the time, the wait comes to an end.
func TestARestoreEndsAmongOtherChanges(t *testing.T) {
	restore(t, func(pool func(name, addresses string), _ func(string), wait func(time.Duration, string)) {
		wait(time.Minute, "192.0.2.7")
		pool("a", "198.51.100.0/24")
		for i := range 9 {
			wait(3*time.Second, "192.0.2.7")
			pool(fmt.Sprintf("more-%d", i), fmt.Sprintf("203.0.113.%d/32", i))
		}
		wait(4*time.Second, "198.51.100.0")
	})
}

// restore runs a controller that finds a Service with an address of pool b, and no pool.
func restore(t *testing.T, story func(pool func(name, addresses string), remove func(name string), wait func(time.Duration, string))) {
	t.Helper()
	scheme, err := resources.Scheme()
	if err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		const namespace = "metallb-system"
		svc := service("web", "u1", "")
		svc.Annotations = map[string]string{"metallb.io/ip-allocated-from-pool": "b"}
		svc.Spec = corev1.ServiceSpec{Type: corev1.ServiceTypeLoadBalancer, ClusterIPs: []string{"10.96.0.1"}}
		svc.Status.LoadBalancer.Ingress = []corev1.LoadBalancerIngress{{IP: "192.0.2.7"}}
		c := fake.NewClientBuilder().WithScheme(scheme).WithObjects(svc).WithStatusSubresource(svc, &v1beta1.IPAddressPool{}).Build()
		metrics, err := NewMetrics(prometheus.NewRegistry())
		if err != nil {
			t.Fatal(err)
		}
		ctl := New(Config{Namespace: namespace, Classes: translate.ParseClasses("")}, Parts{
			Log: slog.New(slog.DiscardHandler), Cache: store{client: c}, Client: c, Events: record.NewFakeRecorder(100), Metrics: metrics,
		})
		leads := func() bool { return true }
		ctl.writer.leads, ctl.objects.leads = leads, leads
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{}, 3)
		see := func() *corev1.Service {
			now := &corev1.Service{}
			if err := c.Get(ctx, client.ObjectKeyFromObject(svc), now); err != nil {
				t.Fatal(err)
			}
			ctl.inbox.Post(func(b *batch) { b.services[keyOf(now)] = now })
			return now
		}
		see()
		ctl.inbox.Post(func(b *batch) { b.namespaces[svc.Namespace] = map[string]string{} })
		for _, run := range []func(context.Context){ctl.loop, ctl.writer.run, ctl.objects.run} {
			go func() { run(ctx); done <- struct{}{} }()
		}
		pool := func(name, addresses string) {
			p := &v1beta1.IPAddressPool{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}, Spec: v1beta1.IPAddressPoolSpec{Addresses: []string{addresses}}}
			if err := c.Create(ctx, p); err != nil {
				t.Fatal(err)
			}
			ctl.inbox.Post(func(b *batch) { b.config = true })
		}
		wait := func(d time.Duration, want string) {
			t.Helper()
			time.Sleep(d)
			if in := see().Status.LoadBalancer.Ingress; len(in) != 1 || in[0].IP != want {
				t.Errorf("the Service has %v, want %s", in, want)
			}
		}

		remove := func(name string) {
			if err := c.Delete(ctx, &v1beta1.IPAddressPool{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}}); err != nil {
				t.Fatal(err)
			}
			ctl.inbox.Post(func(b *batch) { b.config = true })
		}
		story(pool, remove, wait)
		cancel()
		for range cap(done) {
			<-done
		}
	})
}
