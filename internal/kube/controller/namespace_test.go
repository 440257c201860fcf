package controller

import (
	"log/slog"
	"net/netip"
	"slices"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/record"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	"github.com/lintel-lb/lintel/api/v1beta1"
	"github.com/lintel-lb/lintel/internal/kube/resources"
	"github.com/lintel-lb/lintel/internal/kube/translate"
)

// A Service and its namespace come and go by different watches. Neither the one that is seen too
// early nor the one that is seen too long is judged by labels that are not known.
func TestAServiceWaitsForItsNamespace(t *testing.T) {
	scheme, err := resources.Scheme()
	if err != nil {
		t.Fatal(err)
	}
	labels := map[string]string{"tenant": "a"}
	pool := func(name, addresses string, allocation *v1beta1.ServiceAllocation) *v1beta1.IPAddressPool {
		return &v1beta1.IPAddressPool{
			ObjectMeta: metav1.ObjectMeta{Namespace: "metallb-system", Name: name},
			Spec:       v1beta1.IPAddressPoolSpec{Addresses: []string{addresses}, AllocateTo: allocation},
		}
	}
	c := fake.NewClientBuilder().WithScheme(scheme).WithObjects(
		pool("open", "192.0.2.0/24", nil),
		pool("tenant", "198.51.100.0/24", &v1beta1.ServiceAllocation{NamespaceSelectors: []metav1.LabelSelector{{MatchLabels: labels}}}),
	).Build()
	metrics, err := NewMetrics(prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	ctl := New(Config{Namespace: "metallb-system", Classes: translate.ParseClasses("")}, Parts{
		Log: slog.New(slog.DiscardHandler), Cache: store{client: c}, Client: c, Events: record.NewFakeRecorder(100), Metrics: metrics,
	})
	svc := service("web", "u1", "1")
	svc.Spec = corev1.ServiceSpec{Type: corev1.ServiceTypeLoadBalancer, ClusterIPs: []string{"10.96.0.1"}}
	step := func(change func(*batch), want ...string) {
		t.Helper()
		b := newBatch()
		change(b)
		ctl.apply(t.Context(), b)
		var addrs []netip.Addr
		for _, a := range want {
			addrs = append(addrs, netip.MustParseAddr(a))
		}
		if got := ctl.alloc.Held(keyOf(svc)); !slices.Equal(got, addrs) {
			t.Errorf("the Service holds %v, want %v", got, want)
		}
	}
	step(func(b *batch) { b.config = true })
	step(func(b *batch) { b.services[keyOf(svc)] = svc })
	step(func(b *batch) {
		b.setNamespace(&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: svc.Namespace, Labels: labels}})
	}, "198.51.100.0")
	step(func(b *batch) { removeFrom(b, b.namespaces, svc.Namespace) }, "198.51.100.0")
	step(func(b *batch) { b.setNamespace(&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: svc.Namespace}}) }, "192.0.2.0")
}
