package links

import (
	"context"
	"errors"
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
	// idle is set while nobody needs gateways.
	idle atomic.Bool
	wake chan struct{}
	// gateways reads the default routes.
	gateways func(names map[int]string) ([]Gateway, error)

	mu   sync.Mutex
	subs []chan struct{}

	// trouble is why gateways could not be read, and feedTrouble why their changes cannot be
	// followed, as was logged. They belong to Run.
	trouble, feedTrouble string
}

// NewWatcher makes a Watcher. It shows no links until Run has listed them.
func NewWatcher(log *slog.Logger) *Watcher {
	w := &Watcher{log: log, wake: make(chan struct{}, 1), gateways: gateways}
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

// NeedGateways says whether somebody needs the gateways, as is taken for granted until the
// first call. While nobody does, they are not read, and the snapshot has none.
func (w *Watcher) NeedGateways(needed bool) {
	if w.idle.Swap(!needed) == !needed {
		return
	}
	select {
	case w.wake <- struct{}{}:
	default:
	}
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
	defer close(done)
	var routes *routeFeed // nil while there is none; links are followed without
	defer func() { routes.stop() }()

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
		case _, ok = <-routes.events():
			if !ok {
				routes.stop()
				routes, ok = nil, true // listed and subscribed again
			} else if w.idle.Load() {
				continue
			}
		case <-w.wake:
			ok = true
		case <-timer.C:
			dirty = false
			if routes == nil {
				routes = w.subscribeRoutes()
			}
			timer.Reset(w.relist(ctx))
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

// subscribeRoutes logs an error once and then returns nil.
func (w *Watcher) subscribeRoutes() *routeFeed {
	f, err := newRouteFeed(w.log)
	if err != nil && err.Error() != w.feedTrouble {
		w.log.Warn("changes of default routes are seen late", "every", period, "err", err)
	}
	w.feedTrouble = ""
	if err != nil {
		w.feedTrouble = err.Error()
	}
	return f
}

// relist reads everything and returns when to do so again at the latest. Gateways that cannot
// be read stay as they were: links do not depend on them.
func (w *Watcher) relist(ctx context.Context) time.Duration {
	ls, err := untilWhole(ctx, func() ([]Link, error) { return list(w.log) })
	if err != nil {
		w.log.Warn("interfaces cannot be listed", "err", err)
		return retry
	}
	old, s, next := w.snap.Load(), NewSnapshot(ls), period
	if !w.idle.Load() {
		s.Gateways, err = w.readGateways(ctx, ls)
		if err != nil && !errors.Is(err, errOddRoute) {
			s.Gateways, next = old.Gateways, retry
		}
	}
	if s.Equal(old) {
		return next
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
	return next
}

// readGateways logs an error once.
func (w *Watcher) readGateways(ctx context.Context, ls []Link) ([]Gateway, error) {
	names := make(map[int]string, len(ls))
	for _, l := range ls {
		names[l.Index] = l.Name
	}
	gs, err := untilWhole(ctx, func() ([]Gateway, error) { return w.gateways(names) })
	text := ""
	if err != nil {
		text = err.Error()
	}
	if text != "" && text != w.trouble {
		w.log.Warn("default routes cannot be read; interfaces are followed as before", "err", err)
	}
	w.trouble = text
	return gs, err
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
