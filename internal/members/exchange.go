package members

import (
	"maps"
	"slices"
	"time"
)

const (
	pullPatience = 2 * time.Second  // how long a holder may take to answer
	pullTries    = 4                // after which only the next notice or push/pull asks again
	pullGrace    = time.Second      // how long a new member's state may take to come by itself
	batchSize    = 512 << 10        // bytes of content in one message, more only for a single large state
	noDeadline   = time.Duration(0) // nothing to wait for
)

// exchange decides which state is asked of whom and which is owed to whom. It has no clock and does
// no I/O. For one destination there is at most one send at a time; what comes up meanwhile is
// gathered as names, so the memory it takes is bounded by the number of members.
type exchange struct {
	self  string
	wants map[string]*want               // by node whose state is wanted
	owes  map[string]map[string]struct{} // destination -> nodes whose state it asked for
	busy  map[string]bool                // destinations of sends under way
}

// want is a state to be had.
type want struct {
	stamp  stamp  // at least this one
	holder string // whom to ask next
	tries  int
	due    time.Time
}

func newExchange(self string) *exchange {
	return &exchange{
		self:  self,
		wants: map[string]*want{},
		owes:  map[string]map[string]struct{}{},
		busy:  map[string]bool{},
	}
}

// offered notes that holder has node's state at stamp, which is newer than what we have.
func (x *exchange) offered(node string, at stamp, holder string, now time.Time) {
	w, ok := x.wants[node]
	switch {
	case !ok || w.stamp == stamp{}:
		x.wants[node] = &want{stamp: at, holder: holder, due: now}
	case at.newerThan(w.stamp):
		w.stamp, w.holder, w.tries = at, holder, 0
	case w.stamp == at:
		w.holder = holder // an alternative, should the one asked not answer
	}
}

// joined notes that node, of which no state is known, became a member. Usually its state comes by
// notice or push/pull; if not, we ask.
func (x *exchange) joined(node string, now time.Time) {
	if _, ok := x.wants[node]; !ok {
		x.wants[node] = &want{holder: node, due: now.Add(pullGrace)}
	}
}

// have notes that node's state at stamp has been merged. If a newer one is wanted it is asked for at once.
func (x *exchange) have(node string, at stamp, now time.Time) {
	w, ok := x.wants[node]
	switch {
	case !ok:
	case w.stamp.newerThan(at):
		w.due = now
	default:
		delete(x.wants, node)
	}
}

// asked notes that dest wants the states of nodes.
func (x *exchange) asked(dest string, nodes []entry) {
	if x.owes[dest] == nil {
		x.owes[dest] = map[string]struct{}{}
	}
	for _, e := range nodes {
		x.owes[dest][e.node] = struct{}{}
	}
}

// delivery is what to send to one destination.
type delivery struct {
	dest     string
	messages [][]byte
}

// next returns what is to be sent now, to at most limit destinations, and marks them busy.
func (x *exchange) next(limit int, s *store, alive func(string) bool, now time.Time) []delivery {
	requests := map[string][]entry{}
	for node, w := range x.wants {
		if !alive(node) {
			delete(x.wants, node)
			continue
		}
		if w.due.After(now) {
			continue
		}
		if w.tries == pullTries {
			delete(x.wants, node)
			continue
		}
		if !alive(w.holder) || w.holder == x.self {
			w.holder = node
		}
		requests[w.holder] = append(requests[w.holder], entry{node: node})
	}
	for dest := range x.owes {
		if !alive(dest) {
			delete(x.owes, dest)
		} else if requests[dest] == nil {
			requests[dest] = []entry{}
		}
	}

	var out []delivery
	for _, dest := range slices.Sorted(maps.Keys(requests)) {
		if x.busy[dest] || len(x.busy) >= limit {
			continue
		}
		d := delivery{dest: dest}
		if nodes := requests[dest]; len(nodes) > 0 {
			for _, e := range nodes {
				w := x.wants[e.node]
				w.tries++
				w.due = now.Add(pullPatience)
				w.holder = e.node // whose state it is has it; another offer may come before the next try
			}
			d.messages = append(d.messages, message{kind: kindRequest, from: x.self, entries: nodes}.marshal())
		}
		d.messages = append(d.messages, batches(s, x.owes[dest])...)
		delete(x.owes, dest)
		if len(d.messages) > 0 {
			x.busy[dest] = true
			out = append(out, d)
		}
	}
	return out
}

// sent notes that a send to dest has ended. What failed to go out is asked for again by its receiver.
func (x *exchange) sent(dest string) { delete(x.busy, dest) }

// wait returns how long until next has something to do without being told anything; noDeadline for
// never.
func (x *exchange) wait(now time.Time) time.Duration {
	least := noDeadline
	for _, w := range x.wants {
		d := max(w.due.Sub(now), time.Millisecond)
		if least == noDeadline || d < least {
			least = d
		}
	}
	return least
}

// batches packs the states of nodes into messages of a bounded size.
func batches(s *store, nodes map[string]struct{}) [][]byte {
	var out [][]byte
	var batch message
	size := 0
	flush := func() {
		if len(batch.entries) > 0 {
			out = append(out, batch.marshal())
		}
		batch, size = message{kind: kindStates}, 0
	}
	flush()
	for _, node := range sortedKeys(nodes) {
		e, ok := s.get(node)
		if !ok {
			continue
		}
		if size+len(e.content) > batchSize {
			flush()
		}
		batch.entries = append(batch.entries, e)
		size += len(e.content)
	}
	flush()
	return out
}
