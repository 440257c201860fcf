package v1beta2

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// Group and Version name the API that this package holds.
const (
	Group   = "metallb.io"
	Version = "v1beta2"
)

// SchemeGroupVersion is Group and Version together. It is never changed.
var SchemeGroupVersion = schema.GroupVersion{Group: Group, Version: Version}

// AddToScheme adds the kinds of this package to a scheme.
func AddToScheme(s *runtime.Scheme) error {
	s.AddKnownTypes(SchemeGroupVersion, &BGPPeer{}, &BGPPeerList{})
	metav1.AddToGroupVersion(s, SchemeGroupVersion)
	return nil
}
