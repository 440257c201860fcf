package bgp

import "time"

// view is what readers see of an engine.
type view struct {
	sessions map[string]*session
	others   map[string]Status // refused peers, and ranges
}

// other makes the status of a peer without a session, the old one where nothing changed.
func (v *view) other(name string, state State, reason string) Status {
	st, ok := v.others[name]
	if ok && st.State == state && st.LastError == reason {
		return st
	}
	st = Status{State: state, Since: time.Now(), LastError: reason}
	if reason != "" {
		st.LastErrorAt = st.Since
	}
	return st
}

func sameOther(a, b Status) bool { return a.State == b.State && a.LastError == b.LastError }
