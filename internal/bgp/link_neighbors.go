package bgp

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/mdlayher/ndp"
	"golang.org/x/net/ipv6"
)

const (
	// advertiseFast and advertiseSlow are the intervals of router advertisements before
	// and after a router was found on the link (RFC 4861, section 6.2.1, allows 3 s and more
	// in the long run).
	advertiseFast = time.Second
	advertiseSlow = 10 * time.Second
	// heardLately is how long a router that was heard is not replaced by another one.
	heardLately = 15 * time.Second
	// linkRetry is the pause before a link that is not usable is tried again.
	linkRetry = time.Second
)

// LinkNeighbors finds routers by their router advertisements and makes this node known by
// its own (RFC 4861), as unnumbered BGP expects on both sides. The advertisements have a
// lifetime of 0 and no prefix, so that no host takes this node for its router.
type LinkNeighbors struct {
	log *slog.Logger
	wg  sync.WaitGroup

	mu    sync.Mutex
	links map[string]*linkWatch
	found func(iface string)
}

var _ Neighbors = (*LinkNeighbors)(nil)

// NewLinkNeighbors makes a LinkNeighbors that watches no link yet. It needs the right to
// open raw sockets.
func NewLinkNeighbors(log *slog.Logger) *LinkNeighbors {
	return &LinkNeighbors{log: log, links: map[string]*linkWatch{}}
}

// Subscribe has f called whenever another router than before is in use on a link. There is one
// subscriber, set before the first Join; f may call Router and must not block.
func (n *LinkNeighbors) Subscribe(f func(iface string)) { n.found = f }

// Router is the router in use on a link, without zone; invalid while none was heard.
func (n *LinkNeighbors) Router(iface string) netip.Addr {
	n.mu.Lock()
	w := n.links[iface]
	n.mu.Unlock()
	if w == nil {
		return netip.Addr{}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.router
}

// Doubt says that a router was lost. If it is the one in use on the link, the next one that is
// heard takes its place, and routers are asked for.
func (n *LinkNeighbors) Doubt(iface string, router netip.Addr) {
	n.mu.Lock()
	w := n.links[iface]
	n.mu.Unlock()
	if w == nil {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.router != router {
		return
	}
	w.heard, w.doubted = time.Time{}, true
	if w.wake != nil {
		w.wake()
	}
}

// linkWatch is one link and the sessions that use it.
type linkWatch struct {
	users  int
	cancel context.CancelFunc

	mu     sync.Mutex
	router netip.Addr
	heard  time.Time
	err    error
	found  chan struct{} // closed once there is a router
	// doubted is set while the router may be gone, and nothing was heard since.
	doubted bool
	wake    func() // ends a wait for packets; nil without a socket
}

// Join implements Neighbors.
func (n *LinkNeighbors) Join(iface string) (leave func()) {
	n.mu.Lock()
	defer n.mu.Unlock()
	w := n.links[iface]
	if w == nil {
		ctx, cancel := context.WithCancel(context.Background())
		w = &linkWatch{cancel: cancel, found: make(chan struct{})}
		n.links[iface] = w
		n.wg.Go(func() { n.watch(ctx, iface, w) })
	}
	w.users++
	return sync.OnceFunc(func() {
		n.mu.Lock()
		defer n.mu.Unlock()
		if w.users--; w.users == 0 {
			w.cancel()
			delete(n.links, iface)
		}
	})
}

// Wait returns when everything has ended that Join has started. All links must have been
// left.
func (n *LinkNeighbors) Wait() { n.wg.Wait() }

// Neighbor implements Neighbors.
func (n *LinkNeighbors) Neighbor(ctx context.Context, iface string) (netip.Addr, error) {
	n.mu.Lock()
	w := n.links[iface]
	n.mu.Unlock()
	if w == nil {
		return netip.Addr{}, fmt.Errorf("bgp: link %s was not joined", iface)
	}
	select {
	case <-w.found:
	case <-ctx.Done():
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case w.router.IsValid():
		return w.router.WithZone(iface), nil
	case w.err != nil:
		return netip.Addr{}, w.err
	}
	return netip.Addr{}, fmt.Errorf("bgp: no router was heard on link %s", iface)
}

// observe takes note of a router's advertisement.
func (w *linkWatch) observe(router netip.Addr, now time.Time) (changed bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.router.IsValid() && w.router != router && now.Sub(w.heard) < heardLately {
		return false // two routers on the link: stay with the one in use
	}
	changed = w.router != router
	if !w.router.IsValid() {
		close(w.found)
	}
	w.router, w.heard, w.doubted = router, now, false
	return changed
}

// searching tells whether a router is looked for.
func (w *linkWatch) searching() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return !w.router.IsValid() || w.doubted
}

// waitUntil sets how long the socket is read. A doubt that comes later cuts it short.
func (w *linkWatch) waitUntil(c *ndp.Conn, t time.Time) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if soon := time.Now().Add(advertiseFast); w.doubted && soon.Before(t) {
		t = soon
	}
	w.wake = func() { _ = c.SetReadDeadline(time.Now()) } // a closed socket needs no waking
	return c.SetReadDeadline(t)
}

func (w *linkWatch) fail(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.err = err
}

// watch lives as long as a session uses the link. A link that is away comes back.
func (n *LinkNeighbors) watch(ctx context.Context, iface string, w *linkWatch) {
	pause := newTimer()
	for {
		err := n.serve(ctx, iface, w)
		if ctx.Err() != nil {
			return
		}
		w.fail(err)
		n.log.Debug("link is not usable for neighbours", "link", iface, "err", err)
		pause.start(linkRetry)
		select {
		case <-ctx.Done():
			return
		case <-pause.fired():
		}
	}
}

// serve sends and receives on one socket until that fails or the context ends.
func (n *LinkNeighbors) serve(ctx context.Context, iface string, w *linkWatch) error {
	ifi, err := net.InterfaceByName(iface)
	if err != nil {
		return fmt.Errorf("bgp: link %s: %w", iface, err)
	}
	c, self, err := ndp.Listen(ifi, ndp.LinkLocal)
	if err != nil {
		return fmt.Errorf("bgp: link %s: %w", iface, err)
	}
	stop := context.AfterFunc(ctx, func() { c.Close() })
	defer func() {
		if stop() {
			c.Close()
		}
	}()
	var f ipv6.ICMPFilter
	f.SetAll(true)
	f.Accept(ipv6.ICMPTypeRouterAdvertisement)
	f.Accept(ipv6.ICMPTypeRouterSolicitation)
	if err := c.SetICMPFilter(&f); err != nil {
		return fmt.Errorf("bgp: link %s: %w", iface, err)
	}
	if err := c.SetControlMessage(ipv6.FlagHopLimit, true); err != nil {
		return fmt.Errorf("bgp: link %s: %w", iface, err)
	}
	allNodes, allRouters := netip.IPv6LinkLocalAllNodes(), netip.IPv6LinkLocalAllRouters()
	for _, g := range []netip.Addr{allNodes, allRouters} {
		if err := c.JoinGroup(g); err != nil {
			return fmt.Errorf("bgp: link %s: join %v: %w", iface, g, err)
		}
	}
	source := []ndp.Option{&ndp.LinkLayerAddress{Direction: ndp.Source, Addr: ifi.HardwareAddr}}
	defer func() {
		w.mu.Lock()
		w.wake = nil
		w.mu.Unlock()
	}()
	var last time.Time
	for next := time.Now(); ; {
		searching := w.searching()
		if now := time.Now(); !now.Before(next) || searching && now.Sub(last) >= advertiseFast {
			last, next = now, now.Add(advertiseSlow)
			if searching {
				next = now.Add(advertiseFast)
				if err := send(c, &ndp.RouterSolicitation{Options: source}, allRouters); err != nil {
					return err
				}
			}
			if err := send(c, &ndp.RouterAdvertisement{Options: source}, allNodes); err != nil {
				return err
			}
		}
		if err := w.waitUntil(c, next); err != nil {
			return err
		}
		msg, cm, from, err := c.ReadFrom()
		switch ne := net.Error(nil); {
		case errors.As(err, &ne) && ne.Timeout():
			continue
		case err != nil:
			return fmt.Errorf("bgp: link %s: %w", iface, err)
		}
		// RFC 4861, section 6.1.2: only what comes from the link itself counts.
		if cm == nil || cm.HopLimit != 255 || from.WithZone("") == self.WithZone("") {
			continue
		}
		switch msg.(type) {
		case *ndp.RouterAdvertisement:
			if from.IsLinkLocalUnicast() && w.observe(from.WithZone(""), time.Now()) {
				n.log.Info("router found on link", "link", iface, "router", from)
				if n.found != nil {
					n.found(iface)
				}
			}
		case *ndp.RouterSolicitation:
			// Answered to all, and no faster than without being asked.
			next = last.Add(advertiseFast)
		}
	}
}

func send(c *ndp.Conn, m ndp.Message, to netip.Addr) error {
	if err := c.SetWriteDeadline(time.Now().Add(time.Second)); err != nil {
		return err
	}
	return c.WriteTo(m, nil, to)
}
