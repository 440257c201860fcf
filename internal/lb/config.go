package lb

import (
	"iter"
	"net/netip"
	"reflect"
	"slices"

	"go4.org/netipx"
)

// Config is everything that the user's resources say and that was accepted. It is immutable.
type Config struct {
	// Pools, sorted by name.
	Pools []*Pool
	// L2, sorted by name.
	L2 []*L2Advertisement
	// BGP, sorted by name.
	BGP []*BGPAdvertisement
	// Peers, sorted by name.
	Peers []*Peer
	// BFD, sorted by name.
	BFD []*BFDProfile

	spans []span
}

// span is a range of addresses and the pool that it belongs to.
type span struct {
	r    netipx.IPRange
	pool *Pool
}

// Index prepares look-ups. Whoever fills a Config calls it once, before sharing the Config.
func (c *Config) Index() *Config {
	c.spans = c.spans[:0]
	for _, p := range c.Pools {
		for _, r := range p.Ranges {
			c.spans = append(c.spans, span{r: r, pool: p})
		}
	}
	slices.SortFunc(c.spans, func(a, b span) int { return a.r.From().Compare(b.r.From()) })
	return c
}

// SameAs tells whether two configurations say the same, in everything that they hold. A nil one
// is the same only as a nil one.
func (c *Config) SameAs(o *Config) bool {
	if c == nil || o == nil {
		return c == o
	}
	return reflect.DeepEqual(c, o)
}

// Pool gives the pool of that name, or nil.
func (c *Config) Pool(name string) *Pool {
	i, ok := slices.BinarySearchFunc(c.Pools, name, func(p *Pool, n string) int {
		switch {
		case p.Name < n:
			return -1
		case p.Name > n:
			return 1
		}
		return 0
	})
	if !ok {
		return nil
	}
	return c.Pools[i]
}

// PeersOf gives the peers that a node has sessions with.
func (c *Config) PeersOf(node *Node) iter.Seq[*Peer] {
	return func(yield func(*Peer) bool) {
		for _, p := range c.Peers {
			if p.Nodes.MatchesOrEmpty(node.Labels) && !yield(p) {
				return
			}
		}
	}
}

// PoolOf gives the pool whose ranges contain the address, or nil. It looks at ranges only,
// not at AvoidBuggyIPs: an address that is assigned is announced.
func (c *Config) PoolOf(a netip.Addr) *Pool {
	i, found := slices.BinarySearchFunc(c.spans, a, func(s span, a netip.Addr) int { return s.r.From().Compare(a) })
	if !found {
		i--
	}
	if i < 0 || !c.spans[i].r.Contains(a) {
		return nil
	}
	return c.spans[i].pool
}
