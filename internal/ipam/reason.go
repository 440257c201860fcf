package ipam

import "fmt"

// Reason says why a Service has the addresses that it has. It is a closed set.
type Reason uint8

// The reasons. The zero value is invalid.
const (
	// Assigned: the Service has all addresses that it can want.
	Assigned Reason = iota + 1
	// AssignedOneFamily: PreferDualStack, and only one family could be given.
	AssignedOneFamily
	// NoConfig: no configuration was read yet; nothing is decided.
	NoConfig
	// NoPool: no IPAddressPool exists.
	NoPool
	// UnknownPool: the pool that the Service names does not exist.
	UnknownPool
	// WaitingForClusterIP: the Service has no cluster address, or is headless.
	WaitingForClusterIP
	// NotEnoughClusterIPs: RequireDualStack with fewer than two cluster addresses.
	NotEnoughClusterIPs
	// ClusterIPsInvalid: the cluster addresses are not one per family.
	ClusterIPsInvalid
	// RequestInvalid: the request cannot be read, or asks for families that the Service lacks.
	RequestInvalid
	// RequestNotInPool: no pool, or not the pool named, contains the addresses asked for.
	RequestNotInPool
	// RequestNotPermitted: the pool lets other namespaces ask for specific addresses.
	RequestNotPermitted
	// AddressInUse: another Service holds the address and the two may not share it.
	AddressInUse
	// AddressReserved: the address is reserved for another Service.
	AddressReserved
	// AddressRetained: the address is kept for a Service that was deleted.
	AddressRetained
	// NotAllowedByPool: pools exist, but none that is for this Service.
	NotAllowedByPool
	// FamilyNotInPool: the pools for this Service lack a family that it needs.
	FamilyNotInPool
	// PoolExhausted: the pools for this Service are full.
	PoolExhausted
	// QuotaExceeded: the namespace holds as many addresses of the pool as it may.
	QuotaExceeded
	// Draining: the pools for this Service give no new addresses.
	Draining
	// SharingBroken: the Service may no longer share the address that it has.
	SharingBroken
	// NotCovered: no pool contains the address that the Service has.
	NotCovered
	// ForeignStatus: another controller writes the status of the Service.
	ForeignStatus
)

// name gives the name of a reason, which is part of the interface to users and does not
// change; empty for a number that is none.
func (r Reason) name() string {
	names := [...]string{
		Assigned:            "Assigned",
		AssignedOneFamily:   "AssignedOneFamily",
		NoConfig:            "NoConfig",
		NoPool:              "NoPool",
		UnknownPool:         "UnknownPool",
		WaitingForClusterIP: "WaitingForClusterIP",
		NotEnoughClusterIPs: "NotEnoughClusterIPs",
		ClusterIPsInvalid:   "ClusterIPsInvalid",
		RequestInvalid:      "RequestInvalid",
		RequestNotInPool:    "RequestNotInPool",
		RequestNotPermitted: "RequestNotPermitted",
		AddressInUse:        "AddressInUse",
		AddressReserved:     "AddressReserved",
		AddressRetained:     "AddressRetained",
		NotAllowedByPool:    "NotAllowedByPool",
		FamilyNotInPool:     "FamilyNotInPool",
		PoolExhausted:       "PoolExhausted",
		QuotaExceeded:       "QuotaExceeded",
		Draining:            "Draining",
		SharingBroken:       "SharingBroken",
		NotCovered:          "NotCovered",
		ForeignStatus:       "ForeignStatus",
	}
	if int(r) >= len(names) {
		return ""
	}
	return names[r]
}

// String gives the name of the constant.
func (r Reason) String() string {
	if name := r.name(); name != "" {
		return name
	}
	return fmt.Sprintf("Reason(%d)", uint8(r))
}

// MarshalText writes String.
func (r Reason) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

// refusal is why an assignment is not possible.
type refusal struct {
	reason Reason
	// why goes into events; its wording follows MetalLB where that is clear.
	why string
	// remedy is what the user can do.
	remedy string
}

func refuse(r Reason, remedy, format string, args ...any) *refusal {
	return &refusal{reason: r, why: fmt.Sprintf(format, args...), remedy: remedy}
}

// message is the reason with its remedy, for status and command line.
func (r *refusal) message() string {
	if r.remedy == "" {
		return r.why
	}
	return r.why + "; " + r.remedy
}
