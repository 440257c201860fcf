// Package inbox carries changes from many watches to the one goroutine that owns the state
// they change. Changes are coalesced into a batch: a producer never waits, and a consumer
// that falls behind finds only the latest value of each key.
package inbox

import "sync"

// Inbox collects changes into a batch of type B. The zero value is not usable; see New.
type Inbox[B any] struct {
	fresh func() *B
	ready chan struct{}

	mu    sync.Mutex
	batch *B
}

// New makes an inbox. fresh makes an empty batch.
func New[B any](fresh func() *B) *Inbox[B] {
	return &Inbox[B]{fresh: fresh, ready: make(chan struct{}, 1), batch: fresh()}
}

// Post records a change in the current batch. It may be called from any goroutine; record
// must only write to the batch and not block.
func (i *Inbox[B]) Post(record func(*B)) {
	i.mu.Lock()
	record(i.batch)
	i.mu.Unlock()
	select {
	case i.ready <- struct{}{}:
	default:
	}
}

// Ready receives a value when there is something to Take.
func (i *Inbox[B]) Ready() <-chan struct{} { return i.ready }

// Take gives the batch collected so far and begins a new one. The batch may be empty.
func (i *Inbox[B]) Take() *B {
	i.mu.Lock()
	defer i.mu.Unlock()
	b := i.batch
	i.batch = i.fresh()
	return b
}
