package speaker

import (
	"net/netip"
	"slices"

	corev1 "k8s.io/api/core/v1"

	"github.com/lintel-lb/lintel/internal/lb"
)

// reportSilence puts an event on a Service with an address that nobody announces, with the
// reason, so that no refusal is silent. Of all speakers, the alive one with the first name does
// it. Services that wait for endpoints, or for something that is under way, are not reported:
// that is how Services come and go.
func (s *Speaker) reportSilence(k lb.ServiceKey) {
	byAddress := map[netip.Addr][]lb.Verdict{}
	for _, v := range s.decider.AllVerdicts(k, s.config.Node) {
		if v.Address.IsValid() {
			byAddress[v.Address] = append(byAddress[v.Address], v)
		}
	}
	for a, verdicts := range byAddress {
		h := holding{k, a}
		v, silent := silence(verdicts)
		if !silent || s.firstAlive() != s.config.Node {
			delete(s.silent, h)
			continue
		}
		if s.silent[h] == v.Reason {
			continue
		}
		s.silent[h] = v.Reason
		where := ""
		if !v.Reason.OfService() {
			where = " (said of node " + s.config.Node + "; kubectl lintel why tells the others' reasons)"
		}
		s.Events.Eventf(serviceRef(k, s.decider.World().Services[k]), corev1.EventTypeWarning, "notAnnounced",
			"no node announces %s: %s%s", v.Address, v.Sentence(), where)
	}
}

// silence tells whether one node's verdicts about an address mean that no node announces it, and
// which of them says why. What another node does by BGP shows only where the reason is likely to
// be the same there.
func silence(verdicts []lb.Verdict) (why lb.Verdict, silent bool) {
	for _, v := range verdicts {
		general := v.Protocol == lb.Layer2 || v.Reason.OfService() || v.Reason == lb.NoPeer || v.Reason == lb.ConflictingAdvertisements
		switch {
		case v.Outcome != lb.Not, v.Owner != "", !general, v.Reason == lb.NoEndpoints, v.Reason == lb.AddressConflict:
			return lb.Verdict{}, false
		case !silent:
			why, silent = v, true
		}
	}
	return why, silent
}

// firstAlive is the first name of all nodes whose speakers are alive, as far as is known.
func (s *Speaker) firstAlive() string {
	world := s.decider.World()
	var names []string
	for name := range world.Nodes {
		if world.Members.Contains(name) {
			names = append(names, name)
		}
	}
	if len(names) == 0 {
		return ""
	}
	return slices.Min(names)
}

// reportMembership puts an event on this node's Node object for each new problem of the
// membership, such as a port that is blocked.
func (s *Speaker) reportMembership(problems []string) {
	known := s.problems
	s.problems = problems
	for _, p := range problems {
		if slices.Contains(known, p) {
			continue
		}
		s.Log.Warn("membership problem", "problem", p)
		s.Events.Event(&corev1.ObjectReference{APIVersion: "v1", Kind: "Node", Name: s.config.Node, UID: uid(s.config.Node)},
			corev1.EventTypeWarning, "memberlistProblem", p)
	}
}
