package config

import (
	"net/netip"

	"github.com/lintel-lb/lintel/api/v1beta1"
	"github.com/lintel-lb/lintel/internal/lb"
)

// Resources is everything that a configuration is made of. Objects are only read.
type Resources struct {
	// Namespace is the one that objects must be in; empty means any.
	Namespace string

	Pools            []*v1beta1.IPAddressPool
	L2Advertisements []*v1beta1.L2Advertisement

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
	settleOverlaps(pools, in.Assigned)
	set := newPoolSet(pools, holdOver(pools, in.Assigned))
	verdicts = collect(verdicts, pools)

	l2 := candidates(KindL2Advertisement, in.Namespace, in.L2Advertisements, l2Parser(set))
	verdicts = collect(verdicts, l2)

	sortVerdicts(verdicts)
	return Result{
		Config:   (&lb.Config{Pools: set.pools(), L2: accepted(l2)}).Index(),
		Verdicts: verdicts,
	}
}

func collect[O object, V any](out []Verdict, cs []*candidate[O, V]) []Verdict {
	for _, c := range cs {
		out = append(out, c.verdict())
	}
	return out
}
