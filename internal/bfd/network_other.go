//go:build !linux

package bfd

import (
	"errors"
	"net/netip"
	"time"
)

var errUnsupported = errors.New("bfd: sockets are implemented for Linux only")

type ports struct{ singleHop, multiHop, echo uint16 }

// unsupported is the network of systems whose sockets this package does not know. Sessions stay Down
// and say why.
type unsupported struct{ poked chan struct{} }

func newNetwork(ports) network { return unsupported{make(chan struct{}, 1)} }

func (unsupported) begin() error { return errUnsupported }
func (unsupported) end()         {}

func (n unsupported) wait(until time.Time) []receiver {
	var due <-chan time.Time
	if !until.IsZero() {
		t := time.NewTimer(time.Until(until))
		defer t.Stop()
		due = t.C
	}
	select {
	case <-n.poked:
	case <-due:
	}
	return nil
}

func (n unsupported) poke() {
	select {
	case n.poked <- struct{}{}:
	default:
	}
}

func (unsupported) listen(listenKey) (receiver, error)            { return nil, errUnsupported }
func (unsupported) dial(Key, uint16) (sender, error)              { return nil, errUnsupported }
func (unsupported) dialEcho(Key, netip.Addr, int) (sender, error) { return nil, errUnsupported }
func (unsupported) forwards(Key) bool                             { return false }
