package bfd

import "errors"

// Reasons why a datagram is not a valid BFD Control packet (RFC 5880 section 6.8.6).
var (
	errShort         = errors.New("bfd: packet shorter than its length field or the minimum")
	errVersion       = errors.New("bfd: version is not 1")
	errMultiplier    = errors.New("bfd: detect multiplier is zero")
	errMultipoint    = errors.New("bfd: multipoint bit is set")
	errDiscriminator = errors.New("bfd: my discriminator is zero")
	errNoSession     = errors.New("bfd: your discriminator is zero in state Init or Up")
	errAuthSection   = errors.New("bfd: malformed authentication section")
)

var (
	// ErrParams is wrapped by the errors of [Engine.Set] that refuse one session.
	ErrParams = errors.New("bfd: session refused")

	// ErrStopped is returned by calls that need a running engine after Run has returned.
	ErrStopped = errors.New("bfd: engine has stopped")

	errRunning = errors.New("bfd: engine is already running")
)
