package config

import (
	"fmt"
	"maps"
	"slices"

	"github.com/lintel-lb/lintel/internal/lb"
)

// commonNode tells whether two selections have a node in common, and which, in words that
// end a sentence. Where no nodes are known, they are taken to have one.
func commonNode(a, b lb.Selectors, nodes map[string]*lb.Node) (words string, shared bool) {
	if len(nodes) == 0 {
		return "", true
	}
	for _, name := range slices.Sorted(maps.Keys(nodes)) {
		labels := nodes[name].Labels
		if a.MatchesOrEmpty(labels) && b.MatchesOrEmpty(labels) {
			return fmt.Sprintf(", for example on node %s", name), true
		}
	}
	return "", false
}
