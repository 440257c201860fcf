package v1beta1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// LinkBandwidth says how much an endpoint weighs.
type LinkBandwidth struct {
	// MegabitsPerEndpoint is the rate in Mbit/s that each ready endpoint of the node stands
	// for. Routers compare the sums.
	// +optional
	// +kubebuilder:default:=1000
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=1000000
	MegabitsPerEndpoint int32 `json:"megabitsPerEndpoint,omitempty"`
}

// BGPAdvertisementSpec says what is announced by BGP, how, by which nodes and to whom.
//
// +kubebuilder:validation:XValidation:rule="!has(self.serviceSelectors) || self.serviceSelectors.size() == 0 || ((!has(self.aggregationLength) || self.aggregationLength == 32) && (!has(self.aggregationLengthV6) || self.aggregationLengthV6 == 128))",message="serviceSelectors and aggregationLength are mutually exclusive, can only be used together with default aggregationLength (32) and aggregationLengthV6 (128)"
type BGPAdvertisementSpec struct {
	// AggregationLength is the length of the IPv4 prefixes that are announced: addresses
	// of one prefix of this length are announced together.
	// +optional
	// +kubebuilder:default:=32
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=32
	AggregationLength *int32 `json:"aggregationLength,omitempty"`

	// AggregationLengthV6 is the length of the IPv6 prefixes that are announced.
	// +optional
	// +kubebuilder:default:=128
	// +kubebuilder:validation:Maximum=128
	AggregationLengthV6 *int32 `json:"aggregationLengthV6,omitempty"`

	// LocalPref is the LOCAL_PREF attribute (RFC 4271, section 5.1.5), which is sent to
	// internal peers. 0 means the default of the protocol, 100.
	// +optional
	// +kubebuilder:validation:Format=int64
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=4294967295
	LocalPref uint32 `json:"localPref,omitempty"`

	// MED is the MULTI_EXIT_DISC attribute (RFC 4271, section 5.1.4): of routes from one
	// neighbouring AS the lower value is preferred. Unset sends none. (extension)
	// +optional
	// +kubebuilder:validation:Format=int64
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=4294967295
	MED *uint32 `json:"med,omitempty"`

	// ASPathPrepend is how often the own AS is repeated in the path towards external peers,
	// beyond the one time that is always there: longer paths are less preferred. (extension)
	// +optional
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=10
	ASPathPrepend int32 `json:"asPathPrepend,omitempty"`

	// LinkBandwidth has routers spread traffic over the nodes in proportion to their ready
	// endpoints, by the link-bandwidth extended community. It is for Services with
	// externalTrafficPolicy Local whose address is theirs alone and is announced by itself;
	// others get none. (extension)
	// +optional
	LinkBandwidth *LinkBandwidth `json:"linkBandwidth,omitempty"`

	// Communities of the announced routes: NUMBER:NUMBER with numbers up to 65535
	// (RFC 1997), large:NUMBER:NUMBER:NUMBER (RFC 8092), or a name that a Community object
	// defines. An addition are extended communities (RFC 4360): rt:ASN:NUMBER,
	// soo:ASN:NUMBER, both also with an IPv4 address in place of the AS number, or
	// extended:0x followed by 16 hexadecimal digits.
	// +optional
	// +kubebuilder:validation:items:Pattern=`^(0*(6553[0-5]|655[0-2]\d|65[0-4]\d{2}|6[0-4]\d{3}|[1-5]?\d{1,4}):0*(6553[0-5]|655[0-2]\d|65[0-4]\d{2}|6[0-4]\d{3}|[1-5]?\d{1,4})|large:\d+:\d+:\d+|extended:0x[0-9a-fA-F]{16}|[^:]*|[^:]*:[^:]*:[^:]*|[^:]*(:[^:]*){4,})$`
	Communities []string `json:"communities,omitempty"`

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

	// Peers limits the peers that are told, by the names of BGPPeer objects. Unset means all.
	// +optional
	Peers []string `json:"peers,omitempty"`

	// ServiceSelectors limits the Services that are announced. A Service is selected when
	// any item matches. Unset means all Services with an address of the pools.
	// +optional
	ServiceSelectors []metav1.LabelSelector `json:"serviceSelectors,omitempty"`
}

// BGPAdvertisementStatus is what the controller tells about an advertisement.
type BGPAdvertisementStatus struct {
	// Conditions tell whether the object is in effect. (extension)
	// +optional
	// +listType=map
	// +listMapKey=type
	Conditions []metav1.Condition `json:"conditions,omitempty"`
}

// BGPAdvertisement has addresses of pools announced by BGP.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:scope=Namespaced
// +kubebuilder:printcolumn:name="IPAddressPools",type=string,JSONPath=`.spec.ipAddressPools`
// +kubebuilder:printcolumn:name="IPAddressPool Selectors",type=string,JSONPath=`.spec.ipAddressPoolSelectors`
// +kubebuilder:printcolumn:name="Peers",type=string,JSONPath=`.spec.peers`
// +kubebuilder:printcolumn:name="Node Selectors",type=string,JSONPath=`.spec.nodeSelectors`,priority=10
type BGPAdvertisement struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	Spec   BGPAdvertisementSpec   `json:"spec,omitempty"`
	Status BGPAdvertisementStatus `json:"status,omitempty,omitzero"`
}

// BGPAdvertisementList is a list of BGPAdvertisement.
//
// +kubebuilder:object:root=true
type BGPAdvertisementList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []BGPAdvertisement `json:"items"`
}
