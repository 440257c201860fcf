package migrator

import (
	"context"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/lintel-lb/lintel/api/v1beta1"
	"github.com/lintel-lb/lintel/internal/lb"
	"github.com/lintel-lb/lintel/internal/takeover"
)

// change does something to Service default/web, as its user or a controller would.
func change(t *testing.T, m *Migrator, how func(*corev1.Service)) {
	t.Helper()
	svc := &corev1.Service{}
	if err := m.Client.Get(t.Context(), client.ObjectKey{Namespace: "default", Name: "web"}, svc); err != nil {
		t.Fatal(err)
	}
	before := svc.UID
	how(svc)
	if svc.UID != before {
		if err := m.Client.Delete(t.Context(), svc); err != nil {
			t.Fatal(err)
		}
		svc.ResourceVersion = ""
		if err := m.Client.Create(t.Context(), svc); err != nil {
			t.Fatal(err)
		}
		return
	}
	status := svc.Status
	if err := m.Client.Update(t.Context(), svc); err != nil {
		t.Fatal(err)
	}
	svc.Status = status
	if err := m.Client.Status().Update(t.Context(), svc); err != nil {
		t.Fatal(err)
	}
}

func address(svc *corev1.Service, a string) {
	svc.Status.LoadBalancer.Ingress = []corev1.LoadBalancerIngress{{IP: a}}
}

// Only an address that the same Service has lost is a change.
func TestChanged(t *testing.T) {
	for _, row := range []struct {
		name string
		how  func(*corev1.Service)
		want string
	}{
		{"nothing", func(*corev1.Service) {}, ""},
		{"another address", func(s *corev1.Service) { address(s, "192.0.2.99") }, "Service default/web had 192.0.2.10 and has 192.0.2.99 now"},
		{"no address", func(s *corev1.Service) { s.Status.LoadBalancer.Ingress = nil }, "Service default/web had 192.0.2.10 and has none now"},
		{"another type", func(s *corev1.Service) {
			s.Spec.Type, s.Status.LoadBalancer.Ingress = corev1.ServiceTypeClusterIP, nil
		}, ""},
		{"made anew", func(s *corev1.Service) { s.UID = "web-2"; address(s, "192.0.2.99") }, ""},
	} {
		t.Run(row.name, func(t *testing.T) {
			m := start(t, "n1")
			s := read(t, m)
			if err := m.begin(t.Context(), s); err != nil {
				t.Fatal(err)
			}
			change(t, m, row.how)
			got, err := m.changed(t.Context(), s)
			if err != nil || strings.Join(got, "; ") != row.want {
				t.Errorf("got %v, %v, want %q", got, err, row.want)
			}
			if err := m.sameAddresses(t.Context(), s); (err != nil) != (row.want != "") || err != nil && !strings.Contains(err.Error(), row.want) {
				t.Errorf("got %v, want %q", err, row.want)
			}
		})
	}
	m := start(t, "n1")
	s := read(t, m)
	if err := m.begin(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	if err := m.Client.Delete(t.Context(), &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "web"}}); err != nil {
		t.Fatal(err)
	}
	if got, err := m.changed(t.Context(), s); err != nil || len(got) > 0 {
		t.Errorf("a Service that its user has deleted: %v, %v", got, err)
	}
}

// What users did to their Services after a take-over, or in the middle of it, is no change of
// the next run, whichever way it goes.
func TestServicesChangeBetweenRuns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, _ := simulate(t, "n1", "n2")
		m.Nodes = []string{"n1"}
		forward(t, m)
		change(t, m, func(s *corev1.Service) { address(s, "192.0.2.98") })
		m.Nodes = nil
		forward(t, m)
		change(t, m, func(s *corev1.Service) { address(s, "192.0.2.99") })
		changed, err := m.Revert(t.Context(), read(t, m))
		if err != nil || len(changed) > 0 {
			t.Errorf("changed %v, %v", changed, err)
		}
		if s := read(t, m); s.Record != nil {
			t.Error("the record is left")
		}
	})
}

// An address that changes on the way back is told and does not keep the way back from its end.
func TestRevertToldOfAnotherAddress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, _ := simulate(t, "n1", "n2")
		forward(t, m)
		say := m.Say
		m.Say = func(format string, args ...any) {
			if say(format, args...); len(args) > 2 && args[2] == string(takeover.StopController) {
				change(t, m, func(s *corev1.Service) { address(s, "192.0.2.99") })
			}
		}
		changed, err := m.Revert(t.Context(), read(t, m))
		if err != nil || len(changed) != 1 || !strings.Contains(changed[0], "192.0.2.99") {
			t.Errorf("changed %v, %v", changed, err)
		}
		err = m.Client.Get(t.Context(), types.NamespacedName{Namespace: namespace, Name: takeover.RecordName}, &corev1.Secret{})
		if !apierrors.IsNotFound(err) {
			t.Errorf("the record is left: %v", err)
		}
	})
}

// A change between the two controllers is noticed, also by a run that goes on from there.
func TestAnotherAddressOfTheNewController(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, _ := simulate(t, "n1")
		say := m.Say
		m.Say = func(format string, args ...any) {
			if say(format, args...); len(args) > 2 && strings.Contains(args[2].(string), "start Deployment") {
				change(t, m, func(s *corev1.Service) { address(s, "192.0.2.99") })
			}
		}
		for range 2 {
			if err := m.Forward(t.Context(), read(t, m)); err == nil || !strings.Contains(err.Error(), "192.0.2.99") {
				t.Errorf("got %v", err)
			}
		}
	})
}

// What moves while a node's speaker is replaced is not the node's to announce any more.
func TestWhatHasMovedIsNotAwaited(t *testing.T) {
	const web, local = "default/web by layer2", "default/local by layer2"
	status := func(service, node string) *v1beta1.ServiceL2Status {
		return &v1beta1.ServiceL2Status{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: service + "-" + node},
			Status: v1beta1.ServiceL2StatusValue{Node: node, ServiceName: service, ServiceNamespace: "default"}}
	}
	m := start(t, "n1", "n2")
	s := read(t, m)
	d, err := m.decide(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	owner, _ := d.Owner(netip.MustParseAddr("192.0.2.10"))
	other := map[string]string{"n1": "n2", "n2": "n1"}[owner]
	for _, row := range []struct {
		name, node string
		change     func(*lb.World)
		status     *v1beta1.ServiceL2Status
		missing    []string
		want       []string
	}{
		{name: "its own", node: owner, missing: []string{web}, want: []string{web}},
		{name: "elected elsewhere, and not announced there yet", node: other, missing: []string{web}, want: []string{web}},
		{name: "announced elsewhere", node: other, status: status("web", owner), missing: []string{web}},
		{name: "its endpoint is there", node: "n1", missing: []string{local}, want: []string{local}},
		{name: "its endpoint has moved", node: "n1", missing: []string{local, web}, want: map[string][]string{"n1": {web}}[owner],
			status: status("web", owner), change: func(w *lb.World) {
				w.Endpoints[lb.ServiceKey{Namespace: "default", Name: "local"}] = lb.Endpoints{Usable: 1, Total: 1, ByNode: map[string]int{"n2": 1}}
			}},
		{name: "refused configuration", node: "n1", missing: []string{web}, want: []string{web}, change: func(w *lb.World) { w.Config = (&lb.Config{}).Index() }},
	} {
		t.Run(row.name, func(t *testing.T) {
			m := start(t, "n1", "n2")
			m.World = func(context.Context) (*lb.World, error) {
				w := world("n1", "n2")
				if row.change != nil {
					row.change(w)
				}
				return w, nil
			}
			if row.status != nil {
				if err := m.Client.Create(t.Context(), row.status); err != nil {
					t.Fatal(err)
				}
			}
			got, err := m.withoutMoved(t.Context(), read(t, m), row.node, row.missing)
			if err != nil || !slices.Equal(got, row.want) {
				t.Errorf("awaited %q, error %v, want %q", got, err, row.want)
			}
		})
	}
}
