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
	conn net.Conn
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

type openPort struct {
	Listener
	keys map[netip.Prefix]Password
	stop chan struct{}
}

func newListeners(t Transport, log *slog.Logger) *listeners {
	return &listeners{
		transport: t, log: log, accepted: make(chan accepted), retry: newTimer(), open: map[listenKey]*openPort{},
	}
}

// reconcile opens, closes and keys ports. It returns by peer why a port could not be made
// ready; these are tried again later.
func (l *listeners) reconcile(sessions, ranges map[string]Peer) map[string]string {
	trouble := map[string]string{}
	want := map[listenKey]map[netip.Prefix]Password{}
	users := map[string]listenKey{}
	add := func(name string, c *SessionConfig, peer netip.Prefix) {
		k := keyOf(c)
		users[name] = k
		if want[k] == nil {
			want[k] = map[netip.Prefix]Password{}
		}
		if c.Password != "" {
			want[k][peer] = c.Password
		}
	}
	for name, p := range sessions {
		if a := p.Config.PeerAddress; p.Config.Mode != ModeActive {
			add(name, &p.Config, netip.PrefixFrom(a.WithZone(""), a.BitLen()))
		}
	}
	for name, p := range ranges {
		add(name, &p.Config, p.Config.PeerRange)
	}
	for k, p := range l.open {
		if _, ok := want[k]; !ok {
			l.shut(k, p)
		}
	}
	failed := map[listenKey]error{}
	logged := map[listenKey]string{}
	for k, keys := range want {
		err := l.ensure(k, keys)
		if err == nil {
			continue
		}
		failed[k], logged[k] = err, err.Error()
		if l.failed[k] != logged[k] {
			l.log.Warn("cannot listen for peers; it will be tried again", "listener", k.local, "err", err)
		}
	}
	l.failed = logged
	for name, k := range users {
		if err := failed[k]; err != nil {
			trouble[name] = fmt.Sprintf("bgp: listen on %v: %v", k.local, err)
		}
	}
	l.retry.stop()
	if len(failed) > 0 {
		l.retry.start(listenRetry)
	}
	return trouble
}

// ensure opens a port, if it is not, and sets the keys that differ.
func (l *listeners) ensure(k listenKey, keys map[netip.Prefix]Password) error {
	p, ok := l.open[k]
	if !ok {
		ln, err := l.transport.Listen(context.Background(), k.local, SocketOptions{Device: k.device})
		if err != nil {
			return err
		}
		p = &openPort{Listener: ln, keys: map[netip.Prefix]Password{}, stop: make(chan struct{})}
		l.open[k] = p
		l.wg.Go(func() { l.accept(k, p) })
	}
	var errs []error
	for peer := range p.keys {
		if _, ok := keys[peer]; !ok {
			errs = append(errs, p.SetPassword(peer, ""))
			delete(p.keys, peer)
		}
	}
	for peer, key := range keys {
		if p.keys[peer] == key {
			continue
		}
		if err := p.SetPassword(peer, key); err != nil {
			errs = append(errs, err)
			continue
		}
		p.keys[peer] = key
	}
	return errors.Join(errs...)
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
		case l.accepted <- accepted{k, c}:
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
