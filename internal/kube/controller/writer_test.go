package controller

import (
	"context"
	"log/slog"
	"net/netip"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/record"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	"github.com/lintel-lb/lintel/internal/ipam"
)

// A process that was stopped and has lost the lead meanwhile does not write what it decided.
func TestNothingIsWrittenWithoutTheLead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		svc := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "web"}}
		c := fake.NewClientBuilder().WithObjects(svc).WithStatusSubresource(svc).Build()
		get := func() *corev1.Service {
			got := &corev1.Service{}
			if err := c.Get(t.Context(), client.ObjectKeyFromObject(svc), got); err != nil {
				t.Fatal(err)
			}
			return got
		}
		var lead atomic.Bool
		w := newServiceWriter(slog.New(slog.DiscardHandler), c, record.NewFakeRecorder(1))
		w.leads = lead.Load
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { defer close(done); w.run(ctx) }()

		w.set(keyOf(svc), assignment{base: get(), addresses: []netip.Addr{netip.MustParseAddr("192.0.2.1")}, pool: "p"})
		time.Sleep(5 * time.Second)
		if got := get().Status.LoadBalancer.Ingress; len(got) > 0 {
			t.Errorf("without the lead %v was written", got)
		}
		lead.Store(true)
		time.Sleep(15 * time.Second)
		if got := get().Status.LoadBalancer.Ingress; len(got) != 1 || got[0].IP != "192.0.2.1" {
			t.Errorf("with the lead the status is %v", got)
		}
		cancel()
		<-done
	})
}

// A Service that cannot be written may be decided about any number of times.
func TestEventsOfAWaitingWriteAreKeptOnce(t *testing.T) {
	svc := service("web", "u1", "1")
	w := newServiceWriter(slog.New(slog.DiscardHandler), nil, nil)
	defer w.queue.ShutDown()
	first, other := ipam.Event{Reason: "deprecatedAnnotation"}, ipam.Event{Reason: "IPAllocated"}
	for range 100 {
		w.set(keyOf(svc), assignment{base: svc, events: []ipam.Event{first}})
	}
	w.set(keyOf(svc), assignment{base: svc, events: []ipam.Event{other, first}})
	if got := w.pending[keyOf(svc)].events; !slices.Equal(got, []ipam.Event{first, other}) {
		t.Errorf("%d events wait", len(got))
	}
}
