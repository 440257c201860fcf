package v1beta2

import (
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// DynamicASNMode accepts a kind of remote AS in place of a number.
//
// +kubebuilder:validation:Enum=internal;external
type DynamicASNMode string

// The dynamic ASN modes.
const (
	InternalASN DynamicASNMode = "internal"
	ExternalASN DynamicASNMode = "external"
)

// GracefulRestart has the parameters of graceful restart. It needs enableGracefulRestart to be
// true or unset.
type GracefulRestart struct {
	// RestartTime is how long the router keeps routes while the session is down (RFC 4724,
	// section 3): whole seconds from 1s to 4095s. Unset means 120s where
	// enableGracefulRestart is true, and 30s where it is not set.
	// +optional
	// +kubebuilder:validation:XValidation:rule="duration(self).getSeconds() >= 1 && duration(self).getSeconds() <= 4095 && duration(self).getMilliseconds() % 1000 == 0",message="invalid restartTime: must be whole seconds from 1s to 4095s"
	RestartTime *metav1.Duration `json:"restartTime,omitempty"`

	// Notification keeps routes also where the session ends with a NOTIFICATION or by the hold
	// timer, and not just where the connection breaks (RFC 8538). Both sides must want it.
	// +optional
	Notification bool `json:"notification,omitempty"`

	// LongLivedStaleTime is how long the router keeps routes after the restart time as a last
	// resort, behind all others (RFC 9494): whole seconds from 1s to 16777215s. Unset means
	// that it forgets them at the end of the restart time.
	// +optional
	// +kubebuilder:validation:XValidation:rule="duration(self).getSeconds() >= 1 && duration(self).getSeconds() <= 16777215 && duration(self).getMilliseconds() % 1000 == 0",message="invalid longLivedStaleTime: must be whole seconds from 1s to 16777215s"
	LongLivedStaleTime *metav1.Duration `json:"longLivedStaleTime,omitempty"`
}

// PeerAddressSource says where a node finds the address of its router.
//
// +kubebuilder:validation:XValidation:rule="has(self.defaultGateway) != has(self.nodeAnnotation)",message="set exactly one of defaultGateway and nodeAnnotation"
type PeerAddressSource struct {
	// DefaultGateway is the next hop of the node's default route of this address family with
	// the lowest metric, in the main routing table.
	// +optional
	// +kubebuilder:validation:Enum=IPv4;IPv6
	DefaultGateway string `json:"defaultGateway,omitempty"`

	// NodeAnnotation is the key of the annotation of Node objects that holds the address. It
	// begins with "lintel.dev/". A node without the annotation has no session.
	// +optional
	// +kubebuilder:validation:Pattern=`^lintel\.dev/.+$`
	NodeAnnotation string `json:"nodeAnnotation,omitempty"`
}

// DynamicNeighbors are routers that are known by their networks only.
type DynamicNeighbors struct {
	// Prefixes are the networks of the routers in CIDR notation. They do not overlap.
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=16
	// +kubebuilder:validation:items:XValidation:rule="isCIDR(self)",message="invalid prefix: must be an IPv4 or IPv6 network in CIDR notation"
	Prefixes []string `json:"prefixes"`

	// Limit is the most sessions that a node has at a time in one prefix.
	// +optional
	// +kubebuilder:default:=100
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=1000
	Limit int32 `json:"limit,omitempty"`
}

// BGPPeerSpec says how to reach a router and what to agree on with it.
//
// +kubebuilder:validation:XValidation:rule="(has(self.peerASN) && self.peerASN != 0) || (has(self.dynamicASN) && size(self.dynamicASN) > 0)",message="missing peer ASN and dynamicASN: set peerASN or dynamicASN"
// +kubebuilder:validation:XValidation:rule="!(has(self.peerASN) && self.peerASN != 0 && has(self.dynamicASN) && size(self.dynamicASN) > 0)",message="both peer ASN and dynamicASN specified: set only one of peerASN and dynamicASN"
// +kubebuilder:validation:XValidation:rule="(has(self.peerAddress) && size(self.peerAddress) > 0) || (has(self.interface) && size(self.interface) > 0) || has(self.peerAddressFrom) || has(self.dynamicNeighbors)",message="peer has no Address or Interface specified: set peerAddress or interface"
// +kubebuilder:validation:XValidation:rule="!(has(self.peerAddress) && size(self.peerAddress) > 0 && has(self.interface) && size(self.interface) > 0)",message="peer has both Address and Interface specified: set only one of peerAddress and interface"
// +kubebuilder:validation:XValidation:rule="!has(self.peerAddressFrom) || !((has(self.peerAddress) && size(self.peerAddress) > 0) || (has(self.interface) && size(self.interface) > 0) || has(self.dynamicNeighbors))",message="peerAddressFrom takes the place of peerAddress, interface and dynamicNeighbors: set only one of them"
// +kubebuilder:validation:XValidation:rule="!has(self.dynamicNeighbors) || !((has(self.peerAddress) && size(self.peerAddress) > 0) || (has(self.interface) && size(self.interface) > 0))",message="dynamicNeighbors takes the place of peerAddress and interface: set only one of them"
// +kubebuilder:validation:XValidation:rule="!(has(self.passive) && self.passive && has(self.interface) && size(self.interface) > 0)",message="passive cannot be used with interface: leave out passive, or set peerAddress"
// +kubebuilder:validation:XValidation:rule="!(has(self.dynamicNeighbors) && has(self.bfdProfile) && size(self.bfdProfile) > 0)",message="bfdProfile cannot be used with dynamicNeighbors, whose addresses are not known: leave out bfdProfile, or list the routers as peers with peerAddress and passive"
// +kubebuilder:validation:XValidation:rule="!(has(self.password) && size(self.password) > 0 && has(self.passwordSecret) && has(self.passwordSecret.name) && size(self.passwordSecret.name) > 0)",message="can not have both password and secret ref set in peer config: set only one of password and passwordSecret"
// +kubebuilder:validation:XValidation:rule="!has(self.holdTime) || !has(self.keepaliveTime) || duration(self.keepaliveTime) <= duration(self.holdTime)",message="invalid keepaliveTime, must be lower than holdTime"
// +kubebuilder:validation:XValidation:rule="!(has(self.peerASN) && self.peerASN == self.myASN && has(self.ebgpMultiHop) && self.ebgpMultiHop)",message="invalid ebgp-multihop parameter set for an ibgp peer: leave out ebgpMultiHop where peerASN equals myASN"
// +kubebuilder:validation:XValidation:rule="!has(self.gracefulRestart) || !has(self.enableGracefulRestart) || self.enableGracefulRestart",message="gracefulRestart needs graceful restart: leave out gracefulRestart, or make the peer with enableGracefulRestart true or unset"
type BGPPeerSpec struct {
	// MyASN is the AS number of the cluster's side of the session.
	// +kubebuilder:validation:Format=int64
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=4294967295
	// +kubebuilder:validation:XValidation:rule="self != 0",message="missing local ASN: set myASN to a number from 1 to 4294967295"
	MyASN uint32 `json:"myASN"`

	// ASN is the AS number of the router. Exactly one of this and dynamicASN is set.
	// +optional
	// +kubebuilder:validation:Format=int64
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=4294967295
	ASN uint32 `json:"peerASN,omitempty"`

	// DynamicASN accepts any router of the same AS (internal), or any of another AS
	// (external), in place of a given AS number.
	// +optional
	DynamicASN DynamicASNMode `json:"dynamicASN,omitempty"`

	// LocalASN is told to this router in place of myASN, which does not appear in routes
	// then.
	// +optional
	// +kubebuilder:validation:Format=int64
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=4294967295
	LocalASN uint32 `json:"localASN,omitempty"`

	// Address of the router. Exactly one of this and interface is set.
	// +optional
	// +kubebuilder:validation:XValidation:rule="size(self) == 0 || isIP(self) || (self.contains(':') && self.lowerAscii().contains('ffff:'))",message="invalid BGPPeer address: peerAddress must be an IPv4 or IPv6 address"
	Address string `json:"peerAddress,omitempty"`

	// Interface on which the router is found without an address being given (unnumbered).
	// +optional
	Interface string `json:"interface,omitempty"`

	// PeerAddressFrom finds the address of the router on each node, in place of peerAddress.
	// (extension)
	// +optional
	PeerAddressFrom *PeerAddressSource `json:"peerAddressFrom,omitempty"`

	// Passive waits for the router to open the session and never does so itself. The node
	// listens on its own address of this session only: sourceAddress, or else its address on
	// the router's network, or else its InternalIP. (extension)
	// +optional
	Passive bool `json:"passive,omitempty"`

	// DynamicNeighbors takes a session with every router that opens one from these prefixes,
	// in place of peerAddress. The node listens as for passive. (extension)
	// +optional
	DynamicNeighbors *DynamicNeighbors `json:"dynamicNeighbors,omitempty"`

	// SrcAddress is the node's address to open the session from.
	// +optional
	// +kubebuilder:validation:XValidation:rule="size(self) == 0 || isIP(self) || (self.contains(':') && self.lowerAscii().contains('ffff:'))",message="invalid source IP: sourceAddress must be an IPv4 or IPv6 address"
	SrcAddress string `json:"sourceAddress,omitempty"`

	// Port is the TCP port of the router. With passive or dynamicNeighbors it is the port that
	// the node listens on.
	// +optional
	// +kubebuilder:default:=179
	// +kubebuilder:validation:Minimum=1
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

	// ConnectTime is the time between attempts to open the session, in whole seconds.
	// +optional
	// +kubebuilder:validation:XValidation:rule="duration(self).getSeconds() >= 1 && duration(self).getSeconds() <= 65535",message="connect time should be between 1 seconds to 65535"
	// +kubebuilder:validation:XValidation:rule="duration(self).getMilliseconds() % 1000 == 0",message="connect time should contain a whole number of seconds"
	ConnectTime *metav1.Duration `json:"connectTime,omitempty"`

	// RouterID is the BGP identifier, written as an IPv4 address. Unset means one that is
	// derived from the node.
	// +optional
	// +kubebuilder:validation:XValidation:rule="size(self) == 0 || isIP(self) || (self.contains(':') && self.lowerAscii().contains('ffff:'))",message="invalid router ID: routerID must be written as an IPv4 address"
	RouterID string `json:"routerID,omitempty"`

	// NodeSelectors limits the nodes that open a session. A node is selected when any item
	// matches. Unset means all nodes.
	// +optional
	NodeSelectors []metav1.LabelSelector `json:"nodeSelectors,omitempty"`

	// Password is the key of TCP MD5 signatures (RFC 2385). At most one of this and
	// passwordSecret is set.
	// +optional
	Password string `json:"password,omitempty"`

	// PasswordSecret names a Secret of type kubernetes.io/basic-auth, in the namespace of
	// the load balancer, whose key "password" holds the password.
	// +optional
	// +kubebuilder:default:={}
	PasswordSecret corev1.SecretReference `json:"passwordSecret,omitempty,omitzero"`

	// BFDProfile names the BFDProfile of a BFD session that watches the router. Unset means
	// no BFD.
	// +optional
	BFDProfile string `json:"bfdProfile,omitempty"`

	// BFDStrict keeps the BGP session down until the BFD session is up. Without it, BFD only
	// ends a BGP session whose path fails. It needs bfdProfile. (extension)
	// +optional
	BFDStrict bool `json:"bfdStrict,omitempty"`

	// TTLSecurityHops drops packets from routers that are more hops away (GTSM, RFC 5082);
	// 1 is a router on a network of the node. The router must be set up alike. Unset means
	// that it is not checked. (extension)
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=254
	TTLSecurityHops int32 `json:"ttlSecurityHops,omitempty"`

	// EnableGracefulRestart keeps routes in use while the speaker restarts (RFC 4724).
	// +optional
	// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="EnableGracefulRestart cannot be changed after creation"
	EnableGracefulRestart *bool `json:"enableGracefulRestart,omitempty"`

	// GracefulRestart says how long a router that restarts gracefully with the speaker keeps
	// routes, and in which further cases. (extension)
	// +optional
	GracefulRestart *GracefulRestart `json:"gracefulRestart,omitempty"`

	// EBGPMultiHop allows a router of another AS that is not on a network of the node.
	// +optional
	EBGPMultiHop bool `json:"ebgpMultiHop,omitempty"`

	// VRFName is the Linux VRF device that the session goes through.
	// +optional
	VRFName string `json:"vrf,omitempty"`

	// DisableMP has no effect. Deprecated: what it asked for is the default.
	// +optional
	// +kubebuilder:default:=false
	DisableMP bool `json:"disableMP,omitempty"`

	// DualStackAddressFamily sends routes of both address families over the session.
	// +optional
	// +kubebuilder:default:=false
	DualStackAddressFamily bool `json:"dualStackAddressFamily,omitempty"`
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
// +kubebuilder:storageversion
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
