package main

import (
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"testing"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/apiutil"

	"github.com/lintel-lb/lintel/api/v1beta1"
	"github.com/lintel-lb/lintel/internal/kube/apiserver"
	"github.com/lintel-lb/lintel/internal/kube/resources"
	"github.com/lintel-lb/lintel/internal/kube/watch"
)

// nowhere is an API server that does not answer.
func nowhere(t *testing.T) apiserver.Access {
	t.Helper()
	a, err := apiserver.Connect(&rest.Config{Host: "http://127.0.0.1:1"}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func TestCachesNeedNoAPIServer(t *testing.T) {
	if _, _, err := caches(nowhere(t), "metallb-system", watch.NewRefusals(slog.New(slog.DiscardHandler))); err != nil {
		t.Error(err)
	}
}

// The names of resources are known without the API server, and are those of the definitions.
func TestMapper(t *testing.T) {
	s, err := resources.Scheme()
	if err != nil {
		t.Fatal(err)
	}
	want := map[client.Object]string{
		&corev1.Service{}: "services", &discoveryv1.EndpointSlice{}: "endpointslices", &corev1.Node{}: "nodes",
		&corev1.Secret{}: "secrets", &corev1.Pod{}: "pods", &corev1.ConfigMap{}: "configmaps",
	}
	own := []client.Object{&v1beta1.ServiceL2Status{}, &v1beta1.ServiceBGPStatus{}, &v1beta1.ConfigurationState{}}
	for _, o := range resources.Kinds() {
		own = append(own, o)
	}
	objects := slices.Clone(own)
	for o := range want {
		objects = append(objects, o)
	}
	m, err := mapper(nowhere(t), s, slices.Values(objects))
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range objects {
		gvk, err := apiutil.GVKForObject(o, s)
		if err != nil {
			t.Fatal(err)
		}
		mapping, err := m.RESTMapping(gvk.GroupKind(), gvk.Version)
		if err != nil {
			t.Errorf("%T: %v", o, err)
			continue
		}
		name := mapping.Resource.Resource
		if slices.Contains(own, o) {
			if _, err := os.Stat(filepath.Join("../../config/crd", "metallb.io_"+name+".yaml")); err != nil {
				t.Errorf("%T is the resource %s: %v", o, name, err)
			}
		} else if name != want[o] {
			t.Errorf("%T is the resource %s, not %s", o, name, want[o])
		}
		if _, node := o.(*corev1.Node); node != (mapping.Scope.Name() == "root") {
			t.Errorf("%T has the scope %s", o, mapping.Scope.Name())
		}
	}
}
