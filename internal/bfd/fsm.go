package bfd

// trigger is what moves the state machine.
type trigger uint8

const (
	_           trigger = iota
	rxAdminDown         // a valid packet with state AdminDown
	rxDown              // a valid packet with state Down
	rxInit              // a valid packet with state Init
	rxUp                // a valid packet with state Up
	detectionExpired
	echoExpired
	disable // the administrator holds the session down
	enable  // the administrator lets it go
)

// received gives the trigger of a packet.
func received(s State) trigger {
	switch s {
	case AdminDown:
		return rxAdminDown
	case Down:
		return rxDown
	case Init:
		return rxInit
	}
	return rxUp
}

// next is the state machine of RFC 5880 sections 6.2, 6.8.4 to 6.8.6 and 6.8.16: the state that
// follows and, where the machine sets bfd.LocalDiag, its value. A trigger that does nothing
// returns the state and the diagnostic unchanged.
func next(s State, diag Diagnostic, t trigger) (State, Diagnostic) {
	switch {
	case t == disable:
		return AdminDown, DiagAdministrativelyDown
	case s == AdminDown && t == enable:
		return Down, diag
	}
	switch s {
	case Down:
		switch t {
		case rxDown:
			return Init, diag
		case rxInit:
			return Up, DiagNone
		}
	case Init:
		switch t {
		case rxInit, rxUp:
			return Up, DiagNone
		case rxAdminDown:
			return Down, DiagNeighborSignaledDown
		case detectionExpired:
			return Down, DiagDetectionTimeExpired
		}
	case Up:
		switch t {
		case rxAdminDown, rxDown:
			return Down, DiagNeighborSignaledDown
		case detectionExpired:
			return Down, DiagDetectionTimeExpired
		case echoExpired:
			return Down, DiagEchoFailed
		}
	}
	return s, diag
}
