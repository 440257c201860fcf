package ipam

import (
	"slices"

	"github.com/google/btree"

	"github.com/lintel-lb/lintel/internal/lb"
)

// sharers finds the addresses in use under a sharing key.
type sharers map[sharersKey]*group

type sharersKey struct {
	key    string
	family lb.Family
}

// group holds the addresses of one family in use under one sharing key.
type group struct {
	tree *btree.BTreeG[sharedItem]
	// ports counts the addresses on which a port is taken. Where a port is taken on all of
	// them there is nothing to search.
	ports map[lb.Port]int
}

// sharedItem orders shareable addresses as they are considered for sharing: by pool, by
// range, by address.
type sharedItem struct {
	ord, index int
	rec        *address
}

func sharedLess(x, y sharedItem) bool {
	switch {
	case x.ord != y.ord:
		return x.ord < y.ord
	case x.index != y.index:
		return x.index < y.index
	case x.rec == nil || y.rec == nil:
		return x.rec == nil && y.rec != nil
	}
	return x.rec.addr.Less(y.rec.addr)
}

func (s sharers) count(key string, f lb.Family, rec *address, n int) {
	k := sharersKey{key, f}
	g := s[k]
	if g == nil {
		g = &group{tree: btree.NewG(treeDegree, sharedLess), ports: map[lb.Port]int{}}
		s[k] = g
	}
	item := sharedItem{ord: rec.at.pool.ord, index: rec.at.index, rec: rec}
	if n > 0 {
		g.tree.ReplaceOrInsert(item)
		return
	}
	g.tree.Delete(item)
	if g.tree.Len() == 0 {
		delete(s, k)
	}
}

func (s sharers) countPorts(svc *lb.Service, f lb.Family, n int) {
	if svc.SharingKey == "" {
		return
	}
	g := s[sharersKey{svc.SharingKey, f}]
	for i, p := range svc.Ports {
		if slices.Contains(svc.Ports[:i], p) {
			continue
		}
		if g.ports[p] += n; g.ports[p] == 0 {
			delete(g.ports, p)
		}
	}
}

// from gives the first item of the family in pool ord or a later one, if the Service might
// find an address to share at all.
func (s sharers) from(svc *lb.Service, f lb.Family, ord int) (out sharedItem, ok bool) {
	g := s.group(svc, f)
	if g == nil {
		return out, false
	}
	g.tree.AscendGreaterOrEqual(sharedItem{ord: ord}, func(item sharedItem) bool {
		out, ok = item, true
		return false
	})
	return out, ok
}

// group gives the addresses of the family under the key of the Service; nil if the Service
// can share none of those that it does not hold.
func (s sharers) group(svc *lb.Service, f lb.Family) *group {
	if svc.SharingKey == "" {
		return nil
	}
	g := s[sharersKey{svc.SharingKey, f}]
	if g == nil {
		return nil
	}
	for _, p := range svc.Ports {
		if g.ports[p] == g.tree.Len() {
			return nil
		}
	}
	return g
}
