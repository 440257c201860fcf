package bgp

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"
)

// listenRetry is the pause before a port that could not be opened is tried again.
const listenRetry = 5 * time.Second

// listenKey identifies a port. Several sessions can share one.
type listenKey struct {
	local  netip.AddrPort
	device string
}

func keyOf(c *SessionConfig) listenKey {
	return listenKey{netip.AddrPortFrom(c.Source, c.listenPort()), c.Device}
}

// accepted is a connection and the port it came in by.
type accepted struct {
	key  listenKey
	port *openPort
	conn net.Conn
}

// authenticates tells whether the kernel has demanded the password of whoever opened the
// connection. Without a password there is nothing to demand.
func (in *accepted) authenticates(remote netip.Addr, password Password) bool {
	return password == "" || in.port.demands(remote) == password
}

// listeners keeps the ports open that passive sessions ask for, and none else. It belongs
// to the goroutine of Engine.Run.
type listeners struct {
	transport Transport
	log       *slog.Logger
	accepted  chan accepted
	retry     timer
	open      map[listenKey]*openPort
	// failed are the ports that could not be made ready, and why, as it was logged.
	failed map[listenKey]string
	wg     sync.WaitGroup
}

// openPort is a port with the keys that it has had since before the first connection. For
// other keys a port is opened anew, so that nobody who came earlier passes for one who has
// the key.
type openPort struct {
	Listener
	keys map[netip.Prefix]Password
	stop chan struct{}
}

// demands returns the key that the kernel checks for a peer: that of the longest prefix.
func (p *openPort) demands(peer netip.Addr) Password {
	peer = peer.WithZone("")
	best, key := -1, Password("")
	for prefix, k := range p.keys {
		if prefix.Contains(peer) && prefix.Bits() > best {
			best, key = prefix.Bits(), k
		}
	}
	return key
}

func newListeners(t Transport, log *slog.Logger) *listeners {
	return &listeners{
		transport: t, log: log, accepted: make(chan accepted), retry: newTimer(), open: map[listenKey]*openPort{},
	}
}

// demandsOf returns the range whose key the kernel checks for all of a peer's addresses, although
// the peer has none itself; invalid if there is none.
func (p *openPort) demandsOf(peer netip.Prefix) netip.Prefix {
	for prefix := range p.keys {
		if prefix.Bits() <= peer.Bits() && prefix.Contains(peer.Addr()) {
			return prefix
		}
	}
	return netip.Prefix{}
}

// listenUser is what a session or range wants of its port.
type listenUser struct {
	key   listenKey
	peer  netip.Prefix
	keyed bool
}

// reconcile opens, closes and keys ports. It returns by peer why its port could not be made
// ready; this is tried again later. A peer whose password could not be set is among them,
// and the port does not authenticate it; others on the port are not concerned.
func (l *listeners) reconcile(sessions, ranges map[string]Peer) map[string]string {
	want := map[listenKey]map[netip.Prefix]Password{}
	users := map[string]listenUser{}
	add := func(name string, c *SessionConfig, peer netip.Prefix) {
		k := keyOf(c)
		users[name] = listenUser{k, peer, c.Password != ""}
		if want[k] == nil {
			want[k] = map[netip.Prefix]Password{}
		}
		if _, ok := want[k][peer]; !ok && c.Password != "" {
			want[k][peer] = c.Password
		}
	}
	for _, name := range slices.Sorted(maps.Keys(sessions)) {
		c := sessions[name].Config
		if c.Mode != ModeActive {
			add(name, &c, netip.PrefixFrom(c.PeerAddress.WithZone(""), c.PeerAddress.BitLen()))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(ranges)) {
		c := ranges[name].Config
		add(name, &c, c.PeerRange)
	}
	for k, p := range l.open {
		if _, ok := want[k]; !ok {
			l.shut(k, p)
		}
	}
	closed := map[listenKey]error{}
	unkeyed := map[listenKey]map[netip.Prefix]error{}
	logged := map[listenKey]string{}
	for k, keys := range want {
		failed, err := l.ensure(k, keys)
		switch {
		case err != nil:
			closed[k], logged[k] = err, err.Error()
			if l.failed[k] != logged[k] {
				l.log.Warn("cannot listen for peers; it will be tried again", "listener", k.local, "err", err)
			}
		case len(failed) > 0:
			unkeyed[k] = failed
			peers := slices.SortedFunc(maps.Keys(failed), netip.Prefix.Compare)
			logged[k] = fmt.Sprintf("%v: %v", peers, failed[peers[0]])
			if l.failed[k] != logged[k] {
				l.log.Warn("cannot set the passwords of peers, which are turned away; it will be tried again",
					"listener", k.local, "peers", peers, "err", failed[peers[0]])
			}
		}
	}
	l.failed = logged
	trouble := map[string]string{}
	for name, u := range users {
		if err := closed[u.key]; err != nil {
			trouble[name] = fmt.Sprintf("bgp: listen on %v: %v", u.key.local, err)
		} else if err := unkeyed[u.key][u.peer]; err != nil {
			trouble[name] = fmt.Sprintf("bgp: connections from %v are turned away: %v", u.peer, err)
		} else if other := l.open[u.key].demandsOf(u.peer); !u.keyed && other.IsValid() {
			trouble[name] = fmt.Sprintf("bgp: connections from %v are turned away: peers in %v need a password on this port; give this one a password too, or another port",
				u.peer, other)
		}
	}
	l.retry.stop()
	if len(logged) > 0 {
		l.retry.start(listenRetry)
	}
	return trouble
}

// ensure makes a port that has these keys, apart from those that it returns, which could not
// be set.
func (l *listeners) ensure(k listenKey, keys map[netip.Prefix]Password) (map[netip.Prefix]error, error) {
	if p, ok := l.open[k]; ok {
		anew, failed := p.compare(keys)
		if !anew {
			return failed, nil
		}
		l.shut(k, p)
	}
	ln, failed, err := l.transport.Listen(context.Background(), k.local, SocketOptions{Device: k.device}, keys)
	if err != nil {
		return nil, err
	}
	p := &openPort{Listener: ln, keys: map[netip.Prefix]Password{}, stop: make(chan struct{})}
	for peer, key := range keys {
		if failed[peer] == nil {
			p.keys[peer] = key
		}
	}
	l.open[k] = p
	l.wg.Go(func() { l.accept(k, p) })
	return failed, nil
}

// compare tells whether the port must be opened anew to have these keys. A key that cannot
// be set now either is no reason; those are returned.
func (p *openPort) compare(keys map[netip.Prefix]Password) (anew bool, failed map[netip.Prefix]error) {
	for peer := range p.keys {
		if _, ok := keys[peer]; !ok {
			anew = true
		}
	}
	failed = map[netip.Prefix]error{}
	for peer, key := range keys {
		if p.keys[peer] == key {
			continue
		}
		if err := p.SetPassword(peer, key); err != nil {
			failed[peer] = err
		} else {
			anew = true
		}
	}
	return anew, failed
}

func (l *listeners) accept(k listenKey, p *openPort) {
	for {
		c, err := p.Accept()
		if err != nil {
			select {
			case <-p.stop:
				return
			case <-time.After(time.Second): // as when descriptors run out
				l.log.Warn("cannot accept connections", "listener", k.local, "err", err)
				continue
			}
		}
		select {
		case l.accepted <- accepted{k, p, c}:
		case <-p.stop:
			c.Close()
			return
		}
	}
}

func (l *listeners) shut(k listenKey, p *openPort) {
	close(p.stop)
	p.Close()
	delete(l.open, k)
}

// close shuts all ports and waits for their goroutines.
func (l *listeners) close() {
	l.retry.stop()
	for k, p := range l.open {
		l.shut(k, p)
	}
	l.wg.Wait()
}
