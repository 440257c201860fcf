package allocation

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/lintel-lb/lintel/lab/e2e/install"
	"github.com/lintel-lb/lintel/lab/labtest"
)

// soon is how long a test waits for the controller. It is long because the machine may be
// busy; the measurement says how fast the controller is.
const soon = 20 * time.Second

// allocatedFrom is the annotation that names the pool an address came from.
const allocatedFrom = "metallb.io/ip-allocated-from-pool"

// fixture is what one test has, with words for pools and Services.
type fixture struct {
	*labtest.Env
	t testing.TB
}

// beside begins a test that touches nothing but what is its own.
func beside(t *testing.T) fixture {
	t.Parallel()
	return fixture{Env: labtest.New(t), t: t}
}

// alone begins a test that changes what others see too.
func alone(t testing.TB) fixture { return fixture{Env: labtest.New(t), t: t} }

// spec is that of an IPAddressPool, without the addresses.
type spec map[string]any

// pool applies an IPAddressPool and returns its name. It is for the test's namespace only,
// unless the spec has a serviceAllocation.
func (f fixture) pool(suffix string, addresses []string, more spec) string {
	f.t.Helper()
	name := f.Name + "-" + suffix
	s := map[string]any{
		"addresses":         addresses,
		"serviceAllocation": map[string]any{"namespaces": []string{f.Namespace}},
	}
	maps.Copy(s, more)
	f.apply(map[string]any{
		"apiVersion": "metallb.io/v1beta1",
		"kind":       "IPAddressPool",
		"metadata":   map[string]any{"name": name, "namespace": install.Namespace},
		"spec":       s,
	})
	return name
}

// deletePool deletes a pool that pool has applied.
func (f fixture) deletePool(name string) {
	f.t.Helper()
	p := newPool()
	p.SetNamespace(install.Namespace)
	p.SetName(name)
	if err := f.Client.Delete(f.t.Context(), p); err != nil {
		f.t.Fatal(err)
	}
}

func newPool() *unstructured.Unstructured {
	p := &unstructured.Unstructured{}
	p.SetAPIVersion("metallb.io/v1beta1")
	p.SetKind("IPAddressPool")
	return p
}

// namespace makes a further namespace, or changes the labels of one.
func (f fixture) namespace(name string, labels map[string]string) string {
	f.t.Helper()
	f.apply(map[string]any{"apiVersion": "v1", "kind": "Namespace", "metadata": map[string]any{"name": name, "labels": labels}})
	return name
}

func (f fixture) apply(object map[string]any) {
	f.t.Helper()
	text, err := json.Marshal(object)
	if err != nil {
		f.t.Fatal(err)
	}
	f.Apply(string(text), nil)
}

// service applies a Service of type LoadBalancer with one port, one family and these changes.
func (f fixture) service(name string, changes ...change) client.ObjectKey {
	f.t.Helper()
	svc := f.build(name, changes...)
	text, err := json.Marshal(svc)
	if err != nil {
		f.t.Fatal(err)
	}
	var object map[string]any
	if err := json.Unmarshal(text, &object); err != nil {
		f.t.Fatal(err)
	}
	delete(object, "status")
	f.apply(object)
	return client.ObjectKeyFromObject(svc)
}

// build is a Service that service would apply.
func (f fixture) build(name string, changes ...change) *corev1.Service {
	single := corev1.IPFamilyPolicySingleStack
	svc := &corev1.Service{Spec: corev1.ServiceSpec{
		Type:           corev1.ServiceTypeLoadBalancer,
		IPFamilyPolicy: &single,
		Selector:       map[string]string{"app": name},
		Ports:          []corev1.ServicePort{{Name: "http", Protocol: corev1.ProtocolTCP, Port: 80}},
	}}
	svc.APIVersion, svc.Kind = "v1", "Service"
	svc.Namespace, svc.Name = f.Namespace, name
	for _, c := range changes {
		c(svc)
	}
	return svc
}

func (f fixture) delete(key client.ObjectKey) {
	f.t.Helper()
	svc := &corev1.Service{}
	svc.Namespace, svc.Name = key.Namespace, key.Name
	if err := f.Client.Delete(f.t.Context(), svc); err != nil {
		f.t.Fatal(err)
	}
}

func (f fixture) get(key client.ObjectKey) *corev1.Service {
	f.t.Helper()
	svc := &corev1.Service{}
	if err := f.Client.Get(f.t.Context(), key, svc); err != nil {
		f.t.Fatal(err)
	}
	return svc
}

// assignment is what a Service says about its addresses.
type assignment struct {
	Addresses []string
	Pool      string
}

func assignmentOf(svc *corev1.Service) assignment {
	a := assignment{Pool: svc.Annotations[allocatedFrom]}
	for _, in := range svc.Status.LoadBalancer.Ingress {
		a.Addresses = append(a.Addresses, in.IP+in.Hostname)
	}
	return a
}

// holds waits until a Service has exactly these addresses of a pool.
func (f fixture) holds(key client.ObjectKey, pool string, addresses ...any) {
	f.t.Helper()
	want := assignment{Pool: pool}
	for _, a := range addresses {
		want.Addresses = append(want.Addresses, fmt.Sprint(a))
	}
	f.becomes(key, want)
}

// pending waits until a Service has no address, and none is said to be from a pool.
func (f fixture) pending(key client.ObjectKey) {
	f.t.Helper()
	f.becomes(key, assignment{})
}

func (f fixture) becomes(key client.ObjectKey, want assignment) {
	f.t.Helper()
	f.Eventually(fmt.Sprintf("%s has %v", key, want), soon, func(ctx context.Context) error {
		svc := &corev1.Service{}
		if err := f.Client.Get(ctx, key, svc); err != nil {
			return err
		}
		if diff := cmp.Diff(want, assignmentOf(svc)); diff != "" {
			return fmt.Errorf("-want +got:\n%s%s", diff, f.told(ctx, key))
		}
		for _, in := range svc.Status.LoadBalancer.Ingress {
			if in.IPMode == nil || *in.IPMode != corev1.LoadBalancerIPModeVIP {
				return fmt.Errorf("ipMode of %s is %v, want VIP", in.IP, in.IPMode)
			}
		}
		return nil
	})
}

// has waits until a Service has some address, and returns what it has.
func (f fixture) has(key client.ObjectKey) assignment {
	f.t.Helper()
	var a assignment
	f.Eventually(key.String()+" has an address", soon, func(ctx context.Context) error {
		svc := &corev1.Service{}
		if err := f.Client.Get(ctx, key, svc); err != nil {
			return err
		}
		if a = assignmentOf(svc); len(a.Addresses) == 0 {
			return fmt.Errorf("it has none%s", f.told(ctx, key))
		}
		return nil
	})
	return a
}

// events lists the events of a Service, oldest first.
func (f fixture) events(ctx context.Context, key client.ObjectKey) ([]corev1.Event, error) {
	var list corev1.EventList
	if err := f.Client.List(ctx, &list, client.InNamespace(key.Namespace)); err != nil {
		return nil, err
	}
	events := slices.DeleteFunc(list.Items, func(e corev1.Event) bool { return e.InvolvedObject.Name != key.Name })
	slices.SortFunc(events, func(a, b corev1.Event) int { return int(version(a.ResourceVersion) - version(b.ResourceVersion)) })
	return events, nil
}

// version reads a resourceVersion, which is 0 where it cannot be read.
func version(s string) int64 {
	n, _ := strconv.ParseInt(s, 10, 64)
	return n
}

// told renders the events of a Service, for the message of a check that fails for good: it is
// empty while there is time left.
func (f fixture) told(ctx context.Context, key client.ObjectKey) string {
	if end, ok := ctx.Deadline(); ok && time.Until(end) > time.Second {
		return ""
	}
	events, err := f.events(ctx, key)
	if err != nil {
		return "\nits events: " + err.Error()
	}
	var b strings.Builder
	for _, e := range events {
		fmt.Fprintf(&b, "\nevent %s %s: %s", e.Type, e.Reason, e.Message)
	}
	return b.String()
}

// event waits for an event on a Service whose message contains a text, and returns it.
func (f fixture) event(key client.ObjectKey, kind, reason, text string) corev1.Event {
	f.t.Helper()
	var found corev1.Event
	f.Eventually(fmt.Sprintf("%s has the event %s %s: … %s …", key, kind, reason, text), soon, func(ctx context.Context) error {
		events, err := f.events(ctx, key)
		if err != nil {
			return err
		}
		i := slices.IndexFunc(events, func(e corev1.Event) bool {
			return e.Type == kind && e.Reason == reason && strings.Contains(e.Message, text)
		})
		if i < 0 {
			return fmt.Errorf("there are:%s", f.told(ctx, key))
		}
		found = events[i]
		return nil
	})
	return found
}

// key names a Service of the test's namespace.
func (f fixture) key(name string) client.ObjectKey {
	return client.ObjectKey{Namespace: f.Namespace, Name: name}
}

// routed is the address i places after the first of Routed4, of 256.
func (f fixture) routed(i byte) netip.Addr {
	a := f.Routed4.Addr().As4()
	a[3] += i
	return netip.AddrFrom4(a)
}

// each lists addresses as an IPAddressPool wants them.
func each(addresses ...any) []string {
	var out []string
	for _, a := range addresses {
		s := fmt.Sprint(a)
		if !strings.ContainsAny(s, "-/") {
			s += "-" + s
		}
		out = append(out, s)
	}
	return out
}
