// Package v1beta1 holds the kinds of metallb.io/v1beta1. Users write IPAddressPool,
// L2Advertisement, BGPAdvertisement, BFDProfile, Community and (deprecated in this
// version) BGPPeer. ServiceL2Status, ServiceBGPStatus and ConfigurationState are
// written by the load balancer.
//
// Only objects in the namespace that the load balancer runs in have an effect.
//
// +kubebuilder:object:generate=true
// +kubebuilder:ac:generate=true
// +groupName=metallb.io
package v1beta1
