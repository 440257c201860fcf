package ipam

import (
	"math"
	"net/netip"
	"slices"

	"go4.org/netipx"

	"github.com/lintel-lb/lintel/internal/lb"
)

// pool is a configured pool and what is derived for it from the addresses in use.
type pool struct {
	*lb.Pool
	// ord is the position of the pool in the order of names.
	ord int
	// ranges runs parallel to Pool.Ranges.
	ranges []*blocks
	// open holds, per family, the ranges with a free address.
	open [2]bitset
	// reserved says for whom an address is reserved.
	reserved map[netip.Addr][]lb.ServiceKey
	// usage counts the distinct addresses in use per namespace; only kept where there is a quota.
	usage map[string]int
	// assigned counts distinct addresses in use and capacity usable ones, per family.
	assigned, capacity [2]int64
}

// span is one range of one pool.
type span struct {
	pool  *pool
	index int
	*blocks
}

func newPool(cfg *lb.Pool, ord int) *pool {
	p := &pool{Pool: cfg, ord: ord}
	for i, r := range cfg.Ranges {
		b := newBlocks(r, cfg.AvoidBuggyIPs)
		f := lb.FamilyOf(r.From())
		p.ranges = append(p.ranges, b)
		_, free := b.free()
		p.open[f-1].put(i, free)
		p.capacity[f-1] = addSaturating(p.capacity[f-1], capacity(r, cfg.AvoidBuggyIPs))
	}
	for _, r := range cfg.Reservations {
		for _, a := range r.Addresses {
			if p.reserved == nil {
				p.reserved = map[netip.Addr][]lb.ServiceKey{}
			}
			p.reserved[a] = append(p.reserved[a], r.Service)
		}
	}
	if cfg.Quota != nil {
		p.usage = map[string]int{}
	}
	return p
}

// free gives the first free address of a family, in the order of spec.addresses.
func (p *pool) free(f lb.Family) (netip.Addr, bool) {
	i := p.open[f-1].next(0)
	if i < 0 {
		return netip.Addr{}, false
	}
	return p.ranges[i].free()
}

func (p *pool) hasFree(f lb.Family) bool { return !p.open[f-1].empty() }

// gives tells whether the pool takes part in automatic assignment.
func (p *pool) gives() bool { return p.AutoAssign && !p.Drain }

// isOpen tells whether the pool is for every Service.
func (p *pool) isOpen() bool { return p.gives() && p.Allocation == nil }

// use adds to the distinct addresses that a namespace holds, where they are counted.
func (p *pool) use(namespace string, n int) {
	if p.usage == nil {
		return
	}
	if p.usage[namespace] += n; p.usage[namespace] == 0 {
		delete(p.usage, namespace)
	}
}

// reservedForOther tells whether the address is reserved, but not for this Service.
func (p *pool) reservedForOther(a netip.Addr, key lb.ServiceKey) bool {
	keys := p.reserved[a]
	return len(keys) > 0 && !slices.Contains(keys, key)
}

// capacity counts the usable addresses of a range. As in MetalLB, a prefix with 62 or more
// host bits counts as the largest int64.
func capacity(r netipx.IPRange, avoidBuggy bool) int64 {
	var sum int64
	for _, p := range r.Prefixes() {
		host := p.Addr().BitLen() - p.Bits()
		if host >= 62 {
			return math.MaxInt64
		}
		n := int64(1) << host
		if avoidBuggy && p.Addr().Is4() {
			n -= buggyIn(p)
		}
		sum = addSaturating(sum, n)
	}
	return sum
}

// buggyIn counts the addresses of an IPv4 prefix that end in .0 or .255.
func buggyIn(p netip.Prefix) int64 {
	if p.Bits() <= 24 {
		return 2 << (24 - p.Bits())
	}
	first, last := p.Addr(), netipx.PrefixLastIP(p)
	var n int64
	if lb.Buggy(first) {
		n++
	}
	if first != last && lb.Buggy(last) {
		n++
	}
	return n
}

// addSaturating adds two numbers that are not negative.
func addSaturating(a, b int64) int64 {
	if a > math.MaxInt64-b {
		return math.MaxInt64
	}
	return a + b
}
