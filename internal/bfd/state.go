package bfd

import "fmt"

// State is a session state with its value on the wire (RFC 5880 section 4.1).
type State uint8

// The session states.
const (
	AdminDown State = iota // held down by an administrator; says nothing about the path
	Down                   // no session, or it has failed
	Init                   // the peer is heard, and does not hear this system yet
	Up                     // both hear each other
)

func (s State) String() string {
	switch s {
	case AdminDown:
		return "AdminDown"
	case Down:
		return "Down"
	case Init:
		return "Init"
	case Up:
		return "Up"
	}
	return fmt.Sprintf("State(%d)", uint8(s))
}

// Diagnostic says why a session last left Up, with its value on the wire (RFC 5880 section 4.1).
type Diagnostic uint8

// The diagnostic codes.
const (
	DiagNone Diagnostic = iota
	DiagDetectionTimeExpired
	DiagEchoFailed
	DiagNeighborSignaledDown
	DiagForwardingPlaneReset
	DiagPathDown
	DiagConcatenatedPathDown
	DiagAdministrativelyDown
	DiagReverseConcatenatedPathDown
)

// String gives the text of the RFC in lower case.
func (d Diagnostic) String() string {
	switch d {
	case DiagNone:
		return "no diagnostic"
	case DiagDetectionTimeExpired:
		return "control detection time expired"
	case DiagEchoFailed:
		return "echo function failed"
	case DiagNeighborSignaledDown:
		return "neighbor signaled session down"
	case DiagForwardingPlaneReset:
		return "forwarding plane reset"
	case DiagPathDown:
		return "path down"
	case DiagConcatenatedPathDown:
		return "concatenated path down"
	case DiagAdministrativelyDown:
		return "administratively down"
	case DiagReverseConcatenatedPathDown:
		return "reverse concatenated path down"
	}
	return fmt.Sprintf("reserved diagnostic %d", uint8(d))
}
