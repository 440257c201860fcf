package speaker

import (
	"bytes"
	"encoding/json"
	"time"

	"github.com/lintel-lb/lintel/internal/lb"
	"github.com/lintel-lb/lintel/internal/links"
	"github.com/lintel-lb/lintel/internal/members"
)

// payload is what a speaker tells all others about its node.
type payload struct {
	// Version is 1. Readers ignore payloads of versions that they do not know.
	Version int       `json:"v"`
	Links   []lb.Link `json:"links"`
	Gated   bool      `json:"gated,omitempty"`
	// Joining is set while the speaker does not decide yet: it takes no address.
	Joining bool `json:"joining,omitempty"`
	// MACs are the Ethernet addresses of the links.
	MACs []string `json:"macs,omitempty"`
}

// applyLinks brings the state of this node's links and gate into the World and tells the others.
func (s *Speaker) applyLinks() {
	s.bgp.complete = s.Gate.Decided()
	p := payload{Version: 1, Gated: s.Gate.Closed(), Joining: !s.joined && s.Members.Snapshot().Enabled}
	now := s.Links.Snapshot()
	var gateways []lb.Gateway
	for _, g := range now.Gateways {
		gateways = append(gateways, lb.Gateway{Address: g.Address, Metric: g.Metric})
	}
	s.decider.SetGateways(s.config.Node, gateways)
	bonds := map[int]bool{}
	for _, l := range now.Links {
		if l.Type == "bond" {
			bonds[l.Index] = true
		}
	}
	for _, l := range now.Links {
		// A link that is down keeps its address: when it is up again, it is announced on before the
		// others hear of that.
		up := l
		if up.Up = true; s.config.Usable(&up) || bonds[l.Master] { // balance-alb answers with those of slaves
			p.MACs = append(p.MACs, l.MAC.String())
		}
		if s.config.Usable(&l) {
			p.Links = append(p.Links, lb.Link{Name: l.Name, Usable: true, ARP: l.ARP(), NDP: l.NDP(), Prefixes: l.Prefixes})
		}
	}
	s.decider.SetLinks(s.config.Node, p.Links, true)
	s.decider.SetGated(s.config.Node, p.Gated)
	told, err := json.Marshal(p)
	if err != nil {
		s.Log.Error("cannot encode the state of this node", "error", err)
		return
	}
	if bytes.Equal(told, s.told) {
		return
	}
	if err := s.Members.SetState(told); err != nil {
		s.Log.Error("cannot tell the other speakers about the links of this node", "error", err)
		return
	}
	s.told = told
}

// applyMembers brings the membership and what the members told into the World. waited says
// that the others were waited for long enough. In mixed membership nobody is waited for longer
// than it takes to join: MetalLB's speakers count this one from then on.
func (s *Speaker) applyMembers(waited bool) {
	snap := s.Members.Snapshot()
	if !snap.Enabled {
		s.decider.SetMembers(lb.Members{})
		return
	}
	if s.joined {
		// What a starting speaker finds wrong is mostly that others start as well.
		s.reportMembership(snap.Health.Problems())
	}
	if !s.joined && !snap.Health.WaitingForKey {
		if s.joinDue == nil {
			s.joinDue = time.After(s.config.JoinWait)
		}
		if s.joined = waited || snap.Health.Joined && (s.mixed() || allTold(snap)); s.joined {
			s.applyLinks()
		}
	}
	m := lb.Members{Enabled: true, Joining: !s.joined, Alive: make(map[string]bool, len(snap.Alive))}
	for name, member := range snap.Alive {
		m.Alive[name] = true
		if name == s.config.Node {
			continue
		}
		var p payload
		if err := json.Unmarshal(member.State, &p); err != nil || p.Version != 1 {
			// One of MetalLB's speakers never tells; one of ours that has not yet takes no address.
			s.decider.SetLinks(name, nil, false)
			s.decider.SetGated(name, !member.Foreign && member.State == nil)
			continue
		}
		var macs []links.MAC
		for _, text := range p.MACs {
			if mac, err := links.ParseMAC(text); err == nil {
				macs = append(macs, mac)
			}
		}
		s.nodeMACs[name] = macs
		s.decider.SetLinks(name, p.Links, true)
		s.decider.SetGated(name, p.Gated || p.Joining)
	}
	for name := range s.decider.World().Links {
		if !m.Alive[name] && name != s.config.Node {
			s.decider.SetLinks(name, nil, false)
			s.decider.SetGated(name, false)
		}
	}
	s.clusterMACs, s.absentMACs = map[links.MAC]bool{}, map[links.MAC]bool{}
	for name, macs := range s.nodeMACs {
		if !m.Alive[name] && s.decider.World().Nodes[name] == nil {
			delete(s.nodeMACs, name)
			continue
		}
		for _, mac := range macs {
			if !s.clusterMACs[mac] || m.Alive[name] { // a node that got another name is alive
				s.absentMACs[mac] = !m.Alive[name]
			}
			s.clusterMACs[mac] = true
		}
	}
	s.acquit()
	s.decider.SetMembers(m)
}

// allTold tells whether every other speaker has told the state of its node. One that has not
// yet would lose addresses that it announces to this node.
func allTold(snap members.Snapshot) bool {
	for name, m := range snap.Alive {
		if name != snap.Self && !m.Foreign && m.State == nil {
			return false
		}
	}
	return true
}
