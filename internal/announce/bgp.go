package announce

import (
	"net/netip"
	"slices"

	"github.com/lintel-lb/lintel/internal/lb"
)

// Route is a prefix that a node announces by BGP on behalf of one address of one Service.
type Route struct {
	Prefix netip.Prefix
	// Peers are the names of the BGPPeers that get it, sorted.
	Peers []string
	// LocalPref is nil where the advertisement sets none.
	LocalPref   *uint32
	Communities []lb.Community
	// MED is nil where the advertisement sets none, Prepend the number of extra own ASes.
	MED     *uint32
	Prepend uint8
	// Bandwidth weights this node against others by link-bandwidth, in octets per second; 0 is
	// without.
	Bandwidth uint64
	// GracefulShutdown asks the peers to prefer other nodes, because this one is drained.
	GracefulShutdown bool
	// Advertisement is the name of the BGPAdvertisement that it comes from.
	Advertisement string
}

// Equal tells whether two routes are the same in every respect.
func (r Route) Equal(o Route) bool {
	return r.Prefix == o.Prefix && slices.Equal(r.Peers, o.Peers) && equalPtr(r.LocalPref, o.LocalPref) &&
		slices.Equal(r.Communities, o.Communities) && equalPtr(r.MED, o.MED) && r.Prepend == o.Prepend && r.Bandwidth == o.Bandwidth &&
		r.GracefulShutdown == o.GracefulShutdown && r.Advertisement == o.Advertisement
}

// Routes says what a node announces by BGP for one address of a Service, and why, or why
// not. It depends on nothing that other nodes do: every node that may announce does. The
// Service must hold the address. A zero Reason in the verdict means that BGP does not
// concern the Service: its pool has no BGPAdvertisement, but others.
func (d *Decider) Routes(k lb.ServiceKey, a netip.Addr, node string) ([]Route, lb.Verdict) {
	v := lb.Verdict{Service: k, Address: a, Node: node, Protocol: lb.BGP, Outcome: lb.Not}
	routes, reason, subject := bgpRoutes(d.w, d.w.Services[k], a, node)
	if len(d.holders[a]) > 1 {
		// Services that share an address have endpoints in places of their own, and one prefix.
		for i := range routes {
			routes[i].Bandwidth = 0
		}
	}
	v.Reason, v.Subject = reason, subject
	switch reason {
	case lb.Elected:
		v.Outcome = lb.Announce
		for _, r := range routes {
			v.Peers = append(v.Peers, r.Peers...)
		}
		slices.Sort(v.Peers)
		v.Peers = slices.Compact(v.Peers)
	case lb.NoConfig:
		v.Outcome = lb.Pending
	}
	return routes, v
}

func bgpRoutes(w *lb.World, svc *lb.Service, a netip.Addr, name string) (routes []Route, reason lb.Reason, subject string) {
	if w.Config == nil {
		return nil, lb.NoConfig, ""
	}
	if len(svc.ForeignIngress) > 0 {
		return nil, lb.InvalidIngress, svc.ForeignIngress[0]
	}
	pool := w.Config.PoolOf(a)
	if pool == nil {
		return nil, lb.AddressNotInPool, ""
	}
	adverts, reason := bgpAdverts(w, svc, pool.Name, name)
	if reason != 0 || len(adverts) == 0 {
		return nil, reason, pool.Name
	}
	node := w.Nodes[name]
	switch {
	case node.NetworkUnavailable:
		return nil, lb.NodeNetworkUnavailable, ""
	case node.Excluded() && !w.Settings.IgnoreExcludeLabel:
		return nil, lb.NodeExcluded, ""
	case w.Gated[name]:
		return nil, lb.DataplaneNotReady, ""
	case w.Drained[name]:
		return nil, lb.NodeDraining, ""
	}
	eps := w.Endpoints[svc.Key]
	switch {
	case svc.TrafficPolicy == lb.Local && eps.Usable > 0 && eps.ByNode[name] == 0:
		return nil, lb.NoLocalEndpoint, ""
	case eps.Usable == 0:
		return nil, lb.NoEndpoints, ""
	}
	peers := peersOf(w.Config, node)
	for _, ad := range adverts {
		r := Route{Prefix: prefixFor(ad, a), LocalPref: ad.LocalPref, Communities: ad.Communities, MED: ad.MED, Prepend: ad.Prepend, GracefulShutdown: node.Draining(), Advertisement: ad.Name}
		r.Bandwidth = bandwidth(ad, svc, r.Prefix, eps.Share(name))
		for _, p := range peers {
			if len(ad.Peers) == 0 || slices.Contains(ad.Peers, p) {
				r.Peers = append(r.Peers, p)
			}
		}
		if len(r.Peers) > 0 {
			routes = append(routes, r)
		}
	}
	if len(routes) == 0 {
		return nil, lb.NoPeer, ""
	}
	if first, second, bad := incompatible(routes); bad {
		return nil, lb.ConflictingAdvertisements, routes[first].Advertisement + " and " + routes[second].Advertisement
	}
	if w.Settings.ZeroLocalPref {
		for i := range routes {
			if routes[i].LocalPref == nil {
				routes[i].LocalPref = new(uint32)
			}
		}
	}
	return routes, lb.Elected, ""
}

// bgpAdverts lists the advertisements that select pool, Service and node. Both results are
// zero where there is no BGPAdvertisement for the pool, but an L2Advertisement.
func bgpAdverts(w *lb.World, svc *lb.Service, pool, name string) ([]*lb.BGPAdvertisement, lb.Reason) {
	var forPool, forService, forNode []*lb.BGPAdvertisement
	for _, ad := range w.Config.BGP {
		if !ad.SelectsPool(pool) {
			continue
		}
		forPool = append(forPool, ad)
		if ad.Services.MatchesOrEmpty(svc.Labels) {
			forService = append(forService, ad)
		}
	}
	node := w.Nodes[name]
	for _, ad := range forService {
		if node != nil && ad.Nodes.MatchesOrEmpty(node.Labels) {
			forNode = append(forNode, ad)
		}
	}
	layer2 := slices.ContainsFunc(w.Config.L2, func(ad *lb.L2Advertisement) bool { return ad.SelectsPool(pool) })
	switch {
	case len(forPool) == 0 && layer2:
		return nil, 0
	case len(forPool) == 0:
		return nil, lb.NoAdvertisement
	case len(forService) == 0:
		return nil, lb.ServiceNotSelected
	case node == nil:
		return nil, lb.NodeUnknown
	case len(forNode) == 0:
		return nil, lb.NodeNotSelected
	}
	return forNode, 0
}

// peersOf lists the names of the peers that a node has sessions with, sorted.
func peersOf(c *lb.Config, node *lb.Node) []string {
	var out []string
	for p := range c.PeersOf(node) {
		out = append(out, p.Name)
	}
	return out
}

// prefixFor is the address, cut to the aggregation length of its family.
func prefixFor(ad *lb.BGPAdvertisement, a netip.Addr) netip.Prefix {
	bits := ad.AggregationLength
	if a.Is6() {
		bits = ad.AggregationLengthV6
	}
	return netip.PrefixFrom(a, bits).Masked()
}

// incompatible finds two routes that would tell one peer different local preferences for the
// same prefix.
func incompatible(routes []Route) (first, second int, found bool) {
	for i, r := range routes {
		for j, o := range routes[:i] {
			if r.Prefix == o.Prefix && !equalPtr(r.LocalPref, o.LocalPref) &&
				slices.ContainsFunc(r.Peers, func(p string) bool { return slices.Contains(o.Peers, p) }) {
				return j, i, true
			}
		}
	}
	return 0, 0, false
}

func equalPtr(a, b *uint32) bool {
	if a == nil || b == nil {
		return a == b
	}
	return *a == *b
}
