package config

// Reason is the reason of the condition Accepted.
type Reason string

// ReasonAccepted goes with accepted objects.
const ReasonAccepted Reason = "Accepted"

// Reasons to refuse any kind of object.
const (
	// ReasonWrongNamespace is an object outside the namespace that is read.
	ReasonWrongNamespace Reason = "WrongNamespace"
	// ReasonInvalidSelector is a label selector that cannot be used, or a duplicate.
	ReasonInvalidSelector Reason = "InvalidSelector"
	// ReasonDuplicateEntry is a list that holds an item twice.
	ReasonDuplicateEntry Reason = "DuplicateEntry"
	// ReasonDuplicateName is a second object of the same kind and name.
	ReasonDuplicateName Reason = "DuplicateName"
)

// Reasons to refuse an IPAddressPool.
const (
	ReasonMissingName        Reason = "MissingName"
	ReasonInvalidAddresses   Reason = "InvalidAddresses"
	ReasonOverlappingPool    Reason = "OverlappingPool"
	ReasonInvalidReservation Reason = "InvalidReservation"
	ReasonInvalidRetention   Reason = "InvalidRetention"
	ReasonInvalidQuota       Reason = "InvalidQuota"
)

// Reasons to refuse an L2Advertisement.
const (
	ReasonInvalidWeight Reason = "InvalidWeight"
)
