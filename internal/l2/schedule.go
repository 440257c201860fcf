package l2

import (
	"container/heap"
	"time"
)

// rhythm says when an address is announced without being asked.
type rhythm struct {
	// gaps are the pauses between the rounds of the burst; there is one round more.
	gaps []time.Duration
	// refresh is the mean pause between rounds after the burst.
	refresh time.Duration
	// spread gives the share of refresh, around 1, that the next pause lasts.
	spread func() float64
}

// urgency orders rounds that are due when not all can be sent: a first round makes an
// address reachable, later rounds only make up for loss.
type urgency int

const (
	first urgency = iota
	repeat
	renewal
	urgencies
)

// schedule decides whose round is next. It knows no clock: the caller passes the time.
type schedule[K comparable] struct {
	rhythm rhythm
	items  map[K]*item[K]
	queues [urgencies]queue[K]
}

// item is one address on one link.
type item[K comparable] struct {
	key  K
	due  time.Time
	seq  uint64 // keeps first rounds in order of their arrival
	sent int    // rounds of the burst that have been sent
	in   urgency
	pos  int
}

func newSchedule[K comparable](r rhythm) *schedule[K] {
	return &schedule[K]{rhythm: r, items: map[K]*item[K]{}}
}

// add begins a burst now. One that goes on begins again.
func (s *schedule[K]) add(k K, now time.Time, seq uint64) {
	s.remove(k)
	it := &item[K]{key: k, due: now, seq: seq}
	s.items[k] = it
	heap.Push(&s.queues[first], it)
}

// remove ends all rounds of the key.
func (s *schedule[K]) remove(k K) {
	it, ok := s.items[k]
	if !ok {
		return
	}
	heap.Remove(&s.queues[it.in], it.pos)
	delete(s.items, k)
}

// next takes the most urgent round that is due and plans the one after it. Pauses count
// from now, not from when the round was due, so that rounds held up do not pile up.
func (s *schedule[K]) next(now time.Time) (k K, ok bool) {
	for u := range s.queues {
		q := &s.queues[u]
		if len(*q) == 0 || (*q)[0].due.After(now) {
			continue
		}
		it := heap.Pop(q).(*item[K])
		it.sent++
		if it.sent <= len(s.rhythm.gaps) {
			it.in, it.due = repeat, now.Add(s.rhythm.gaps[it.sent-1])
		} else {
			it.in = renewal
			it.due = now.Add(time.Duration(float64(s.rhythm.refresh) * s.rhythm.spread()))
		}
		heap.Push(&s.queues[it.in], it)
		return it.key, true
	}
	return k, false
}

// wake is when the next round is due; it is false if there is none at all.
func (s *schedule[K]) wake() (at time.Time, ok bool) {
	for _, q := range s.queues {
		if len(q) > 0 && (!ok || q[0].due.Before(at)) {
			at, ok = q[0].due, true
		}
	}
	return at, ok
}

// queue is a heap of items by the time they are due.
type queue[K comparable] []*item[K]

func (q queue[K]) Len() int { return len(q) }
func (q queue[K]) Less(i, j int) bool {
	if !q[i].due.Equal(q[j].due) {
		return q[i].due.Before(q[j].due)
	}
	return q[i].seq < q[j].seq
}
func (q queue[K]) Swap(i, j int) {
	q[i], q[j] = q[j], q[i]
	q[i].pos, q[j].pos = i, j
}
func (q *queue[K]) Push(x any) {
	it := x.(*item[K])
	it.pos = len(*q)
	*q = append(*q, it)
}
func (q *queue[K]) Pop() any {
	old := *q
	it := old[len(old)-1]
	old[len(old)-1] = nil
	*q = old[:len(old)-1]
	return it
}
