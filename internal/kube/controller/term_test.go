package controller

import (
	"log/slog"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"
)

// The watch goes on while a new leader's list is on its way. What it tells meanwhile is told once.
func TestCatchUpKeepsWhatIsNewerThanTheList(t *testing.T) {
	set := fake.NewClientset()
	c := New(Config{}, Parts{Log: slog.New(slog.DiscardHandler), Clientset: set})
	see := func(svc *corev1.Service) { c.inbox.Post(func(b *batch) { b.services[keyOf(svc)] = svc }) }
	see(service("lagging", "u1", "40"))
	see(service("edited", "u2", "41"))
	see(service("deleted", "u3", "42"))
	see(service("deleted unseen", "u4", "43"))
	see(service("replaced", "u5", "44"))
	set.PrependReactor("list", "services", func(clienttesting.Action) (bool, runtime.Object, error) {
		list := &corev1.ServiceList{ListMeta: metav1.ListMeta{ResourceVersion: "100"}}
		for _, svc := range []*corev1.Service{
			service("lagging", "u1", "90"), service("edited", "u2", "41"), service("deleted", "u3", "42"), service("replaced", "u6", "91"),
		} {
			list.Items = append(list.Items, *svc)
		}
		see(service("edited", "u2", "101"))
		see(service("new", "u7", "102"))
		c.inbox.Post(func(b *batch) {
			b.remove(service("deleted", "u3", "103"))
			b.remove(service("replaced", "u5", "89"))
		})
		return true, list, nil
	})
	if !c.catchUp(t.Context()) {
		t.Fatal("cannot catch up")
	}
	got := c.inbox.Take().services
	for name, want := range map[string]string{"lagging": "90", "edited": "101", "new": "102", "deleted": "", "deleted unseen": "", "replaced": "91"} {
		version := ""
		if svc := got[keyOf(service(name, "", ""))]; svc != nil {
			version = svc.ResourceVersion
		}
		if version != want {
			t.Errorf("Service %q is at version %q, want %q", name, version, want)
		}
	}
}
