package speaker

import (
	"slices"
	"testing"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	apiwatch "k8s.io/apimachinery/pkg/watch"
)

// What the API server tells of Services and EndpointSlices becomes announcements, and ends them.
func TestServicesAndSlicesAreFollowed(t *testing.T) {
	h := start(t)
	h.members.become("n1", "n2")
	services, endpoints := h.speaker.liveServices, h.speaker.liveSlices
	mine := ownedBy("n1")[0]
	web := func(class *string) *corev1.Service {
		return &corev1.Service{
			ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "web"},
			Spec:       corev1.ServiceSpec{Type: corev1.ServiceTypeLoadBalancer, LoadBalancerClass: class},
			Status:     corev1.ServiceStatus{LoadBalancer: corev1.LoadBalancerStatus{Ingress: []corev1.LoadBalancerIngress{{IP: mine}}}},
		}
	}
	slice := func(labels map[string]string) *discoveryv1.EndpointSlice {
		return &discoveryv1.EndpointSlice{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "web-1", Labels: labels},
			AddressType: discoveryv1.AddressTypeIPv4, Endpoints: []discoveryv1.Endpoint{{Addresses: []string{"10.0.0.1"}}}}
	}
	label := map[string]string{discoveryv1.LabelServiceName: "web"}
	other := "example.org/other"
	for _, step := range []struct {
		what      string
		tell      func() error
		announced bool
	}{
		{"both are there", func() error { _ = services.Add(web(nil)); return endpoints.Replace([]any{slice(label)}, "1") }, true},
		{"the slice lost its label", func() error { return endpoints.Update(slice(nil)) }, false},
		{"it has it again", func() error { return endpoints.Update(slice(label)) }, true},
		{"the slice is gone", func() error { return endpoints.Delete(slice(label)) }, false},
		{"it is back", func() error { return endpoints.Add(slice(label)) }, true},
		{"the Service is of another class", func() error { return services.Update(web(&other)) }, false},
		{"it is ours again", func() error { return services.Update(web(nil)) }, true},
		{"a list lacks the Service", func() error { return services.Replace(nil, "2") }, false},
		{"a list has it", func() error { return services.Replace([]any{web(nil)}, "3") }, true},
		{"a list lacks the slice", func() error { return endpoints.Replace(nil, "2") }, false},
	} {
		if err := step.tell(); err != nil {
			t.Fatalf("%s: %v", step.what, err)
		}
		h.until(step.what, func() bool { return slices.Equal(h.engine.announced(), []string{mine}) == step.announced })
	}
}

// noObjects is a source in which there is nothing, and nothing happens.
type noObjects struct{ list runtime.Object }

func (s noObjects) List(metav1.ListOptions) (runtime.Object, error) {
	return s.list.DeepCopyObject(), nil
}
func (noObjects) Watch(metav1.ListOptions) (apiwatch.Interface, error) {
	return apiwatch.NewFake(), nil
}
func (noObjects) IsWatchListSemanticsUnSupported() bool { return true }
