package members

import (
	"bytes"
	"cmp"
	"maps"
	"math"
	"slices"
	"time"
)

// retention is how long the state of a node that is no member is kept. It must outlive any lagging
// peer: as long as the newest stamp is remembered, an older one cannot take its place.
const retention = time.Hour

// store holds the newest known state of every node. It has no clock and does no I/O.
type store struct {
	self        string
	incarnation uint64 // of this process
	records     map[string]record
}

type record struct {
	stamp   stamp
	content []byte    // never modified
	gone    time.Time // when the node ceased to be a member; zero while it is one
}

func newStore(self string, incarnation uint64) *store {
	return &store{self: self, incarnation: incarnation, records: map[string]record{}}
}

// setOwn records what this node says. It reports whether that is news.
func (s *store) setOwn(content []byte) bool {
	old, told := s.records[s.self]
	if told && bytes.Equal(old.content, content) {
		return false
	}
	s.records[s.self] = record{stamp: stamp{s.incarnation, old.stamp.version + 1}, content: content}
	return true
}

// outbid makes this node's stamp newer than seen, which the cluster remembers from an earlier life of
// this node whose clock was ahead. It reports whether the own state has to be told again.
func (s *store) outbid(seen stamp) bool {
	own, told := s.records[s.self]
	if told && !seen.newerThan(own.stamp) || seen.incarnation < s.incarnation || seen.incarnation == math.MaxUint64 {
		return false
	}
	s.incarnation = seen.incarnation + 1
	if told {
		own.stamp = stamp{s.incarnation, own.stamp.version + 1}
		s.records[s.self] = own
	}
	return told
}

// merge takes e if it is newer than what is known. It reports whether it was.
func (s *store) merge(e entry) bool {
	if e.node == s.self || !e.stamp.newerThan(s.records[e.node].stamp) {
		return false
	}
	s.records[e.node] = record{stamp: e.stamp, content: e.content}
	return true
}

// get returns the state of node, if it ever told one.
func (s *store) get(node string) (entry, bool) {
	r, ok := s.records[node]
	return entry{node, r.stamp, r.content}, ok
}

// digest lists, by name, the stamps of all nodes that alive holds.
func (s *store) digest(alive func(node string) bool) []entry {
	var list []entry
	for node, r := range s.records {
		if alive(node) {
			list = append(list, entry{node: node, stamp: r.stamp})
		}
	}
	slices.SortFunc(list, func(a, b entry) int { return cmp.Compare(a.node, b.node) })
	return list
}

// expire forgets nodes that have not been members for longer than the retention.
func (s *store) expire(alive func(node string) bool, now time.Time) {
	for node, r := range s.records {
		switch {
		case node == s.self || alive(node):
			if !r.gone.IsZero() {
				r.gone = time.Time{}
				s.records[node] = r
			}
		case r.gone.IsZero():
			r.gone = now
			s.records[node] = r
		case now.Sub(r.gone) > retention:
			delete(s.records, node)
		}
	}
}

func sortedKeys[V any](m map[string]V) []string {
	return slices.Sorted(maps.Keys(m))
}
