package speaker

import (
	"context"
	"encoding/json"
	"maps"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/lintel-lb/lintel/internal/kube/endpoint"
	"github.com/lintel-lb/lintel/internal/lb"
)

// inspectTimeout bounds how long an inspection waits for the loop.
const inspectTimeout = 5 * time.Second

// Inspector answers requests for a SpeakerReport.
func (s *Speaker) Inspector(version string, started time.Time) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var service *lb.ServiceKey
		if q := r.URL.Query().Get("service"); q != "" {
			k, err := lb.ParseServiceKey(q)
			if err != nil {
				http.Error(w, err.Error(), http.StatusBadRequest)
				return
			}
			service = &k
		}
		ctx, cancel := context.WithTimeout(r.Context(), inspectTimeout)
		defer cancel()
		var report endpoint.SpeakerReport
		err := s.Ask(ctx, func(s *Speaker) { report = s.inspect(service) })
		if err != nil {
			http.Error(w, "the speaker has not started to decide yet: "+err.Error(), http.StatusServiceUnavailable)
			return
		}
		report.Version, report.Started = version, started
		w.Header().Set("Content-Type", "application/json")
		if err := json.NewEncoder(w).Encode(report); err != nil {
			s.Log.Debug("an inspection was broken off", "error", err)
		}
	})
}

// inspect runs in the loop.
func (s *Speaker) inspect(service *lb.ServiceKey) endpoint.SpeakerReport {
	world := s.decider.World()
	snap := s.Members.Snapshot()
	r := endpoint.SpeakerReport{
		Node:     s.config.Node,
		Members:  slices.Sorted(maps.Keys(snap.Alive)),
		Joining:  world.Members.Joining,
		Problems: snap.Health.Problems(),
		Links:    world.Links[s.config.Node],
		Settings: world.Settings,
		Gated:    world.Gated[s.config.Node],
	}
	for _, v := range s.parsed.verdicts {
		if !v.Accepted {
			r.Refused = append(r.Refused, v)
		}
	}
	engine := s.Engine.Snapshot()
	for _, a := range s.owned() {
		st := engine.Addresses[a]
		r.Addresses = append(r.Addresses, endpoint.AnnouncedAddress{
			Address: a, Services: slices.Clone(s.holders[a]), Protocol: lb.Layer2, Layer2: &st})
	}
	r.Addresses = append(r.Addresses, s.routed()...)
	r.Sessions = s.sessions()
	if service != nil {
		r.Verdicts = s.verdictsOf(*service)
	}
	return r
}

// verdictsOf are the verdicts of both protocols about a Service on this node.
func (s *Speaker) verdictsOf(k lb.ServiceKey) []lb.Verdict {
	return s.decider.AllVerdicts(k, s.config.Node)
}

// routed are the addresses whose routes are on the wire, sorted.
func (s *Speaker) routed() []endpoint.AnnouncedAddress {
	sessions := s.BGP.Snapshot()
	byAddress := map[netip.Addr]*endpoint.AnnouncedAddress{}
	for h, routes := range s.bgp.routes {
		for _, r := range routes {
			for _, peer := range r.Peers {
				if _, sent := sessions[peer].Routes[r.Prefix]; !sent {
					continue
				}
				a := byAddress[h.address]
				if a == nil {
					a = &endpoint.AnnouncedAddress{Address: h.address, Services: slices.Clone(s.holders[h.address]), Protocol: lb.BGP}
					byAddress[h.address] = a
				}
				if !slices.Contains(a.Peers, peer) {
					a.Peers = append(a.Peers, peer)
				}
			}
		}
	}
	out := make([]endpoint.AnnouncedAddress, 0, len(byAddress))
	for _, a := range byAddress {
		slices.Sort(a.Peers)
		out = append(out, *a)
	}
	slices.SortFunc(out, func(a, b endpoint.AnnouncedAddress) int { return a.Address.Compare(b.Address) })
	return out
}

// sessions tells how each BGP session fares.
func (s *Speaker) sessions() []endpoint.Session {
	var out []endpoint.Session
	for name, st := range s.BGP.Snapshot() {
		out = append(out, endpoint.Session{
			Peer: name, State: st.State.String(), Since: st.Since, LastError: st.LastError,
			Remote: st.Remote.String(), BFD: st.BFD.String(), Prefixes: len(st.Routes), Pending: st.Pending,
		})
	}
	slices.SortFunc(out, func(a, b endpoint.Session) int { return strings.Compare(a.Peer, b.Peer) })
	return out
}
