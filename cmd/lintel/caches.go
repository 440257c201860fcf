package main

import (
	"fmt"
	"iter"
	"maps"
	"strings"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/apiutil"

	"github.com/lintel-lb/lintel/api/v1beta1"
	"github.com/lintel-lb/lintel/internal/kube/apiserver"
	"github.com/lintel-lb/lintel/internal/kube/mixed"
	"github.com/lintel-lb/lintel/internal/kube/resources"
	"github.com/lintel-lb/lintel/internal/kube/watch"
	"github.com/lintel-lb/lintel/internal/lb"
)

// caches makes a cache that holds of each object only what is used, and a client that reads
// from it. refusals learns what the cache may not list.
func caches(api apiserver.Access, namespace string, refusals *watch.Refusals) (cache.Cache, client.Client, error) {
	s, err := resources.Scheme()
	if err != nil {
		return nil, nil, err
	}
	own := map[string]cache.Config{namespace: {}}
	byObject := map[client.Object]cache.ByObject{
		&corev1.Service{}:             {Transform: trim},
		&discoveryv1.EndpointSlice{}:  {Transform: trimSlice},
		&corev1.Node{}:                {Transform: trimNode},
		&corev1.Namespace{}:           {Transform: trim},
		&corev1.Secret{}:              {Namespaces: own, Transform: trim},
		&corev1.ConfigMap{}:           {Namespaces: own, Field: fields.OneTermEqualSelector("metadata.name", mixed.ConfigMap), Transform: trim},
		&corev1.Pod{}:                 {Namespaces: own, Transform: trimPod},
		&v1beta1.ServiceL2Status{}:    {Namespaces: own, Transform: trim},
		&v1beta1.ConfigurationState{}: {Namespaces: own, Transform: trim},
		&v1beta1.ServiceBGPStatus{}:   {Namespaces: own, Transform: trim},
	}
	for _, kind := range resources.Kinds() {
		byObject[kind] = cache.ByObject{Namespaces: own, Transform: trim}
	}
	mapper, err := mapper(api, s, maps.Keys(byObject))
	if err != nil {
		return nil, nil, err
	}
	store, err := cache.New(api.Config, cache.Options{HTTPClient: api.Patient, Scheme: s, Mapper: mapper, ByObject: byObject, ReaderFailOnMissingInformer: true,
		DefaultWatchErrorHandler: refusals.Handle})
	if err != nil {
		return nil, nil, fmt.Errorf("cache: %w", err)
	}
	c, err := client.New(api.Config, client.Options{HTTPClient: api.Once, Scheme: s, Mapper: mapper, Cache: &client.CacheOptions{
		Reader: store, DisableFor: []client.Object{&v1beta1.ServiceL2Status{}, &v1beta1.ServiceBGPStatus{}, &v1beta1.ConfigurationState{}}}})
	if err != nil {
		return nil, nil, fmt.Errorf("client: %w", err)
	}
	return store, c, nil
}

// mapper knows the kinds that are watched without asking the API server, so that a process
// starts while that is away. It asks for others when they are used.
func mapper(api apiserver.Access, s *runtime.Scheme, objects iter.Seq[client.Object]) (meta.RESTMapper, error) {
	known := meta.NewDefaultRESTMapper(nil)
	for o := range objects {
		gvk, err := apiutil.GVKForObject(o, s)
		if err != nil {
			return nil, fmt.Errorf("client: %w", err)
		}
		scope := meta.RESTScopeNamespace
		switch o.(type) {
		case *corev1.Node, *corev1.Namespace:
			scope = meta.RESTScopeRoot
		}
		known.Add(gvk, scope)
	}
	others, err := apiutil.NewDynamicRESTMapper(api.Config, api.Once)
	if err != nil {
		return nil, fmt.Errorf("client: %w", err)
	}
	return meta.FirstHitRESTMapper{MultiRESTMapper: meta.MultiRESTMapper{known, others}}, nil
}

// trim removes what nobody here reads.
func trim(o any) (any, error) {
	if m, ok := o.(metav1.Object); ok {
		m.SetManagedFields(nil)
		if a := m.GetAnnotations(); a[corev1.LastAppliedConfigAnnotation] != "" {
			delete(a, corev1.LastAppliedConfigAnnotation)
		}
	}
	return o, nil
}

func trimSlice(o any) (any, error) {
	if s, ok := o.(*discoveryv1.EndpointSlice); ok {
		s.Ports = nil
		s.Annotations = nil
		for i := range s.Endpoints {
			e := &s.Endpoints[i]
			*e = discoveryv1.Endpoint{Conditions: e.Conditions, NodeName: e.NodeName}
		}
	}
	return trim(o)
}

func trimNode(o any) (any, error) {
	if n, ok := o.(*corev1.Node); ok {
		maps.DeleteFunc(n.Annotations, func(k, _ string) bool { return !strings.HasPrefix(k, lb.AnnotationPrefix) })
		n.Spec = corev1.NodeSpec{}
		n.Status = corev1.NodeStatus{Conditions: n.Status.Conditions, Addresses: n.Status.Addresses}
	}
	return trim(o)
}

func trimPod(o any) (any, error) {
	if p, ok := o.(*corev1.Pod); ok {
		p.Annotations = nil
		p.Spec = corev1.PodSpec{NodeName: p.Spec.NodeName}
		p.Status = corev1.PodStatus{Phase: p.Status.Phase, PodIP: p.Status.PodIP}
	}
	return trim(o)
}
