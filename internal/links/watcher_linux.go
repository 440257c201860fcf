package links

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/vishvananda/netlink"
)

const (
	// debounce is how long events are gathered before a list. Bringing up one interface
	// causes a handful of them.
	debounce = 20 * time.Millisecond
	// period is the safety net under lost events.
	period = 30 * time.Second
	// retry is the pause after a failed list or subscription.
	retry = 500 * time.Millisecond
	// receiveBuffer is the size, in bytes, asked for the event sockets.
	receiveBuffer = 1 << 20
)

// Watcher follows the interfaces and default routes of one network namespace.
type Watcher struct {
	log  *slog.Logger
	snap atomic.Pointer[Snapshot]

	mu   sync.Mutex
	subs []chan struct{}
}

// NewWatcher makes a Watcher. It shows no links until Run has listed them.
func NewWatcher(log *slog.Logger) *Watcher {
	w := &Watcher{log: log}
	w.snap.Store(&Snapshot{})
	return w
}

// Snapshot returns the latest state, which is immutable and never nil.
func (w *Watcher) Snapshot() *Snapshot { return w.snap.Load() }

// Subscribe returns a channel that receives after every change of the snapshot; changes
// that come faster than they are received are one. Every call makes a channel of its own
// that lives as long as the Watcher, so that consumers do not take each other's signals.
// Subscribe first, then read the first snapshot.
func (w *Watcher) Subscribe() <-chan struct{} {
	ch := make(chan struct{}, 1)
	w.mu.Lock()
	w.subs = append(w.subs, ch)
	w.mu.Unlock()
	return ch
}

// Run follows the interfaces and default routes until the context ends. All sockets are opened from the
// calling goroutine: one that is locked to a thread in another network namespace watches
// that namespace. The error is the context's.
func (w *Watcher) Run(ctx context.Context) error {
	for {
		err := w.follow(ctx)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		w.log.Warn("interface events are interrupted, subscribing again", "err", err)
		if err := sleep(ctx, retry); err != nil {
			return err
		}
	}
}

// follow lives as long as one subscription.
func (w *Watcher) follow(ctx context.Context) error {
	done := make(chan struct{})
	linkEvents := make(chan netlink.LinkUpdate, 64)
	addrEvents := make(chan netlink.AddrUpdate, 64)
	routeEvents := make(chan netlink.RouteUpdate, 64)
	onError := func(err error) { w.log.Debug("netlink subscription", "err", err) }

	if err := netlink.LinkSubscribeWithOptions(linkEvents, done, netlink.LinkSubscribeOptions{
		ErrorCallback: onError, ReceiveBufferSize: receiveBuffer,
	}); err != nil {
		close(done)
		return fmt.Errorf("links: subscribe to interfaces: %w", err)
	}
	// Closing done closes the sockets; draining waits for the library's readers.
	defer drain(linkEvents)
	if err := netlink.AddrSubscribeWithOptions(addrEvents, done, netlink.AddrSubscribeOptions{
		ErrorCallback: onError, ReceiveBufferSize: receiveBuffer,
	}); err != nil {
		close(done)
		return fmt.Errorf("links: subscribe to addresses: %w", err)
	}
	defer drain(addrEvents)
	if err := netlink.RouteSubscribeWithOptions(routeEvents, done, netlink.RouteSubscribeOptions{
		ErrorCallback: onError, ReceiveBufferSize: receiveBuffer,
	}); err != nil {
		close(done)
		return fmt.Errorf("links: subscribe to routes: %w", err)
	}
	defer drain(routeEvents)
	defer close(done)

	timer := time.NewTimer(0) // the first list is due now
	defer timer.Stop()
	dirty := true
	for {
		var ok bool
		select {
		case <-ctx.Done():
			return ctx.Err()
		case _, ok = <-linkEvents:
		case _, ok = <-addrEvents:
		case u, open := <-routeEvents:
			if ok = open; ok && !isDefault(u) {
				continue
			}
		case <-timer.C:
			dirty = false
			next := period
			if err := w.relist(ctx); err != nil {
				w.log.Warn("interfaces cannot be listed", "err", err)
				next = retry
			}
			timer.Reset(next)
			continue
		}
		if !ok {
			return errClosed
		}
		// The first event of a group starts the clock; later ones do not put it off, so a
		// steady stream cannot keep the list from being read.
		if !dirty {
			dirty = true
			timer.Reset(debounce)
		}
	}
}

func (w *Watcher) relist(ctx context.Context) error {
	s, err := List(ctx, w.log)
	if err != nil {
		return err
	}
	if s.Equal(w.snap.Load()) {
		return nil
	}
	w.snap.Store(s)
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, ch := range w.subs {
		select {
		case ch <- struct{}{}:
		default:
		}
	}
	return nil
}

func drain[T any](ch <-chan T) {
	for range ch {
	}
}

func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}
