package members

import "errors"

var (
	// ErrNotKeyed indicates that keys were given to a member that gossips in plaintext. Turning
	// encryption on means to start anew with Config.Keyed.
	ErrNotKeyed = errors.New("members: keys given but gossip is configured without encryption; set the secret key path")

	// ErrStateTooLarge indicates that a state is larger than MaxState.
	ErrStateTooLarge = errors.New("members: state is too large")

	// ErrAlreadyRun indicates a second call of Run.
	ErrAlreadyRun = errors.New("members: Run was called before")

	// ErrStopped indicates that Run ended before what was asked for was done.
	ErrStopped = errors.New("members: stopped")

	errFormat  = errors.New("members: malformed message")
	errUnknown = errors.New("members: message of an unknown format")
)
