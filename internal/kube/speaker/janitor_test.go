package speaker

import (
	"context"
	"slices"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/lintel-lb/lintel/api/v1beta1"
	"github.com/lintel-lb/lintel/internal/lb"
)

// services lists what the status objects of layer 2 are about.
func (h *harness) services() (out []string) {
	h.t.Helper()
	var list v1beta1.ServiceL2StatusList
	if err := h.speaker.Client.List(h.t.Context(), &list); err != nil {
		h.t.Fatal(err)
	}
	for _, o := range list.Items {
		out = append(out, o.Labels[labelServiceName])
	}
	slices.Sort(out)
	return out
}

// A node that was taken for dead has its status removed by others while it goes on; one that
// crashed left status of what it does not announce any more.
func TestOwnStatusIsRepaired(t *testing.T) {
	h := start(t)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); h.speaker.reports.run(ctx) }()
	defer func() { cancel(); <-done }()
	h.service("web", ownedBy("n1")[0])
	h.members.become("n1", "n2")
	h.until("the status", func() bool { return slices.Equal(h.services(), []string{"web"}) })

	left := lb.ServiceKey{Namespace: "default", Name: "left"}
	removed := &v1beta1.ServiceL2Status{ObjectMeta: metav1.ObjectMeta{Namespace: "metallb-system",
		Name: statusName(lb.ServiceKey{Namespace: "default", Name: "web"}, "n1")}}
	leftover := &v1beta1.ServiceL2Status{ObjectMeta: metav1.ObjectMeta{Namespace: "metallb-system", Name: statusName(left, "n1"),
		Labels: map[string]string{labelNode: "n1", labelServiceNamespace: left.Namespace, labelServiceName: left.Name}}}
	others := &v1beta1.ServiceL2Status{ObjectMeta: metav1.ObjectMeta{Namespace: "metallb-system", Name: statusName(left, "n2"),
		Labels: map[string]string{labelNode: "n2", labelServiceNamespace: left.Namespace, labelServiceName: "theirs"}}}
	if err := h.speaker.Client.Delete(ctx, removed); err != nil {
		t.Fatal(err)
	}
	for _, o := range []client.Object{leftover, others} {
		if err := h.speaker.Client.Create(ctx, o); err != nil {
			t.Fatal(err)
		}
	}
	if err := h.speaker.recheckOwn(ctx); err != nil {
		t.Fatal(err)
	}
	h.until("the own status as it should be", func() bool { return slices.Equal(h.services(), []string{"theirs", "web"}) })
}
