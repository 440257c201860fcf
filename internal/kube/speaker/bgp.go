package speaker

import (
	"maps"
	"net/netip"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/lintel-lb/lintel/internal/bgp"
	"github.com/lintel-lb/lintel/internal/lb"
)

// BGPEngine announces routes. It is implemented by *bgp.Engine.
type BGPEngine interface {
	// Set takes the whole desired set. It must not block.
	Set(bgp.Desired)
	Snapshot() map[string]bgp.Status
	Subscribe() <-chan struct{}
}

// holding is one address of one Service.
type holding struct {
	service lb.ServiceKey
	address netip.Addr
}

// bgpState is what the loop keeps about BGP.
type bgpState struct {
	// wanted is what holdings want announced, and targets are the sessions of this node with the
	// routes that they have of it.
	wanted  wanted
	targets []target
	// announced is what each Service was last seen to be announced as.
	announced map[lb.ServiceKey]onTheWire
	// last is what the engine was told last.
	last lastDesired
	// sessions is what was said about sessions that are not up.
	sessions sessionReports
	// gateways are the default gateways that peers were last found at.
	gateways map[lb.Family]netip.Addr
	// bandwidth paces changes of weights; reweigh receives when one that waits is due.
	bandwidth bandwidthPace
	reweigh   <-chan time.Time
	// stale is set when peers or the node changed since the engine was set last.
	stale bool
	// complete is set when the gate was decided as the World has it: one that has opened since would
	// have routers told that no routes are all there are.
	complete bool
}

// onTheWire are the peers that a Service is announced to, and its addresses.
type onTheWire struct {
	peers     []string
	addresses []netip.Addr
}

func newBGPState() bgpState {
	return bgpState{wanted: newWanted(), announced: map[lb.ServiceKey]onTheWire{}, gateways: map[lb.Family]netip.Addr{}, sessions: sessionReports{}}
}

// route brings the routes of an address up to date. It adds the Services that it concerns.
func (s *Speaker) route(a netip.Addr, before, now []lb.ServiceKey) {
	for _, k := range before {
		if !slices.Contains(now, k) {
			s.bgp.wanted.set(holding{k, a}, nil)
		}
	}
	for _, k := range now {
		routes, _ := s.decider.Routes(k, a, s.config.Node)
		s.bgp.wanted.set(holding{k, a}, routes)
	}
}

// flushBGP hands the desired set to the engines, if anything changed: made anew where peers or the
// node changed, and otherwise changed in the prefixes that did.
func (s *Speaker) flushBGP() {
	stale, changed := s.bgp.stale, s.bgp.wanted.take()
	if !stale && len(changed) == 0 {
		return
	}
	s.bgp.stale = false
	world := s.decider.World()
	node := world.Nodes[s.config.Node]
	if world.Config == nil {
		return
	}
	if node == nil {
		// Without a Node object nothing is announced; the sessions stay.
		s.BGP.Set(s.bgp.last.withoutRoutes())
		return
	}
	own := ownOf(world, node)
	prefixes := maps.Keys(changed)
	if stale {
		s.retarget(own, world.Config)
		prefixes = maps.Keys(s.bgp.wanted.holders)
	}
	now := time.Now()
	for prefix := range prefixes {
		s.bgp.bring(own, prefix, now)
	}
	if stale {
		s.bgp.bandwidth.keep(s.bgp.wanted.has)
	}
	s.bgp.reweigh = nil
	if due := s.bgp.bandwidth.due(); !due.IsZero() {
		s.bgp.reweigh = time.After(due.Sub(now))
	}
	desired := bgp.Desired{Peers: make(map[string]bgp.Peer, len(s.bgp.targets)), Complete: s.bgp.complete}
	for i := range s.bgp.targets {
		t := &s.bgp.targets[i]
		t.handed = true
		desired.Peers[t.name] = t.Peer
	}
	s.bgp.last = lastDesired(desired)
	s.BGP.Set(desired)
}

// retarget finds the sessions of this node again, none of which has routes yet.
func (s *Speaker) retarget(own ownNode, c *lb.Config) {
	mine := slices.Collect(c.PeersOf(own.node))
	s.Links.NeedGateways(slices.ContainsFunc(mine, func(p *lb.Peer) bool { return p.From.Gateway != 0 }))
	s.bgp.targets = own.targets(mine, s.bgp.gateways)
	paths := map[string]bfdPath{}
	labels := make(map[string]string, len(mine))
	for i := range s.bgp.targets {
		t := &s.bgp.targets[i]
		if path, ok := own.bfd(t.peer, c.BFD); ok {
			paths[t.name] = path
		}
		t.Routes = bgp.Routes{}
		labels[t.name] = sessionLabel(t.peer)
	}
	s.metrics.bgp.labels.Store(&labels)
	if s.BFD != nil {
		s.BFD.set(paths)
	}
}

// lastDesired is what the engine was told last.
type lastDesired bgp.Desired

// withoutRoutes is the same sessions without any route.
func (d lastDesired) withoutRoutes() bgp.Desired {
	out := bgp.Desired{Peers: map[string]bgp.Peer{}, Complete: d.Complete}
	for name, p := range d.Peers {
		p.Routes = nil
		out.Peers[name] = p
	}
	return out
}

// announcedBGP brings status, metrics and events in line with what is on the wire.
func (s *Speaker) announcedBGP() {
	now := map[lb.ServiceKey][]string{}
	wire := byPeer(s.BGP.Snapshot())
	for h, routes := range s.bgp.wanted.routes {
		for _, r := range routes {
			for _, peer := range r.Peers {
				if wire.has(peer, r.Prefix) && !slices.Contains(now[h.service], peer) {
					now[h.service] = append(now[h.service], peer)
				}
			}
		}
	}
	for k, peers := range now {
		slices.Sort(peers)
		before := s.bgp.announced[k]
		addresses := s.addressesOf(k)
		if slices.Equal(peers, before.peers) && slices.Equal(addresses, before.addresses) {
			continue
		}
		s.bgp.announced[k] = onTheWire{peers: peers, addresses: addresses}
		if !slices.Equal(peers, before.peers) {
			s.reports.setPeers(k, peers)
		}
		s.metrics.announcedBGP(s.config.Node, k, addresses)
		if len(before.peers) == 0 {
			s.Events.Eventf(serviceRef(k, s.decider.World().Services[k]), corev1.EventTypeNormal, "nodeAssigned",
				"announcing from node %q with protocol %q", s.config.Node, lb.BGP)
		}
	}
	for k := range maps.Clone(s.bgp.announced) {
		if _, still := now[k]; !still {
			delete(s.bgp.announced, k)
			s.reports.setPeers(k, nil)
			s.metrics.announcedBGP(s.config.Node, k, nil)
		}
	}
}

func (s *Speaker) addressesOf(k lb.ServiceKey) []netip.Addr {
	if svc := s.decider.World().Services[k]; svc != nil {
		return svc.Addresses
	}
	return nil
}
