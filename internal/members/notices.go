package members

import (
	"cmp"
	"maps"
	"math"
	"slices"
	"sync"
)

// notices are the messages to gossip: the newest about each node, each sent to a limited number of
// members. memberlist's own queue is not used: in v0.7.0 its TransmitLimitedQueue takes a new
// message's number before it removes the older message of the same name, starts its numbers again
// when that leaves the queue empty, and then lets the next message of the same length and number
// take the new one's place, which is never sent.
type notices struct {
	mu    sync.Mutex
	queue map[string]*notice // by node
	mult  int                // transmissions of each, times the logarithm of the members
	last  uint64
}

// notice is one message.
type notice struct {
	body   []byte
	number uint64 // of its arrival
	sent   int
}

// put queues what is to be told about node, in place of what was.
func (n *notices) put(node string, body []byte) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.queue == nil {
		n.queue = map[string]*notice{}
	}
	n.last++
	n.queue[node] = &notice{body: body, number: n.last}
}

// take gives messages for one member, each of which costs overhead bytes besides its own and which
// cost limit together at most: first what was sent least, and of that the newest. A message that was
// sent as often as it must be among so many members is forgotten.
func (n *notices) take(overhead, limit, members int) [][]byte {
	n.mu.Lock()
	defer n.mu.Unlock()
	if len(n.queue) == 0 {
		return nil
	}
	enough := n.mult * int(math.Ceil(math.Log10(float64(members+1))))
	nodes := slices.SortedFunc(maps.Keys(n.queue), func(a, b string) int {
		x, y := n.queue[a], n.queue[b]
		return cmp.Or(cmp.Compare(x.sent, y.sent), cmp.Compare(y.number, x.number))
	})
	var out [][]byte
	for _, node := range nodes {
		x := n.queue[node]
		if overhead+len(x.body) > limit {
			continue
		}
		limit -= overhead + len(x.body)
		out = append(out, x.body)
		if x.sent++; x.sent >= enough {
			delete(n.queue, node)
		}
	}
	return out
}
