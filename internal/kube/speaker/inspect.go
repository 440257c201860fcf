package speaker

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/lintel-lb/lintel/internal/announce"
	"github.com/lintel-lb/lintel/internal/bgp"
	"github.com/lintel-lb/lintel/internal/kube/endpoint"
	"github.com/lintel-lb/lintel/internal/kube/mixed"
	"github.com/lintel-lb/lintel/internal/lb"
	"github.com/lintel-lb/lintel/internal/members"
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
		Alone:    !snap.Enabled,
		Others:   s.others(snap),
		Joining:  world.Members.Joining,
		Problems: snap.Health.Problems(),
		Links:    world.Links[s.config.Node],
		Gateways: world.Gateways[s.config.Node],
		Settings: world.Settings,
		Classes:  s.config.Classes,
		Gated:    world.Gated[s.config.Node],
		Drained:  world.Drained[s.config.Node],
	}
	for a, probe := range world.Probes {
		if r.Held == nil {
			r.Held = map[netip.Addr]string{}
		}
		r.Held[a] = probe.Conflict
	}
	if s.borrowed != nil {
		r.Problems = append(r.Problems, fmt.Sprintf("it works from the copy of %s on its disk, since the API server cannot be reached",
			s.borrowed.Saved.UTC().Format(time.RFC3339)))
	}
	for _, err := range s.Refusals.All() {
		missing := "it lacks a right"
		if refused := s.mixedRefused(); refused != nil && errors.Is(err, refused) {
			missing = fmt.Sprintf("it cannot see whether membership is mixed, and takes it as not mixed: "+
				"let its ServiceAccount list and watch the ConfigMap %s in namespace %s", mixed.ConfigMap, s.config.Namespace)
		}
		r.Problems = append(r.Problems, fmt.Sprintf("%s (%v)", missing, err))
	}
	for _, v := range s.parsed.verdicts {
		if !v.Accepted {
			r.Refused = append(r.Refused, v)
		}
	}
	engine := s.Engine.Snapshot()
	for _, a := range s.owned() {
		st := engine.Addresses[a]
		if st.Conflict != nil && s.settledConflict(st.Conflict, time.Now()) {
			st.Conflict = nil
		}
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

// others are the other members as decisions see them, sorted.
func (s *Speaker) others(snap members.Snapshot) []endpoint.Other {
	world := s.decider.World()
	var out []endpoint.Other
	for _, name := range slices.Sorted(maps.Keys(world.Members.Alive)) {
		if name != s.config.Node {
			_, told := world.Links[name]
			out = append(out, endpoint.Other{Node: name, Foreign: snap.Alive[name].Foreign, Told: told, Gated: world.Gated[name]})
		}
	}
	return out
}

// verdictsOf are the verdicts of both protocols about a Service on this node.
func (s *Speaker) verdictsOf(k lb.ServiceKey) []lb.Verdict {
	wire := byPeer(s.BGP.Snapshot())
	verdicts := s.decider.AllVerdicts(k, s.config.Node)
	for i, v := range verdicts {
		if v.Protocol == lb.BGP && v.Outcome == lb.Announce {
			verdicts[i] = onWire(v, s.bgp.wanted.routes[holding{k, v.Address}], wire)
		}
	}
	return verdicts
}

// onWire limits a verdict to the peers that were sent the routes.
func onWire(v lb.Verdict, routes []announce.Route, wire onWireTo) lb.Verdict {
	return v.SentTo(func(peer string) bool {
		return slices.ContainsFunc(routes, func(r announce.Route) bool {
			return slices.Contains(r.Peers, peer) && wire.has(peer, r.Prefix)
		})
	})
}

// routed are the addresses whose routes are on the wire, sorted.
func (s *Speaker) routed() []endpoint.AnnouncedAddress {
	wire := byPeer(s.BGP.Snapshot())
	byAddress := map[netip.Addr]*endpoint.AnnouncedAddress{}
	for h, routes := range s.bgp.wanted.routes {
		for _, r := range routes {
			for _, peer := range r.Peers {
				if !wire.has(peer, r.Prefix) {
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
	paths := s.BFD.explain(time.Now())
	for name, st := range s.BGP.Snapshot() {
		out = append(out, endpoint.Session{
			Peer: peerOf(name), Neighbor: s.neighbor(name), State: sessionState(name, st), Since: st.Since, LastError: st.LastError,
			Remote: remote(st), BFD: paths[name].state, BFDDetail: paths[name].detail, Prefixes: len(st.Routes), Pending: st.Pending,
		})
	}
	slices.SortFunc(out, func(a, b endpoint.Session) int {
		return cmp.Or(strings.Compare(a.Peer, b.Peer), strings.Compare(a.Neighbor, b.Neighbor))
	})
	return out
}

// neighbor is the router of a session where the BGPPeer does not tell its address, or the
// network that routers may come from.
func (s *Speaker) neighbor(session string) string {
	address, network := neighborOf(session)
	switch {
	case network.IsValid():
		return network.String()
	case address.IsValid():
		return address.String()
	}
	found := s.bgp.last.Peers[session].Config.PeerAddress
	config := s.decider.World().Config
	if !found.IsValid() || config == nil || slices.ContainsFunc(config.Peers, func(p *lb.Peer) bool { return p.Name == session && p.Address.IsValid() }) {
		return ""
	}
	return found.String()
}

// sessionState is that of the RFC; a network is listened for.
func sessionState(name string, st bgp.Status) string {
	if _, network := neighborOf(name); network.IsValid() {
		return endpoint.Listening
	}
	return st.State.String()
}

// remote is the other end of the connection; empty without one.
func remote(st bgp.Status) string {
	if !st.Remote.IsValid() {
		return ""
	}
	return st.Remote.String()
}
