package bfd

import (
	"fmt"
	"testing"
)

func TestFSM(t *testing.T) {
	triggers := []struct {
		name string
		t    trigger
	}{
		{"receive AdminDown", rxAdminDown}, {"receive Down", rxDown}, {"receive Init", rxInit}, {"receive Up", rxUp},
		{"detection time expired", detectionExpired}, {"echo failed", echoExpired},
		{"disable", disable}, {"enable", enable},
	}
	// before is a diagnostic that no transition sets: where it is wanted, the machine leaves it alone.
	const before = DiagPathDown
	type result struct {
		state State
		diag  Diagnostic
	}
	stay := func(s State) result { return result{s, before} }
	admin := result{AdminDown, DiagAdministrativelyDown}
	up := result{Up, DiagNone}
	signaled := result{Down, DiagNeighborSignaledDown}
	expired := result{Down, DiagDetectionTimeExpired}
	for state, want := range map[State][]result{
		AdminDown: {
			stay(AdminDown), stay(AdminDown), stay(AdminDown), stay(AdminDown),
			stay(AdminDown), stay(AdminDown),
			admin, stay(Down),
		},
		Down: {
			stay(Down), stay(Init), up, stay(Down),
			stay(Down), stay(Down),
			admin, stay(Down),
		},
		Init: {
			signaled, stay(Init), up, up,
			expired, stay(Init),
			admin, stay(Init),
		},
		Up: {
			signaled, signaled, stay(Up), stay(Up),
			expired, {Down, DiagEchoFailed},
			admin, stay(Up),
		},
	} {
		for i, tr := range triggers {
			t.Run(fmt.Sprintf("%v/%s", state, tr.name), func(t *testing.T) {
				s, d := next(state, before, tr.t)
				if got := (result{s, d}); got != want[i] {
					t.Errorf("got %v, want %v", got, want[i])
				}
			})
		}
	}
}

func TestReceivedTrigger(t *testing.T) {
	for s, want := range map[State]trigger{AdminDown: rxAdminDown, Down: rxDown, Init: rxInit, Up: rxUp} {
		if got := received(s); got != want {
			t.Errorf("%v: got %d, want %d", s, got, want)
		}
	}
}
