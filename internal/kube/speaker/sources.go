package speaker

import (
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/client-go/kubernetes"
	toolscache "k8s.io/client-go/tools/cache"

	"github.com/lintel-lb/lintel/internal/kube/translate"
	"github.com/lintel-lb/lintel/internal/kube/watch"
	"github.com/lintel-lb/lintel/internal/lb"
)

// Sources are the Services and EndpointSlices that a speaker needs of a cluster: most Services of
// most clusters are of another type than LoadBalancer, and no headless one is among those.
func Sources(c kubernetes.Interface) (services, slices toolscache.ListerWatcher) {
	return toolscache.NewFilteredListWatchFromClient(c.CoreV1().RESTClient(), "services", metav1.NamespaceAll, func(o *metav1.ListOptions) {
			o.FieldSelector = fields.OneTermEqualSelector("spec.type", string(corev1.ServiceTypeLoadBalancer)).String()
		}),
		toolscache.NewFilteredListWatchFromClient(c.DiscoveryV1().RESTClient(), "endpointslices", metav1.NamespaceAll, func(o *metav1.ListOptions) {
			o.LabelSelector = "!" + corev1.IsHeadlessService
		})
}

// keyed is a Service with its name, and without anything else if it is not handled here.
type keyed struct {
	key     lb.ServiceKey
	service *lb.Service
}

// services follows the Services.
func (s *Speaker) services() *watch.Values[*corev1.Service, keyed] {
	return watch.NewValues(s.Services, &corev1.Service{},
		func(o *corev1.Service) keyed {
			out := keyed{key: lb.ServiceKey{Namespace: o.Namespace, Name: o.Name}}
			if ok, _ := s.config.Classes.Handles(o); ok {
				out.service = translate.Service(o)
			}
			return out
		},
		func(v keyed) { s.inbox.Post(func(b *batch) { b.services[v.key] = v.service }) },
		func(v keyed) { s.inbox.Post(func(b *batch) { b.services[v.key] = nil }) })
}

// sliceSum is what an EndpointSlice adds to the Service that it belongs to. The Service has no name
// if there is none.
type sliceSum struct {
	of   lb.ServiceKey
	name string
	sum  translate.SliceSum
}

func (v sliceSum) key() sliceKey { return sliceKey{v.of.Namespace, v.name} }

// endpoints follows the EndpointSlices.
func (s *Speaker) endpoints() *watch.Values[*discoveryv1.EndpointSlice, sliceSum] {
	return watch.NewValues(s.Slices, &discoveryv1.EndpointSlice{},
		func(o *discoveryv1.EndpointSlice) sliceSum {
			// One that lost its label is taken from the Service that it belonged to.
			of, _ := translate.SliceOwner(o)
			return sliceSum{of: of, name: o.Name, sum: translate.Slice(o)}
		},
		func(v sliceSum) { s.inbox.Post(func(b *batch) { b.slices[v.key()] = sliceState{v.of, &v.sum} }) },
		func(v sliceSum) { s.inbox.Post(func(b *batch) { b.slices[v.key()] = sliceState{} }) })
}
