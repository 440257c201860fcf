package config

import (
	"net/netip"

	corev1 "k8s.io/api/core/v1"

	"github.com/lintel-lb/lintel/api/v1beta1"
	"github.com/lintel-lb/lintel/api/v1beta2"
	"github.com/lintel-lb/lintel/internal/lb"
)

// Resources is everything that a configuration is made of. Objects are only read.
type Resources struct {
	// Namespace is the one that objects must be in; empty means any.
	Namespace string

	Pools             []*v1beta1.IPAddressPool
	L2Advertisements  []*v1beta1.L2Advertisement
	BGPAdvertisements []*v1beta1.BGPAdvertisement
	Peers             []*v1beta2.BGPPeer
	BFDProfiles       []*v1beta1.BFDProfile
	Communities       []*v1beta1.Community

	// Secrets are those that peers and BFD profiles may refer to; others do no harm.
	Secrets []*corev1.Secret
	// Nodes are by name. They tell which peers and advertisements meet on a node; where
	// none are known, all do.
	Nodes map[string]*lb.Node
	// Assigned are the addresses that Services have, each with the name of the pool that
	// it was assigned from, or "" where that is not known. A pool that has any of them
	// wins against one that has none.
	Assigned map[netip.Addr]string
}

// Result is what came of the resources.
type Result struct {
	// Config is what is in effect, ready for use.
	Config *lb.Config
	// Verdicts has one item for each object, sorted by object.
	Verdicts []Verdict
}

// Parse makes a configuration. It is a pure function, and the order of the objects in
// their lists does not matter.
//
// A refused pool of which Services have addresses stays in Config, drained, so that these
// Services keep them; other refused objects are not in Config.
func Parse(in Resources) Result {
	var verdicts []Verdict

	pools := candidates(KindPool, in.Namespace, in.Pools, parsePool)
	keepUnread(pools, in.Assigned)
	holding := holders(byName(pools), in.Assigned)
	settleOverlaps(pools, holding, intruders(byName(pools), in.Assigned))
	set := newPoolSet(pools, holdOver(pools, in.Assigned, holding))
	verdicts = collect(verdicts, pools)

	l2 := candidates(KindL2Advertisement, in.Namespace, in.L2Advertisements, l2Parser(set))
	verdicts = collect(verdicts, l2)

	profiles := candidates(KindBFDProfile, in.Namespace, in.BFDProfiles, bfdRules{secrets: in.Secrets}.parse)
	verdicts = collect(verdicts, profiles)

	peers := candidates(KindPeer, in.Namespace, in.Peers, peerRules{secrets: in.Secrets, profiles: byName(profiles)}.parse)
	settlePeers(peers, in.Nodes)
	verdicts = collect(verdicts, peers)

	aliases := candidates(KindCommunity, in.Namespace, in.Communities, parseAliases)
	table := settleCommunities(aliases)
	verdicts = collect(verdicts, aliases)

	rules := bgpRules{pools: set, communities: table, peers: byName(peers), profiles: byName(profiles)}
	bgp := candidates(KindBGPAdvertisement, in.Namespace, in.BGPAdvertisements, rules.parse)
	settleLocalPref(bgp, set, in.Nodes)
	verdicts = collect(verdicts, bgp)

	sortVerdicts(verdicts)
	return Result{
		Config: (&lb.Config{
			Pools: set.pools(),
			L2:    accepted(l2),
			BGP:   accepted(bgp),
			Peers: accepted(peers),
			BFD:   accepted(profiles),
		}).Index(),
		Verdicts: verdicts,
	}
}

func collect[O object, V any](out []Verdict, cs []*candidate[O, V]) []Verdict {
	for _, c := range cs {
		out = append(out, c.verdict())
	}
	return out
}
