package v1beta1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// L2AdvertisementSpec says what is announced by ARP and NDP, and by which nodes.
type L2AdvertisementSpec struct {
	// IPAddressPools lists pools by name. Without this and without
	// ipAddressPoolSelectors, the advertisement is for all pools.
	// +optional
	IPAddressPools []string `json:"ipAddressPools,omitempty"`

	// IPAddressPoolSelectors selects pools by label, in addition to those listed by name.
	// A pool is selected when any item matches.
	// +optional
	IPAddressPoolSelectors []metav1.LabelSelector `json:"ipAddressPoolSelectors,omitempty"`

	// NodeSelectors limits the nodes that may announce. A node is selected when any item
	// matches. Unset means all nodes.
	// +optional
	NodeSelectors []metav1.LabelSelector `json:"nodeSelectors,omitempty"`

	// Interfaces limits the network interfaces that announce, by exact name. Unset means all.
	// +optional
	Interfaces []string `json:"interfaces,omitempty"`

	// ServiceSelectors limits the Services that are announced. A Service is selected when
	// any item matches. Unset means all Services with an address of the pools.
	// +optional
	ServiceSelectors []metav1.LabelSelector `json:"serviceSelectors,omitempty"`

	// PreferredNodeSelectors are wishes about the announcing node. A node's weight is the
	// sum of the items that match it; of the nodes that may announce, one with the highest
	// weight does. (extension)
	// +optional
	PreferredNodeSelectors []PreferredNodeSelector `json:"preferredNodeSelectors,omitempty"`
}

// PreferredNodeSelector adds weight to the nodes that it selects.
type PreferredNodeSelector struct {
	// Weight that matching nodes get, 1 to 100.
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=100
	Weight int32 `json:"weight"`

	// NodeSelector selects nodes by label.
	NodeSelector metav1.LabelSelector `json:"nodeSelector"`
}

// L2AdvertisementStatus is what the controller tells about an advertisement.
type L2AdvertisementStatus struct {
	// Conditions tell whether the object is in effect. (extension)
	// +optional
	// +listType=map
	// +listMapKey=type
	Conditions []metav1.Condition `json:"conditions,omitempty"`
}

// L2Advertisement has addresses of pools announced by ARP and NDP.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:scope=Namespaced
// +kubebuilder:printcolumn:name="IPAddressPools",type=string,JSONPath=`.spec.ipAddressPools`
// +kubebuilder:printcolumn:name="IPAddressPool Selectors",type=string,JSONPath=`.spec.ipAddressPoolSelectors`
// +kubebuilder:printcolumn:name="Interfaces",type=string,JSONPath=`.spec.interfaces`
// +kubebuilder:printcolumn:name="Node Selectors",type=string,JSONPath=`.spec.nodeSelectors`,priority=10
type L2Advertisement struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	Spec   L2AdvertisementSpec   `json:"spec,omitempty"`
	Status L2AdvertisementStatus `json:"status,omitempty,omitzero"`
}

// L2AdvertisementList is a list of L2Advertisement.
//
// +kubebuilder:object:root=true
type L2AdvertisementList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []L2Advertisement `json:"items"`
}
