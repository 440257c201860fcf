package takeover

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/yaml"
)

// Object is any Kubernetes object.
type Object = unstructured.Unstructured

// ID names an object, whatever its version.
type ID struct{ Group, Kind, Namespace, Name string }

// IDOf gives the name of an object.
func IDOf(o *Object) ID {
	return ID{Group: o.GroupVersionKind().Group, Kind: o.GetKind(), Namespace: o.GetNamespace(), Name: o.GetName()}
}

// String gives kind and name.
func (id ID) String() string {
	if id.Namespace == "" {
		return id.Kind + " " + id.Name
	}
	return id.Kind + " " + id.Namespace + "/" + id.Name
}

// Parse reads the objects of a file of manifests.
func Parse(manifests []byte) ([]*Object, error) {
	var out []*Object
	for d := yaml.NewYAMLOrJSONDecoder(bytes.NewReader(manifests), 4096); ; {
		o := &Object{}
		err := d.Decode(&o.Object)
		if errors.Is(err, io.EOF) {
			return out, nil
		}
		if err != nil {
			return nil, fmt.Errorf("takeover: object %d of the manifests: %w", len(out)+1, err)
		}
		if len(o.Object) == 0 {
			continue // nothing between two separators
		}
		if o.GetAPIVersion() == "" || o.GetKind() == "" || o.GetName() == "" {
			return nil, fmt.Errorf("takeover: object %d of the manifests lacks apiVersion, kind or metadata.name", len(out)+1)
		}
		out = append(out, o)
	}
}

// Find gives the object of that name, or nil.
func Find(objects []*Object, id ID) *Object {
	for _, o := range objects {
		if IDOf(o) == id {
			return o
		}
	}
	return nil
}

// Bare is an object without what the API server has added to it, so that it can be created
// again.
func Bare(o *Object) *Object {
	o = o.DeepCopy()
	for _, field := range []string{"managedFields", "resourceVersion", "uid", "generation", "creationTimestamp", "selfLink", "ownerReferences"} {
		unstructured.RemoveNestedField(o.Object, "metadata", field)
	}
	unstructured.RemoveNestedField(o.Object, "status")
	return o
}

// Kinds that are told apart.
const (
	kindCRD        = "CustomResourceDefinition"
	kindNamespace  = "Namespace"
	kindDeployment = "Deployment"
	kindDaemonSet  = "DaemonSet"
)

// IsCRD tells a definition.
func IsCRD(o *Object) bool { return o.GetKind() == kindCRD }
