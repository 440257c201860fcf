package migrator

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/lintel-lb/lintel/internal/kube/endpoint"
)

// toPeer is what stands between Service and BGPPeer in what a node announces.
const toPeer = " to "

// awaited tells whether a node has to announce again what it announced before. What was for a
// peer that is down anyway is not waited for: MetalLB's status names the peers of a Service whether
// or not their sessions are up.
func (m *Migrator) awaited(announced string) bool {
	_, peer, routed := strings.Cut(announced, toPeer)
	return !routed || !slices.Contains(m.DownPeers, peer)
}

// peersOf are the BGPPeers that a node has to have sessions with, sorted: those that it announced
// anything to.
func (m *Migrator) peersOf(before []string) []string {
	var out []string
	for _, a := range before {
		if _, peer, routed := strings.Cut(a, toPeer); routed && m.awaited(a) {
			out = append(out, peer)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// sessionsUp says which of these BGPPeers a speaker has no session with.
func sessionsUp(r *endpoint.SpeakerReport, peers []string) error {
	for _, peer := range peers {
		if why := down(r, peer); why != "" {
			return fmt.Errorf("%s. If it was down with MetalLB too, give --down-peers %s", why, peer)
		}
	}
	return nil
}

// down says why a speaker has no session with a BGPPeer; empty if it has. A network that routers
// may come from is no session.
func down(r *endpoint.SpeakerReport, peer string) string {
	why := fmt.Sprintf("there is no session with BGPPeer %s", peer)
	for _, s := range r.Sessions {
		switch {
		case s.Peer != peer || s.State == endpoint.Listening:
		case s.State != "Established":
			why = fmt.Sprintf("the session with BGPPeer %s is %s", peer, s.State)
			if s.LastError != "" {
				why += ": " + s.LastError
			}
			return why
		default:
			why = ""
		}
	}
	return why
}

// sayDown tells of sessions that are not up and were not waited for.
func (m *Migrator) sayDown(ctx context.Context, s *State, node string) {
	pod, err := m.podOn(ctx, s, s.Inventory.Target.Speaker.Name, node)
	if err != nil || pod == nil {
		return
	}
	r, err := m.Inspect(ctx, pod)
	if err != nil {
		m.Say("      how its sessions fare is not known: %v\n", err)
		return
	}
	var said []string
	for _, session := range r.Sessions {
		if session.State == endpoint.Listening || slices.Contains(said, session.Peer) {
			continue
		}
		why := down(r, session.Peer)
		if why == "" {
			continue
		}
		said = append(said, session.Peer)
		because := "nothing was announced to it from here before"
		if slices.Contains(m.DownPeers, session.Peer) {
			because = "it is among --down-peers"
		}
		m.Say("      %s; it was not waited for, since %s\n", why, because)
	}
}
