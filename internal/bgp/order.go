package bgp

import (
	"sync"
	"time"
)

// End says how sessions are to end.
type End uint8

// Ways to end. The zero value is invalid.
const (
	// EndRestart closes without a NOTIFICATION: peers with graceful restart keep the routes
	// for the restart time. For a process that comes back.
	EndRestart End = iota + 1
	// EndDrain marks the routes with GRACEFUL_SHUTDOWN (RFC 8326), waits, withdraws them
	// and sends Cease, administrative shutdown. For a node that is going away.
	EndDrain
	// EndUninstall withdraws and sends Cease, administrative shutdown, without the wait.
	EndUninstall
	// endRemoved is for a peer that is no longer desired: Cease, peer de-configured.
	endRemoved
)

// Ending is the parameters of an orderly end.
type Ending struct {
	End End
	// Wait is the time between GRACEFUL_SHUTDOWN and the withdrawal, for EndDrain.
	Wait time.Duration
	// Text is for the peer's operator (RFC 9003): at most 255 octets, more are cut.
	Text string
}

// order is what the engine wants of a session. The newest counts; fields that are not set
// by a newer one stay.
type order struct {
	config   SessionConfig
	routes   Routes
	complete bool
	ending   *Ending
	trouble  string // why the session cannot listen; empty if it can
}

// inbox holds the newest order for a session until the session takes it.
type inbox struct {
	mu   sync.Mutex
	o    order
	wake chan struct{}
}

func newInbox(o order) *inbox { return &inbox{o: o, wake: make(chan struct{}, 1)} }

// change edits the order and wakes the session.
func (b *inbox) change(edit func(*order)) {
	b.mu.Lock()
	edit(&b.o)
	b.mu.Unlock()
	select {
	case b.wake <- struct{}{}:
	default:
	}
}

func (b *inbox) take() order {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.o
}
