package members

import "time"

const (
	pullPatience = 2 * time.Second // how long a holder may take to answer
	pullTries    = 4               // after which only the next notice or push/pull asks again
	pullGrace    = time.Second     // how long a new member's state may take to come by itself
	batchSize    = 512 << 10       // bytes of content in one message
	maxDebts     = 4096            // nodes that wait for an answer
	forever      = time.Hour       // longer than the owner ever waits
)

// exchange decides which state is asked of whom and which is owed to whom. It has no clock and does
// no I/O. For one destination there is at most one send at a time; what comes up meanwhile is
// gathered as names, so the memory it takes is bounded by the number of members.
type exchange struct {
	self  string
	wants map[string]*want // by node whose state is wanted
	owes  map[string]*debt // by who asked
	busy  map[string]bool  // destinations of sends under way
}

// debt is what was asked of us. Who asks may not be a member yet as far as we know, since it can be
// quicker than the word of its joining; so a debt waits a little.
type debt struct {
	nodes map[string]struct{}
	until time.Time
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
		owes:  map[string]*debt{},
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
	case w.stamp == at && w.tries > 0:
		w.holder = holder // an alternative, should the one asked not answer
	}
}

// joined notes that node became a member. Usually its state comes by notice or push/pull; if not, we
// ask.
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
func (x *exchange) asked(dest string, nodes []entry, now time.Time) {
	d, ok := x.owes[dest]
	if !ok {
		if len(x.owes) >= maxDebts {
			return
		}
		d = &debt{nodes: map[string]struct{}{}}
		x.owes[dest] = d
	}
	d.until = now.Add(pullPatience)
	for _, e := range nodes {
		d.nodes[e.node] = struct{}{}
	}
}

// delivery is what to send to one destination.
type delivery struct {
	dest     string
	messages [][]byte
}

// next returns what is to be sent now, to at most limit destinations, and marks them busy.
func (x *exchange) next(limit int, s *store, alive func(string) bool, now time.Time) []delivery {
	requests := x.due(alive, now)
	dests := map[string]struct{}{}
	for dest := range requests {
		dests[dest] = struct{}{}
	}
	for dest, d := range x.owes {
		switch {
		case alive(dest):
			dests[dest] = struct{}{}
		case now.After(d.until):
			delete(x.owes, dest)
		}
	}

	var out []delivery
	for _, dest := range sortedKeys(dests) {
		if x.busy[dest] || len(x.busy) >= limit {
			continue
		}
		d := delivery{dest: dest}
		if nodes := requests[dest]; len(nodes) > 0 {
			d.messages = append(d.messages, x.request(nodes, now))
		}
		if debt, ok := x.owes[dest]; ok {
			d.messages = append(d.messages, batches(s, debt.nodes)...)
			delete(x.owes, dest)
		}
		if len(d.messages) > 0 {
			x.busy[dest] = true
			out = append(out, d)
		}
	}
	return out
}

// due lists the nodes whose state is to be asked for now, by whom to ask, and drops what is hopeless.
func (x *exchange) due(alive func(string) bool, now time.Time) map[string][]string {
	out := map[string][]string{}
	for node, w := range x.wants {
		switch {
		case !alive(node):
			delete(x.wants, node)
		case w.due.After(now):
		case w.tries == pullTries:
			delete(x.wants, node)
		default:
			if !alive(w.holder) || w.holder == x.self {
				w.holder = node
			}
			out[w.holder] = append(out[w.holder], node)
		}
	}
	return out
}

// request makes the message that asks for the states of nodes.
func (x *exchange) request(nodes []string, now time.Time) []byte {
	m := message{kind: kindRequest, from: x.self}
	for _, node := range nodes {
		m.entries = append(m.entries, entry{node: node})
		w := x.wants[node]
		w.tries++
		w.due = now.Add(pullPatience)
		w.holder = node // whose state it is has it, should no other offer come before the next try
	}
	return m.marshal()
}

// sent notes that a send to dest has ended. What failed to go out is asked for again by its receiver.
func (x *exchange) sent(dest string) { delete(x.busy, dest) }

// wait returns how long until next has something new without being told anything.
func (x *exchange) wait(limit int, now time.Time) time.Duration {
	least := forever
	if len(x.busy) >= limit {
		return least
	}
	for _, w := range x.wants {
		if !x.busy[w.holder] {
			least = min(least, max(w.due.Sub(now), time.Millisecond))
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
