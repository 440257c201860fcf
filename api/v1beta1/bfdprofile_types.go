package v1beta1

import (
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// BFDProfileSpec holds the parameters of BFD sessions (RFC 5880, section 6.8.1).
type BFDProfileSpec struct {
	// ReceiveInterval is the shortest interval at which control packets can be received,
	// in milliseconds. Unset means 300.
	// +optional
	// +kubebuilder:validation:Minimum=10
	// +kubebuilder:validation:Maximum=60000
	ReceiveInterval *int32 `json:"receiveInterval,omitempty"`

	// TransmitInterval is the shortest interval at which control packets are sent, in
	// milliseconds. Unset means 300.
	// +optional
	// +kubebuilder:validation:Minimum=10
	// +kubebuilder:validation:Maximum=60000
	TransmitInterval *int32 `json:"transmitInterval,omitempty"`

	// DetectMultiplier is the number of packets that may be lost before the session is
	// down. Unset means 3.
	// +optional
	// +kubebuilder:validation:Minimum=2
	// +kubebuilder:validation:Maximum=255
	DetectMultiplier *int32 `json:"detectMultiplier,omitempty"`

	// EchoInterval is the shortest interval of echo packets, in milliseconds. Unset means 50.
	// +optional
	// +kubebuilder:validation:Minimum=10
	// +kubebuilder:validation:Maximum=60000
	EchoInterval *int32 `json:"echoInterval,omitempty"`

	// EchoMode turns on the echo function. It works for IPv4 only.
	// +optional
	EchoMode *bool `json:"echoMode,omitempty"`

	// PassiveMode keeps the session silent until the peer sends its first packet.
	// +optional
	PassiveMode *bool `json:"passiveMode,omitempty"`

	// MinimumTTL is the smallest TTL that packets of multi-hop sessions may arrive with.
	// Unset means 254.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=254
	MinimumTTL *int32 `json:"minimumTtl,omitempty"`

	// Auth authenticates the packets of both sides (RFC 5880, section 6.7). Unset means
	// without. (extension)
	// +optional
	Auth *BFDAuth `json:"auth,omitempty"`
}

// BFDAuthType is an authentication type of RFC 5880, section 4.1. The meticulous ones refuse
// also a replay of the last packet.
//
// +kubebuilder:validation:Enum=KeyedMD5;MeticulousKeyedMD5;KeyedSHA1;MeticulousKeyedSHA1
type BFDAuthType string

// The authentication types.
const (
	BFDKeyedMD5            BFDAuthType = "KeyedMD5"
	BFDMeticulousKeyedMD5  BFDAuthType = "MeticulousKeyedMD5"
	BFDKeyedSHA1           BFDAuthType = "KeyedSHA1"
	BFDMeticulousKeyedSHA1 BFDAuthType = "MeticulousKeyedSHA1"
)

// BFDAuth says how the packets of BFD sessions are authenticated.
type BFDAuth struct {
	// Type must be that of the router.
	Type BFDAuthType `json:"type"`

	// KeyID is the number of the key that signs.
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=255
	KeyID int32 `json:"keyID"`

	// SecretRef names a Secret of type Opaque in the namespace of the profile. Each of its
	// entries is a key: its name is the key's number, "0" to "255", its value the key, of at
	// most 16 bytes for MD5 and 20 for SHA1. All are accepted from the router.
	SecretRef corev1.LocalObjectReference `json:"secretRef"`
}

// BFDProfileStatus is what the controller tells about a profile.
type BFDProfileStatus struct {
	// Conditions tell whether the object is in effect. (extension)
	// +optional
	// +listType=map
	// +listMapKey=type
	Conditions []metav1.Condition `json:"conditions,omitempty"`
}

// BFDProfile holds BFD parameters that BGPPeers refer to by name.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:scope=Namespaced
// +kubebuilder:printcolumn:name="Passive Mode",type=boolean,JSONPath=`.spec.passiveMode`
// +kubebuilder:printcolumn:name="Transmit Interval",type=integer,JSONPath=`.spec.transmitInterval`
// +kubebuilder:printcolumn:name="Receive Interval",type=integer,JSONPath=`.spec.receiveInterval`
// +kubebuilder:printcolumn:name="Multiplier",type=integer,JSONPath=`.spec.detectMultiplier`
type BFDProfile struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	Spec   BFDProfileSpec   `json:"spec,omitempty"`
	Status BFDProfileStatus `json:"status,omitempty,omitzero"`
}

// BFDProfileList is a list of BFDProfile.
//
// +kubebuilder:object:root=true
type BFDProfileList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []BFDProfile `json:"items"`
}
