package bgp

import "errors"

var (
	// ErrStopped indicates that the engine was shut down or never ran.
	ErrStopped = errors.New("bgp: engine is not running")
	// errHoldTimer indicates that the peer was silent for the hold time.
	errHoldTimer = errors.New("bgp: hold timer expired: nothing was heard from the peer")
	// errSendHold indicates that the peer did not read for the send hold time (RFC 9687).
	errSendHold = errors.New("bgp: send hold timer expired: the peer does not read what is sent to it")
	// errAwaitsBFD indicates a session that is not opened before the path is known to work.
	errAwaitsBFD = errors.New("bgp: waits for the BFD session to come up (strict mode)")
	// errNoSource indicates a session that listens without an address to listen on.
	errNoSource = errors.New("bgp: source: an address of this node is needed to listen on")
)
