package v1beta1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// CommunitySpec gives names to BGP communities.
type CommunitySpec struct {
	// Communities lists the names and what they stand for.
	// +optional
	Communities []CommunityAlias `json:"communities,omitempty"`
}

// CommunityAlias is a name for a community.
type CommunityAlias struct {
	// Name that BGPAdvertisements may use. It is defined once among all Community objects.
	// +optional
	Name string `json:"name,omitempty"`

	// Value is NUMBER:NUMBER with numbers up to 65535 (RFC 1997), or
	// large:NUMBER:NUMBER:NUMBER (RFC 8092). An addition are extended communities (RFC 4360):
	// rt:ASN:NUMBER, soo:ASN:NUMBER, or extended:0x followed by 16 hexadecimal digits.
	// +optional
	// +kubebuilder:validation:Pattern=`^(0*(6553[0-5]|655[0-2]\d|65[0-4]\d{2}|6[0-4]\d{3}|[1-5]?\d{1,4}):0*(6553[0-5]|655[0-2]\d|65[0-4]\d{2}|6[0-4]\d{3}|[1-5]?\d{1,4})|large:\d+:\d+:\d+|extended:0x[0-9a-fA-F]{16}|(rt|soo):[^:]+:\d+)?$`
	Value string `json:"value,omitempty"`
}

// CommunityStatus is what the controller tells about the names.
type CommunityStatus struct {
	// Conditions tell whether the object is in effect. (extension)
	// +optional
	// +listType=map
	// +listMapKey=type
	Conditions []metav1.Condition `json:"conditions,omitempty"`
}

// Community gives names to BGP communities. The names of all objects form one table.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:path=communities,scope=Namespaced
type Community struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	Spec   CommunitySpec   `json:"spec,omitempty"`
	Status CommunityStatus `json:"status,omitempty,omitzero"`
}

// CommunityList is a list of Community.
//
// +kubebuilder:object:root=true
type CommunityList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []Community `json:"items"`
}
