package speaker

import (
	corev1 "k8s.io/api/core/v1"
)

// applyConflicts reports stations that the engine has seen to claim an address which this
// node announces: once for each address and station, as an event on its Services. Nothing is
// fought over.
func (s *Speaker) applyConflicts() {
	state := s.Engine.Snapshot()
	for a := range s.conflicts {
		if st, ok := state.Addresses[a]; !ok || st.Conflict == nil {
			delete(s.conflicts, a)
		}
	}
	for a, st := range state.Addresses {
		if st.Conflict == nil {
			continue
		}
		if mac, reported := s.conflicts[a]; reported && mac == st.Conflict.MAC {
			continue
		}
		s.conflicts[a] = st.Conflict.MAC
		s.Log.Warn("another station claims an address that this node announces", "address", a, "mac", st.Conflict.MAC, "link", st.Conflict.Link)
		if s.clusterMACs[st.Conflict.MAC] {
			// Another node of the cluster: a move that is under way.
			continue
		}
		for _, k := range s.decider.Holders(a) {
			s.Events.Eventf(serviceRef(k, s.decider.World().Services[k]), corev1.EventTypeWarning, "addressConflict",
				"%s is announced from node %q, and %s on %s claims it too; take it away from there, or keep it out of the pool",
				a, s.config.Node, st.Conflict.MAC, st.Conflict.Link)
		}
	}
}
