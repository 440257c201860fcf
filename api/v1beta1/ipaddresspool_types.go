package v1beta1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// IPAddressPoolSpec says which addresses a pool has and who may use them.
type IPAddressPoolSpec struct {
	// Addresses of the pool. Each item is a prefix in CIDR notation (192.0.2.0/24,
	// 2001:db8::/64) or a range written first-last with both ends included
	// (192.0.2.10-192.0.2.20). A single address is written 192.0.2.1/32. No address may
	// be in two pools.
	// +kubebuilder:validation:XValidation:rule="size(self) > 0",message="pool has no prefixes defined: give at least one CIDR or first-last range in addresses"
	Addresses []string `json:"addresses"`

	// AutoAssign lets Services that do not ask for this pool get addresses from it. Where
	// it is false, the pool serves only Services that name it, or one of its addresses.
	// +optional
	// +kubebuilder:default:=true
	AutoAssign *bool `json:"autoAssign,omitempty"`

	// AvoidBuggyIPs keeps IPv4 addresses that end in .0 or .255 from being used, because
	// some old equipment takes them for network or broadcast addresses.
	// +optional
	// +kubebuilder:default:=false
	AvoidBuggyIPs bool `json:"avoidBuggyIPs,omitempty"`

	// AllocateTo pins the pool to certain namespaces and Services. Pinned pools are tried
	// before others. An empty object pins the pool to every Service.
	// +optional
	AllocateTo *ServiceAllocation `json:"serviceAllocation,omitempty"`

	// Drain stops new assignments from this pool. Services keep the addresses that they
	// have. (extension)
	// +optional
	Drain bool `json:"drain,omitempty"`

	// Reservations keep addresses of this pool for Services, whether these exist yet or
	// not. No other Service gets a reserved address, and the Service gets no other address
	// of its family. (extension)
	// +optional
	// +listType=map
	// +listMapKey=namespace
	// +listMapKey=name
	Reservations []Reservation `json:"reservations,omitempty"`

	// Retention is how long the addresses of a deleted Service are kept for a Service of
	// the same namespace and name, such as "10m" or "24h". Unset and "0s" keep nothing.
	// (extension)
	// +optional
	// +kubebuilder:validation:XValidation:rule="duration(self) >= duration('0s')",message="retention must not be negative: give a duration such as 10m, or leave it out"
	Retention *metav1.Duration `json:"retention,omitempty"`

	// Quota bounds how many addresses of this pool the Services of one namespace may hold
	// together. An address that several Services share counts once. (extension)
	// +optional
	Quota *PoolQuota `json:"quota,omitempty"`

	// Requesters are the namespaces whose Services may ask for a specific address of this
	// pool; others may still get addresses from it without naming one. Unset means all
	// namespaces, and an empty object none. (extension)
	// +optional
	Requesters *Requesters `json:"requesters,omitempty"`
}

// ServiceAllocation says which Services a pinned pool is for. A Service must be in the
// namespaces, if any are given, and match the Service selectors, if any are given.
type ServiceAllocation struct {
	// Priority orders pinned pools: the lower number is tried first. Pools with 0, or
	// without a priority, come after those with a positive one.
	// +optional
	Priority int `json:"priority,omitempty"`

	// Namespaces lists namespaces by name.
	// +optional
	Namespaces []string `json:"namespaces,omitempty"`

	// NamespaceSelectors selects namespaces by label, in addition to those listed by name.
	// A namespace is selected when any item matches.
	// +optional
	NamespaceSelectors []metav1.LabelSelector `json:"namespaceSelectors,omitempty"`

	// ServiceSelectors selects Services by label. A Service is selected when any item matches.
	// +optional
	ServiceSelectors []metav1.LabelSelector `json:"serviceSelectors,omitempty"`
}

// Reservation keeps addresses for one Service.
type Reservation struct {
	// Namespace of the Service.
	// +kubebuilder:validation:MinLength=1
	Namespace string `json:"namespace"`

	// Name of the Service.
	// +kubebuilder:validation:MinLength=1
	Name string `json:"name"`

	// Addresses kept for the Service; each must be in the pool and in one reservation only.
	// +kubebuilder:validation:MinItems=1
	Addresses []string `json:"addresses"`
}

// PoolQuota bounds the number of addresses a namespace holds.
type PoolQuota struct {
	// PerNamespace is the bound for every namespace that is not listed in namespaces.
	// Unset means no bound.
	// +optional
	// +kubebuilder:validation:Minimum=0
	PerNamespace *int32 `json:"perNamespace,omitempty"`

	// Namespaces sets the bound of single namespaces.
	// +optional
	// +listType=map
	// +listMapKey=namespace
	Namespaces []NamespaceQuota `json:"namespaces,omitempty"`
}

// NamespaceQuota is the bound of one namespace.
type NamespaceQuota struct {
	// Namespace that the bound is for.
	// +kubebuilder:validation:MinLength=1
	Namespace string `json:"namespace"`

	// Addresses is the largest number of addresses that the namespace may hold.
	// +kubebuilder:validation:Minimum=0
	Addresses int32 `json:"addresses"`
}

// Requesters is the union of namespaces by name and by label.
type Requesters struct {
	// Namespaces lists namespaces by name.
	// +optional
	Namespaces []string `json:"namespaces,omitempty"`

	// NamespaceSelectors selects namespaces by label. A namespace is selected when any item matches.
	// +optional
	NamespaceSelectors []metav1.LabelSelector `json:"namespaceSelectors,omitempty"`
}

// IPAddressPoolStatus is what the controller tells about a pool.
type IPAddressPoolStatus struct {
	// AssignedIPv4 is the number of IPv4 addresses in use; a shared address counts once.
	// +optional
	AssignedIPv4 int64 `json:"assignedIPv4"`

	// AssignedIPv6 is the number of IPv6 addresses in use; a shared address counts once.
	// +optional
	AssignedIPv6 int64 `json:"assignedIPv6"`

	// AvailableIPv4 is the number of IPv4 addresses not in use.
	// +optional
	AvailableIPv4 int64 `json:"availableIPv4"`

	// AvailableIPv6 is the number of IPv6 addresses not in use. Numbers too large to write
	// are given as 9223372036854775807 less those in use.
	// +optional
	AvailableIPv6 int64 `json:"availableIPv6"`

	// Retained are addresses of deleted Services that are kept for now. (extension)
	// +optional
	// +listType=map
	// +listMapKey=namespace
	// +listMapKey=name
	// +listMapKey=address
	Retained []RetainedAddress `json:"retained,omitempty"`

	// Conditions tell whether the object is in effect. (extension)
	// +optional
	// +listType=map
	// +listMapKey=type
	Conditions []metav1.Condition `json:"conditions,omitempty"`
}

// RetainedAddress is an address kept for a Service that was deleted.
type RetainedAddress struct {
	// Namespace of the deleted Service.
	Namespace string `json:"namespace"`

	// Name of the deleted Service.
	Name string `json:"name"`

	// Address that is kept.
	Address string `json:"address"`

	// Until is when the address becomes free for others.
	Until metav1.Time `json:"until"`
}

// IPAddressPool is a set of addresses for Services of type LoadBalancer.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:scope=Namespaced
// +kubebuilder:printcolumn:name="Auto Assign",type=boolean,JSONPath=`.spec.autoAssign`
// +kubebuilder:printcolumn:name="Avoid Buggy IPs",type=boolean,JSONPath=`.spec.avoidBuggyIPs`
// +kubebuilder:printcolumn:name="Addresses",type=string,JSONPath=`.spec.addresses`
type IPAddressPool struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	Spec   IPAddressPoolSpec   `json:"spec"`
	Status IPAddressPoolStatus `json:"status,omitempty,omitzero"`
}

// IPAddressPoolList is a list of IPAddressPool.
//
// +kubebuilder:object:root=true
type IPAddressPoolList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []IPAddressPool `json:"items"`
}
