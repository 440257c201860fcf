package speaker

import (
	"context"
	"net/netip"
	"slices"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/lintel-lb/lintel/api/v1beta1"
	"github.com/lintel-lb/lintel/internal/lb"
)

// requests records what a writer asks of an API server.
type requests struct {
	client.Client
	made []string
}

func (r *requests) take() (made []string) { made, r.made = r.made, nil; return made }

func newRequests(t *testing.T, objects ...client.Object) *requests {
	t.Helper()
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{corev1.AddToScheme, v1beta1.AddToScheme} {
		if err := add(scheme); err != nil {
			t.Fatal(err)
		}
	}
	r := &requests{}
	r.Client = interceptor.NewClient(fake.NewClientBuilder().WithScheme(scheme).WithStatusSubresource(&v1beta1.ServiceL2Status{}).WithObjects(objects...).Build(),
		interceptor.Funcs{
			Get: func(ctx context.Context, c client.WithWatch, k client.ObjectKey, o client.Object, opts ...client.GetOption) error {
				if _, pod := o.(*corev1.Pod); !pod { // pods are read from a cache
					r.made = append(r.made, "get")
				}
				return c.Get(ctx, k, o, opts...)
			},
			Create: func(ctx context.Context, c client.WithWatch, o client.Object, opts ...client.CreateOption) error {
				r.made = append(r.made, "create")
				return c.Create(ctx, o, opts...)
			},
			Delete: func(ctx context.Context, c client.WithWatch, o client.Object, opts ...client.DeleteOption) error {
				r.made = append(r.made, "delete")
				return c.Delete(ctx, o, opts...)
			},
			SubResourceUpdate: func(ctx context.Context, c client.Client, sub string, o client.Object, opts ...client.SubResourceUpdateOption) error {
				r.made = append(r.made, "update "+sub)
				return c.SubResource(sub).Update(ctx, o, opts...)
			},
		})
	return r
}

// With thousands of Services at once, requests are most of what a speaker has to do.
func TestStatusTakesNoMoreRequestsThanItMust(t *testing.T) {
	k := lb.ServiceKey{Namespace: "default", Name: "web"}
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "metallb-system", Name: "speaker-1", UID: "of-pod-1"}}
	r := newRequests(t, pod)
	w := &statusWriter{client: r, node: "n1", namespace: pod.Namespace, pod: pod.Name}
	write := func(w *statusWriter, want report, requests ...string) {
		t.Helper()
		if err := w.write(t.Context(), k, want); err != nil {
			t.Fatal(err)
		}
		if got := r.take(); !slices.Equal(got, requests) {
			t.Errorf("requests %q, want %q", got, requests)
		}
		var list v1beta1.ServiceL2StatusList
		if err := r.List(t.Context(), &list); err != nil {
			t.Fatal(err)
		}
		if exists := len(list.Items) == 1; exists != (len(want.addresses) > 0) || exists && (list.Items[0].Status.Node != "n1" || list.Items[0].OwnerReferences[0].Name != w.pod) {
			t.Errorf("objects %+v", list.Items)
		}
	}
	mine := report{addresses: []netip.Addr{netip.MustParseAddr("192.0.2.1")}, allLinks: true}
	write(w, mine, "create", "update status")
	write(w, mine, "get")
	write(w, report{addresses: mine.addresses, links: []string{"eth0"}}, "get", "update status")
	write(w, report{}, "delete")
	write(w, mine, "create", "update status")

	// The next life of the speaker has another pod, and is told what exists.
	next := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: pod.Namespace, Name: "speaker-2", UID: "of-pod-2"}}
	if err := r.Create(t.Context(), next); err != nil {
		t.Fatal(err)
	}
	r.take()
	told := &statusWriter{client: r, node: "n1", namespace: pod.Namespace, pod: next.Name}
	told.found(map[reportKey]bool{{k, lb.Layer2}: true})
	write(told, mine, "get", "delete", "create", "update status")
	// One that was not told finds out.
	write(w, mine, "get", "delete", "create", "update status")
	unaware := &statusWriter{client: r, node: "n1", namespace: pod.Namespace, pod: next.Name}
	write(unaware, mine, "create", "get", "delete", "create", "update status")
}
