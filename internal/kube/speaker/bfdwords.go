package speaker

import (
	"fmt"
	"strings"
	"time"

	"github.com/lintel-lb/lintel/internal/bfd"
)

// bfdExplanation is how the BFD session of a peer fares, for people.
type bfdExplanation struct{ state, detail string }

// explain says how the BFD sessions fare, by name of the peer. A nil bridge has none.
func (b *BFDBridge) explain(now time.Time) map[string]bfdExplanation {
	if b == nil {
		return nil
	}
	sessions := b.engine.Snapshot().Sessions
	b.mu.Lock()
	defer b.mu.Unlock()
	out := make(map[string]bfdExplanation, len(b.wanted))
	for peer, p := range b.wanted {
		key, known := b.paths[peer]
		st, runs := sessions[key]
		switch {
		case !known:
			out[peer] = bfdExplanation{bfd.Down.String(), fmt.Sprintf("no router was heard on link %s: it must send router advertisements", p.key.Interface)}
		case runs:
			out[peer] = bfdExplanation{st.State.String(), bfdWords(key, p.params, st, now)}
		case b.refused != nil:
			out[peer] = bfdExplanation{bfd.Down.String(), b.refused.Error()}
		default:
			out[peer] = bfdExplanation{bfd.Down.String(), "about to begin"}
		}
	}
	return out
}

// bfdWords says how a session fares: with whom, since when, why not, and with which timers.
func bfdWords(key bfd.Key, p bfd.Params, st bfd.Status, now time.Time) string {
	ago := func(t time.Time) string { return now.Sub(t).Round(time.Second).String() }
	words := []string{fmt.Sprintf("with %s, %s for %s", key, st.State, ago(st.Since))}
	say := func(format string, args ...any) { words = append(words, fmt.Sprintf(format, args...)) }
	heard := st.RemoteDiscriminator != 0
	switch {
	case st.Error != "":
		say("%s", st.Error)
	case st.State == bfd.Up:
		say("sends every %v, expects a packet every %v and takes %v without one for down", st.TransmitInterval, st.ReceiveInterval, st.DetectionTime)
	case !heard && p.Passive && st.ControlOut == 0:
		say("waits for the router to begin (passiveMode)")
	case !heard:
		say("the router is not heard: is BFD on there, and are UDP ports 3784 and 4784 open?")
	case st.RemoteState == bfd.AdminDown:
		say("the router has it down by administration")
	default:
		say("the router says %s", st.RemoteState)
	}
	if st.State != bfd.Up && st.RemoteDiagnostic != bfd.DiagNone {
		say("its reason is %q", st.RemoteDiagnostic)
	}
	if st.Polling {
		say("other intervals are being agreed on")
	}
	if !st.LastDownAt.IsZero() {
		say("was last lost %s ago: %s", ago(st.LastDownAt), st.LastDown)
	}
	if p.EchoMode {
		echo := "echo is " + st.Echo.String()
		if st.EchoInterval > 0 {
			echo += fmt.Sprintf(", every %v", st.EchoInterval)
		}
		say("%s", echo)
	}
	if p.Auth.Type != bfd.AuthNone {
		say("signs with key %d, %s", p.Auth.Keys[0].ID, p.Auth.Type)
	}
	if st.AuthFailures > 0 {
		hint := "does the router sign, and this profile has no auth?"
		if p.Auth.Type != bfd.AuthNone {
			hint = "compare auth of the BFDProfile with type, number and key of the router"
		}
		say("%d packets were dropped for their authentication: %s", st.AuthFailures, hint)
	}
	if st.LateTimers > 0 {
		say("%d timers fired more than 10 ms late: the node may be too busy for these intervals", st.LateTimers)
	}
	return strings.Join(words, "; ")
}
