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

// Reasons to refuse an L2Advertisement or a BGPAdvertisement.
const (
	ReasonInvalidWeight            Reason = "InvalidWeight"
	ReasonInvalidAggregationLength Reason = "InvalidAggregationLength"
	// ReasonSelectorsWithAggregation is serviceSelectors together with aggregation.
	ReasonSelectorsWithAggregation Reason = "SelectorsWithAggregation"
	// ReasonConflictingLocalPref is another advertisement that says something else about
	// the same routes.
	ReasonConflictingLocalPref Reason = "ConflictingLocalPref"
	ReasonInvalidCommunity     Reason = "InvalidCommunity"
	ReasonInvalidBandwidth     Reason = "InvalidLinkBandwidth"
)

// Reasons to refuse a Community.
const (
	// ReasonDuplicateCommunity is a name that is defined already.
	ReasonDuplicateCommunity Reason = "DuplicateCommunity"
)

// Reasons to refuse a BFDProfile.
const (
	ReasonInvalidBFDParameter Reason = "InvalidBFDParameter"
)

// Reasons to refuse a BGPPeer.
const (
	ReasonInvalidASN      Reason = "InvalidASN"
	ReasonInvalidMultiHop Reason = "InvalidMultiHop"
	ReasonInvalidAddress  Reason = "InvalidAddress"
	ReasonInvalidTimers   Reason = "InvalidTimers"
	ReasonInvalidRouterID Reason = "InvalidRouterID"
	ReasonInvalidSource   Reason = "InvalidSourceAddress"
	ReasonInvalidPort     Reason = "InvalidPort"
	// ReasonInvalidRestart is a parameter of graceful restart.
	ReasonInvalidRestart Reason = "InvalidGracefulRestart"
	// ReasonTwoPasswords is both a password and a reference to one.
	ReasonTwoPasswords      Reason = "TwoPasswords"
	ReasonUnknownSecret     Reason = "UnknownSecret"
	ReasonInvalidSecret     Reason = "InvalidSecret"
	ReasonUnknownBFDProfile Reason = "UnknownBFDProfile"
	// ReasonDuplicatePeer is a second session of a node to the same router.
	ReasonDuplicatePeer Reason = "DuplicatePeer"
)
