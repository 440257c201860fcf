package speaker

import (
	"maps"
	"net/netip"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/lintel-lb/lintel/internal/announce"
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
	// routes are what each holding wants announced.
	routes map[holding][]announce.Route
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
	// stale is set when routes, peers or the node changed since the engine was set last.
	stale bool
}

// onTheWire are the peers that a Service is announced to, and its addresses.
type onTheWire struct {
	peers     []string
	addresses []netip.Addr
}

func newBGPState() bgpState {
	return bgpState{routes: map[holding][]announce.Route{}, announced: map[lb.ServiceKey]onTheWire{}, gateways: map[lb.Family]netip.Addr{}, sessions: sessionReports{}}
}

// route brings the routes of an address up to date. It adds the Services that it concerns.
func (s *Speaker) route(a netip.Addr, before, now []lb.ServiceKey) {
	for _, k := range before {
		if !slices.Contains(now, k) {
			s.setRoutes(holding{k, a}, nil)
		}
	}
	for _, k := range now {
		routes, _ := s.decider.Routes(k, a, s.config.Node)
		s.setRoutes(holding{k, a}, routes)
	}
}

func (s *Speaker) setRoutes(h holding, routes []announce.Route) {
	if slices.EqualFunc(routes, s.bgp.routes[h], announce.Route.Equal) {
		return
	}
	s.bgp.stale = true
	if len(routes) == 0 {
		delete(s.bgp.routes, h)
	} else {
		s.bgp.routes[h] = routes
	}
}

// flushBGP hands the whole desired set to the engines, if anything changed.
func (s *Speaker) flushBGP() {
	if !s.bgp.stale {
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
	own := ownNode{node: node, links: world.Links[node.Name], gateways: world.Gateways[node.Name]}
	desired := bgp.Desired{Peers: map[string]bgp.Peer{}, Complete: true}
	paths := map[string]bfdPath{}
	var mine []*lb.Peer
	for _, p := range world.Config.Peers {
		if p.Nodes.MatchesOrEmpty(node.Labels) {
			mine = append(mine, p)
		}
	}
	merged := mergeRoutes(s.bgp.routes)
	now := time.Now()
	labels := make(map[string]string, len(mine))
	for _, t := range own.targets(mine, s.bgp.gateways) {
		if path, ok := own.bfd(t.peer, world.Config.BFD); ok {
			paths[t.name] = path
		}
		t.Routes = map[netip.Prefix]bgp.Attributes{}
		for prefix, r := range merged[t.peer.Name] {
			r.bandwidth = s.bgp.bandwidth.pass(now, weighted{t.peer.Name, prefix}, r.bandwidth)
			t.Routes[prefix] = own.attributes(t.Config, prefix, r)
		}
		desired.Peers[t.name] = t.Peer
		labels[t.name] = sessionLabel(t.peer)
	}
	s.metrics.bgp.labels.Store(&labels)
	s.bgp.reweigh = nil
	if due := s.bgp.bandwidth.round(); !due.IsZero() {
		s.bgp.reweigh = time.After(due.Sub(now))
	}
	if s.BFD != nil {
		s.BFD.set(paths)
	}
	s.bgp.last = lastDesired(desired)
	s.BGP.Set(desired)
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

// merged is what several Services want of one prefix together.
type merged struct {
	localPref *uint32
	med       *uint32
	prepend   uint8
	bandwidth uint64
	// gracefulShutdown is the same for all, as it depends on the node.
	gracefulShutdown bool
	communities      []lb.Community
}

// mergeRoutes puts together what all holdings want, by peer and prefix: the union of the
// communities, the highest local preference, the lowest MED, the longest path, the highest
// bandwidth.
func mergeRoutes(routes map[holding][]announce.Route) map[string]map[netip.Prefix]merged {
	out := map[string]map[netip.Prefix]merged{}
	for _, list := range routes {
		for _, r := range list {
			for _, peer := range r.Peers {
				if out[peer] == nil {
					out[peer] = map[netip.Prefix]merged{}
				}
				m := out[peer][r.Prefix]
				if r.LocalPref != nil && (m.localPref == nil || *r.LocalPref > *m.localPref) {
					m.localPref = r.LocalPref
				}
				if r.MED != nil && (m.med == nil || *r.MED < *m.med) {
					m.med = r.MED
				}
				m.prepend = max(m.prepend, r.Prepend)
				m.bandwidth = max(m.bandwidth, r.Bandwidth)
				m.gracefulShutdown = m.gracefulShutdown || r.GracefulShutdown
				m.communities = append(slices.Clip(m.communities), r.Communities...)
				out[peer][r.Prefix] = m
			}
		}
	}
	return out
}

// announcedBGP brings status, metrics and events in line with what is on the wire.
func (s *Speaker) announcedBGP() {
	now := map[lb.ServiceKey][]string{}
	wire := byPeer(s.BGP.Snapshot())
	for h, routes := range s.bgp.routes {
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
