// Package v1beta2 holds BGPPeer in version metallb.io/v1beta2, the one that is stored.
//
// Objects of version v1beta1 are converted by their version's name alone: what both
// versions have means the same in both. A holdTime or keepaliveTime of 0s, which MetalLB
// stored for v1beta1 objects that did not set one, turns the timer off.
//
// +kubebuilder:object:generate=true
// +kubebuilder:ac:generate=true
// +groupName=metallb.io
package v1beta2
