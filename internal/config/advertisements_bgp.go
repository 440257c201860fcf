package config

import (
	"cmp"
	"slices"
	"strings"

	"github.com/lintel-lb/lintel/api/v1beta1"
	"github.com/lintel-lb/lintel/internal/lb"
)

// maxPrepend is the largest asPathPrepend; the schema has it too.
const maxPrepend = 10

type bgpCandidate = candidate[*v1beta1.BGPAdvertisement, *lb.BGPAdvertisement]

// bgpRules is what the rules for one BGPAdvertisement need of other objects.
type bgpRules struct {
	pools       poolSet
	communities communityTable
	// peers are all BGPPeers by name, refused ones too.
	peers map[string]*peerCandidate
	// profiles are all BFDProfiles by name, refused ones too.
	profiles map[string]*bfdCandidate
}

func (rules bgpRules) parse(c *bgpCandidate) *refusal {
	return rules.parseAdvertisement(c).within("parsing BGPAdvertisement %s: ", c.ref.Name)
}

func (rules bgpRules) parseAdvertisement(c *bgpCandidate) *refusal {
	spec := &c.object.Spec
	sel, r := parseAdvertisementSelectors(spec.IPAddressPools, spec.IPAddressPoolSelectors, spec.NodeSelectors, spec.ServiceSelectors)
	if r != nil {
		return r
	}
	c.nodes = sel.nodes
	if peer, dup := repeated(spec.Peers); dup {
		return refuse(ReasonDuplicateEntry, "duplicate definition of peers %q: remove one of the two", peer)
	}
	a := &lb.BGPAdvertisement{
		Name:                c.ref.Name,
		Nodes:               sel.nodes,
		Services:            sel.services,
		Peers:               slices.Clone(spec.Peers),
		AggregationLength:   length(spec.AggregationLength, 32),
		AggregationLengthV6: length(spec.AggregationLengthV6, 128),
	}
	if spec.LocalPref != 0 {
		a.LocalPref = new(spec.LocalPref)
	}
	if spec.MED != nil {
		a.MED = new(*spec.MED)
	}
	if r := parseBandwidth(a, spec.LinkBandwidth); r != nil {
		return r
	}
	a.Prepend = uint8(min(max(spec.ASPathPrepend, 0), maxPrepend))
	if r := checkLengths(a); r != nil {
		return r
	}
	if a.Communities, r = rules.parseCommunities(spec.Communities); r != nil {
		return r
	}
	selected, r := aggregatedPools(c, a, rules.pools.selected(spec.IPAddressPools, sel.pools))
	if r != nil {
		return r
	}
	a.Pools = poolNames(selected)
	c.value = a
	if a.AggregationLengthV6 < 1 {
		c.warn("aggregationLengthV6 %d is not in 1-128 range: 128 is used", a.AggregationLengthV6)
		a.AggregationLengthV6 = 128
	}
	if a.Bandwidth != 0 && a.AggregationLength != 32 {
		c.warn("linkBandwidth has no effect on IPv4 routes of aggregationLength %d, which stand for several addresses", a.AggregationLength)
	}
	if a.Bandwidth != 0 && a.AggregationLengthV6 != 128 {
		c.warn("linkBandwidth has no effect on IPv6 routes of aggregationLengthV6 %d, which stand for several addresses", a.AggregationLengthV6)
	}
	warnPools(c, a.Pools, rules.pools.unknown(spec.IPAddressPools))
	rules.warnPeers(c)
	rules.warnEcho(c, selected)
	return nil
}

// Bounds of linkBandwidth.megabitsPerEndpoint; the schema has them too.
const (
	defaultMegabits = 1000
	maxMegabits     = 1000000
	octetsPerMbit   = 1000000 / 8
)

func parseBandwidth(a *lb.BGPAdvertisement, l *v1beta1.LinkBandwidth) *refusal {
	if l == nil {
		return nil
	}
	megabits := cmp.Or(l.MegabitsPerEndpoint, defaultMegabits)
	if megabits < 1 || megabits > maxMegabits {
		return refuse(ReasonInvalidBandwidth, "invalid linkBandwidth.megabitsPerEndpoint %d: must be from 1 to %d", megabits, maxMegabits)
	}
	a.Bandwidth = uint64(megabits) * octetsPerMbit
	return nil
}

func length(n *int32, unset int) int {
	if n == nil {
		return unset
	}
	return int(*n)
}

func (rules bgpRules) parseCommunities(texts []string) ([]lb.Community, *refusal) {
	if text, dup := repeated(texts); dup {
		return nil, refuse(ReasonDuplicateEntry, "duplicate definition of community %q: remove one of the two", text)
	}
	var out []lb.Community
	for _, text := range texts {
		v, r := rules.communities.resolve(text)
		if r != nil {
			return nil, r
		}
		out = append(out, v)
	}
	slices.SortFunc(out, func(a, b lb.Community) int { return cmp.Compare(a.String(), b.String()) })
	return slices.Compact(out), nil
}

func (rules bgpRules) warnPeers(c *bgpCandidate) {
	var unknown, refused []string
	for _, name := range c.value.Peers {
		switch p, ok := rules.peers[name]; {
		case !ok:
			unknown = append(unknown, name)
		case p.refusal != nil:
			refused = append(refused, name)
		}
	}
	if len(unknown) > 0 {
		c.warn("no BGPPeer is named %s: check spec.peers, which holds names of objects", strings.Join(unknown, ", "))
	}
	if len(refused) > 0 {
		c.warn("BGPPeer %s is refused, so nothing is announced to it", strings.Join(refused, ", "))
	}
}

// warnEcho points out IPv6 addresses announced to peers with BFD echo. MetalLB refuses
// this; here echo guards the session's own family and does not bear on routes.
func (rules bgpRules) warnEcho(c *bgpCandidate, pools []pool) {
	for _, p := range pools {
		if !p.HasFamily(lb.IPv6) {
			continue
		}
		for _, name := range sortedPeers(rules.peers) {
			peer := rules.peers[name]
			if peer.refusal != nil || peer.value.BFDProfile == "" || len(c.value.Peers) > 0 && !slices.Contains(c.value.Peers, name) {
				continue
			}
			if profile := rules.profiles[peer.value.BFDProfile]; profile.value.EchoMode {
				c.warn("pool %s has bgpadvertisement %s which references peer %s which has bfd echo enabled: echo watches IPv4 only", p.Name, c.ref.Name, name)
			}
		}
	}
}

func sortedPeers(peers map[string]*peerCandidate) []string {
	var out []string
	for name := range peers {
		out = append(out, name)
	}
	slices.Sort(out)
	return out
}
