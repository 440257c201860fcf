package bgp

// BFDState is the state of a BFD session (RFC 5880, section 4.1).
type BFDState uint8

// States of a BFD session. The zero value is for one that does not exist yet.
const (
	BFDUnknown BFDState = iota
	BFDAdminDown
	BFDDown
	BFDInit
	BFDUp
)

// String gives the name of the RFC.
func (s BFDState) String() string {
	switch s {
	case BFDAdminDown:
		return "AdminDown"
	case BFDDown:
		return "Down"
	case BFDInit:
		return "Init"
	case BFDUp:
		return "Up"
	}
	return "unknown"
}

// BFD tells whether the path to a peer works.
type BFD interface {
	// Watch reports the state of the BFD session that belongs to the named peer: the
	// present one first, then every change. A slow reader may miss states in between, but
	// never that a session was down. stop ends the watch and does not wait.
	Watch(peer string) (states <-chan BFDState, stop func())
}
