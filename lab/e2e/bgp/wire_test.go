package bgp

import (
	"bytes"
	"context"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/lintel-lb/lintel/lab/labtest"
)

// wire sees what nodes send to the router's BGP port over IPv4.
type wire struct {
	mu     sync.Mutex
	wanted []byte
	seen   map[netip.Addr]time.Time
	last   map[netip.Addr]time.Time
	fresh  chan struct{}
}

func listen(t testing.TB, e *labtest.Env) *wire {
	t.Helper()
	w := &wire{last: map[netip.Addr]time.Time{}, fresh: make(chan struct{}, 1)}
	sniff(t, e, w.packet)
	return w
}

// packet looks for the wanted prefix, and for anything longer than a KEEPALIVE, in what goes to
// TCP port 179.
func (w *wire) packet(p packet) {
	const keepalive = 19
	if p.Sent || p.Protocol != protocolTCP || p.Port != portBGP {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(p.Payload) > keepalive {
		w.last[p.From] = p.At
	}
	if _, known := w.seen[p.From]; known || w.wanted == nil || !bytes.Contains(p.Payload, w.wanted) {
		return
	}
	w.seen[p.From] = p.At
	select {
	case w.fresh <- struct{}{}:
	default:
	}
}

// expect begins to look for UPDATEs about a host route.
func (w *wire) expect(p netip.Prefix) {
	a := p.Addr().As4()
	w.mu.Lock()
	defer w.mu.Unlock()
	w.wanted, w.seen = append([]byte{byte(p.Bits())}, a[:]...), map[netip.Addr]time.Time{}
}

// updated waits until n nodes have sent an UPDATE about the route, and returns when the last
// one was seen.
func (w *wire) updated(ctx context.Context, n int) (time.Time, error) {
	for {
		w.mu.Lock()
		last := latest(w.seen)
		complete := len(w.seen) == n
		w.mu.Unlock()
		if complete {
			return last, nil
		}
		select {
		case <-w.fresh:
		case <-ctx.Done():
			return last, ctx.Err()
		}
	}
}

// quiet is when the last UPDATE of all was sent so far.
func (w *wire) quiet() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return latest(w.last)
}

func latest(times map[netip.Addr]time.Time) (last time.Time) {
	for _, at := range times {
		if at.After(last) {
			last = at
		}
	}
	return last
}
