package v1beta1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// BGPPeerSpec says how to reach a router and what to agree on with it. It has the
// fields that v1beta2 shares with this version.
//
// +kubebuilder:validation:XValidation:rule="self.peerASN != 0",message="missing peer ASN and dynamicASN: set peerASN"
// +kubebuilder:validation:XValidation:rule="size(self.peerAddress) > 0",message="peer has no Address or Interface specified: set peerAddress"
// +kubebuilder:validation:XValidation:rule="!has(self.holdTime) || !has(self.keepaliveTime) || duration(self.keepaliveTime) <= duration(self.holdTime)",message="invalid keepaliveTime, must be lower than holdTime"
// +kubebuilder:validation:XValidation:rule="!(self.peerASN == self.myASN && has(self.ebgpMultiHop) && self.ebgpMultiHop)",message="invalid ebgp-multihop parameter set for an ibgp peer: leave out ebgpMultiHop where peerASN equals myASN"
type BGPPeerSpec struct {
	// MyASN is the AS number of the cluster's side of the session.
	// +kubebuilder:validation:Format=int64
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=4294967295
	// +kubebuilder:validation:XValidation:rule="self != 0",message="missing local ASN: set myASN to a number from 1 to 4294967295"
	MyASN uint32 `json:"myASN"`

	// ASN is the AS number of the router.
	// +kubebuilder:validation:Format=int64
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=4294967295
	ASN uint32 `json:"peerASN"`

	// Address of the router.
	// +kubebuilder:validation:XValidation:rule="size(self) == 0 || isIP(self) || (self.contains(':') && self.lowerAscii().contains('ffff:'))",message="invalid BGPPeer address: peerAddress must be an IPv4 or IPv6 address"
	Address string `json:"peerAddress"`

	// SrcAddress is the node's address to open the session from.
	// +optional
	// +kubebuilder:validation:XValidation:rule="size(self) == 0 || isIP(self) || (self.contains(':') && self.lowerAscii().contains('ffff:'))",message="invalid source IP: sourceAddress must be an IPv4 or IPv6 address"
	SrcAddress string `json:"sourceAddress,omitempty"`

	// Port is the TCP port of the router. 0 and unset mean 179.
	// +optional
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=16384
	Port int32 `json:"peerPort,omitempty"`

	// HoldTime after which a silent router counts as dead (RFC 4271, section 4.2): 0, which
	// turns the timer off, or 3s and more. Unset means 90s.
	// +optional
	// +kubebuilder:validation:XValidation:rule="duration(self).getSeconds() == 0 || duration(self).getSeconds() >= 3",message="invalid hold time: must be 0 or >=3s"
	HoldTime *metav1.Duration `json:"holdTime,omitempty"`

	// KeepaliveTime is the interval of KEEPALIVE messages. Unset means a third of the hold
	// time.
	// +optional
	KeepaliveTime *metav1.Duration `json:"keepaliveTime,omitempty"`

	// RouterID is the BGP identifier, written as an IPv4 address. Unset means one that is
	// derived from the node.
	// +optional
	// +kubebuilder:validation:XValidation:rule="size(self) == 0 || isIP(self) || (self.contains(':') && self.lowerAscii().contains('ffff:'))",message="invalid router ID: routerID must be written as an IPv4 address"
	RouterID string `json:"routerID,omitempty"`

	// NodeSelectors limits the nodes that open a session. A node is selected when any item
	// matches. Unset means all nodes.
	// +optional
	NodeSelectors []NodeSelector `json:"nodeSelectors,omitempty"`

	// Password is the key of TCP MD5 signatures (RFC 2385).
	// +optional
	Password string `json:"password,omitempty"`

	// BFDProfile names the BFDProfile of a BFD session that watches the router. Unset means
	// no BFD.
	// +optional
	BFDProfile string `json:"bfdProfile,omitempty"`

	// EBGPMultiHop allows a router of another AS that is not on a network of the node.
	// +optional
	EBGPMultiHop bool `json:"ebgpMultiHop,omitempty"`
}

// NodeSelector selects nodes by label.
type NodeSelector struct {
	// MatchLabels are labels that a node must have.
	// +optional
	MatchLabels map[string]string `json:"matchLabels,omitempty"`

	// MatchExpressions are requirements that a node must meet.
	// +optional
	MatchExpressions []MatchExpression `json:"matchExpressions,omitempty"`
}

// MatchExpression is a requirement on a label.
type MatchExpression struct {
	// Key of the label.
	Key string `json:"key"`

	// Operator is In, NotIn, Exists or DoesNotExist.
	Operator string `json:"operator"`

	// Values that the operator compares with.
	// +kubebuilder:validation:MinItems=1
	Values []string `json:"values"`
}

// BGPPeerStatus is what the controller tells about a peer.
type BGPPeerStatus struct {
	// Conditions tell whether the object is in effect. (extension)
	// +optional
	// +listType=map
	// +listMapKey=type
	Conditions []metav1.Condition `json:"conditions,omitempty"`
}

// BGPPeer is a router that the nodes open BGP sessions to.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:scope=Namespaced
// +kubebuilder:deprecatedversion:warning="v1beta1 is deprecated, please use v1beta2"
// +kubebuilder:printcolumn:name="Address",type=string,JSONPath=`.spec.peerAddress`
// +kubebuilder:printcolumn:name="ASN",type=string,JSONPath=`.spec.peerASN`
// +kubebuilder:printcolumn:name="BFD Profile",type=string,JSONPath=`.spec.bfdProfile`
// +kubebuilder:printcolumn:name="Multi Hops",type=string,JSONPath=`.spec.ebgpMultiHop`
type BGPPeer struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	Spec   BGPPeerSpec   `json:"spec,omitempty"`
	Status BGPPeerStatus `json:"status,omitempty,omitzero"`
}

// BGPPeerList is a list of BGPPeer.
//
// +kubebuilder:object:root=true
type BGPPeerList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []BGPPeer `json:"items"`
}
