package config

import (
	"slices"
	"strings"

	"github.com/lintel-lb/lintel/internal/lb"
)

// poolSet is the pools as advertisements select them.
type poolSet struct {
	// exists holds the names of all pools, refused ones too.
	exists map[string]bool
	// inEffect holds those that have addresses to announce, sorted by name.
	inEffect []pool
}

type pool struct {
	*lb.Pool
	labels map[string]string
	// entries are the texts of spec.addresses, one for each item of Ranges; nil where the pool
	// is refused and held over.
	entries []string
}

func newPoolSet(candidates []*poolCandidate, held []*lb.Pool) poolSet {
	s := poolSet{exists: map[string]bool{}}
	for _, c := range candidates {
		if c.inspected {
			s.exists[c.ref.Name] = true
		}
		switch {
		case c.refusal == nil:
			s.inEffect = append(s.inEffect, pool{Pool: c.value, labels: c.object.Labels, entries: c.object.Spec.Addresses})
		case slices.Contains(held, c.value):
			s.inEffect = append(s.inEffect, pool{Pool: c.value, labels: c.object.Labels})
		}
	}
	slices.SortFunc(s.inEffect, func(a, b pool) int { return strings.Compare(a.Name, b.Name) })
	return s
}

// pools gives the pools in effect.
func (s poolSet) pools() []*lb.Pool {
	var out []*lb.Pool
	for _, p := range s.inEffect {
		out = append(out, p.Pool)
	}
	return out
}

// selected gives the pools that an advertisement is for: those named and those that match
// a selector; all where neither is given.
func (s poolSet) selected(names []string, sel lb.Selectors) []pool {
	var out []pool
	for _, p := range s.inEffect {
		if len(names)+len(sel) == 0 || slices.Contains(names, p.Name) || sel.Matches(p.labels) {
			out = append(out, p)
		}
	}
	return out
}

// unknown gives those names that no pool has.
func (s poolSet) unknown(names []string) []string {
	return slices.DeleteFunc(slices.Clone(names), func(n string) bool { return s.exists[n] })
}

func poolNames(pools []pool) []string {
	var out []string
	for _, p := range pools {
		out = append(out, p.Name)
	}
	return out
}
