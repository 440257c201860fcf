package lb

import "slices"

// L2Advertisement makes addresses of its pools known by ARP and NDP.
type L2Advertisement struct {
	Name string
	// Pools are the names of the existing pools it selects, by name or label, sorted.
	Pools []string
	// Nodes restricts the nodes that may announce; empty means all.
	Nodes Selectors
	// Services restricts the Services; empty means all.
	Services Selectors
	// Interfaces are exact names of links to answer on; empty means all.
	Interfaces []string
	// PreferredNodes are weighted wishes about the announcing node.
	PreferredNodes []PreferredNode
}

// PreferredNode adds its weight to each node that it matches. The node with the highest sum goes first.
type PreferredNode struct {
	// Weight is 1 to 100.
	Weight int
	Nodes  Selector
}

// SelectsPool tells whether the advertisement is for the pool.
func (a *L2Advertisement) SelectsPool(pool string) bool {
	_, ok := slices.BinarySearch(a.Pools, pool)
	return ok
}

// Preference sums the weights of the entries that match a node's labels.
func (a *L2Advertisement) Preference(nodeLabels map[string]string) int {
	sum := 0
	for _, p := range a.PreferredNodes {
		if p.Nodes.Matches(nodeLabels) {
			sum += p.Weight
		}
	}
	return sum
}

// BGPAdvertisement makes addresses of its pools known by BGP.
type BGPAdvertisement struct {
	Name string
	// Pools are the names of the existing pools it selects, by name or label, sorted.
	Pools []string
	// Nodes restricts the nodes that may announce; empty means all.
	Nodes Selectors
	// Services restricts the Services; empty means all.
	Services Selectors
	// Peers are names of BGPPeer objects; empty means all.
	Peers []string
	// AggregationLength is the announced prefix length for IPv4, 1 to 32.
	AggregationLength int
	// AggregationLengthV6 is the announced prefix length for IPv6, 1 to 128.
	AggregationLengthV6 int
	// LocalPref is the LOCAL_PREF path attribute for internal peers; nil means the default.
	LocalPref *uint32
	// MED is the MULTI_EXIT_DISC attribute; nil means none. (extension)
	MED *uint32
	// Prepend is how often the own AS is repeated towards external peers, 0 to 10. (extension)
	Prepend uint8
	// Bandwidth is the rate that an endpoint stands for in the link-bandwidth community, in
	// octets per second; 0 means that there is no such community. (extension)
	Bandwidth uint64
	// Communities are resolved, without duplicates, sorted by their text.
	Communities []Community
}

// SelectsPool tells whether the advertisement is for the pool.
func (a *BGPAdvertisement) SelectsPool(pool string) bool {
	_, ok := slices.BinarySearch(a.Pools, pool)
	return ok
}
