package bgp

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lintel-lb/lintel/internal/bgp/wire"
)

var (
	ourAddr   = netip.MustParseAddr("192.0.2.10")
	ourAddr6  = netip.MustParseAddr("2001:db8:1::10")
	peerAddr  = netip.MustParseAddr("192.0.2.1")
	ourID     = netip.MustParseAddr("10.0.0.5")
	errRefuse = errors.New("connection refused")
)

// fakeConn is an end of a pipe with addresses.
type fakeConn struct {
	net.Conn
	local, remote netip.AddrPort
}

func (c fakeConn) LocalAddr() net.Addr  { return net.TCPAddrFromAddrPort(c.local) }
func (c fakeConn) RemoteAddr() net.Addr { return net.TCPAddrFromAddrPort(c.remote) }

// fakeNet is a Transport of pipes.
type fakeNet struct {
	mu      sync.Mutex
	dialErr error
	block   bool // dials get no answer
	dials   int
	out     chan net.Conn // far ends of what was dialled
	ports   map[netip.AddrPort]*fakePort
	opened  int                    // how often a port was
	keyless map[netip.Prefix]error // peers whose keys cannot be set
	options []SocketOptions
	lacks6  bool // our interface has no IPv6 address
}

func newFakeNet() *fakeNet {
	return &fakeNet{out: make(chan net.Conn, 100), ports: map[netip.AddrPort]*fakePort{}}
}

func (n *fakeNet) set(f func()) {
	n.mu.Lock()
	defer n.mu.Unlock()
	f()
}

func (n *fakeNet) dialled() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.dials
}

func pipe(local, remote netip.AddrPort) (near, far net.Conn) {
	a, b := net.Pipe()
	return fakeConn{a, local, remote}, fakeConn{b, remote, local}
}

func (n *fakeNet) Dial(ctx context.Context, _ netip.Addr, remote netip.AddrPort, o SocketOptions) (net.Conn, error) {
	n.mu.Lock()
	n.dials++
	n.options = append(n.options, o)
	err, block := n.dialErr, n.block
	n.mu.Unlock()
	if block {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	if err != nil {
		return nil, err
	}
	near, far := pipe(netip.AddrPortFrom(ourAddr, 40000), remote)
	n.out <- far
	return near, nil
}

func (n *fakeNet) Addresses(netip.Addr) []netip.Addr {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.lacks6 {
		return []netip.Addr{ourAddr}
	}
	return []netip.Addr{ourAddr, ourAddr6}
}

func (n *fakeNet) Accepted(net.Conn, SocketOptions) error { return nil }

type fakePort struct {
	net    *fakeNet
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
	keys   map[netip.Prefix]Password // guarded by net.mu
}

func (n *fakeNet) Listen(_ context.Context, a netip.AddrPort, _ SocketOptions, keys map[netip.Prefix]Password) (Listener, map[netip.Prefix]error, error) {
	p := &fakePort{net: n, conns: make(chan net.Conn, 8), closed: make(chan struct{}), keys: map[netip.Prefix]Password{}}
	failed := map[netip.Prefix]error{}
	for peer, key := range keys {
		if err := p.SetPassword(peer, key); err != nil {
			failed[peer] = err
		}
	}
	n.set(func() { n.ports[a] = p; n.opened++ })
	return p, failed, nil
}

func (n *fakeNet) port(a netip.AddrPort) *fakePort {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.ports[a]
}

func (p *fakePort) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p *fakePort) Close() error {
	p.once.Do(func() { close(p.closed) })
	for {
		select {
		case c := <-p.conns: // as the kernel ends what was not accepted
			c.Close()
		default:
			return nil
		}
	}
}

func (p *fakePort) SetPassword(peer netip.Prefix, key Password) error {
	p.net.mu.Lock()
	defer p.net.mu.Unlock()
	if err := p.net.keyless[peer]; err != nil {
		return err
	}
	p.keys[peer] = key
	return nil
}

// call opens a connection to our listening port and returns the caller's end.
func (p *fakePort) call(t testing.TB, from netip.Addr) *fakePeer {
	t.Helper()
	near, far := pipe(netip.AddrPortFrom(ourAddr, 179), netip.AddrPortFrom(from, 50000))
	p.conns <- near
	return &fakePeer{t: t, c: far}
}

// fakeBFD is a BFD with one session for everybody.
type fakeBFD struct{ states chan BFDState }

func (b fakeBFD) Watch(string) (<-chan BFDState, func()) { return b.states, func() {} }

// rig is an engine with one peer in a bubble of fake time.
type rig struct {
	*Engine
	t      testing.TB
	net    *fakeNet
	cancel context.CancelFunc
	result chan error
}

func testConfig() SessionConfig {
	return SessionConfig{
		PeerAddress: peerAddr, LocalASN: 64500, PeerASN: ExactAS(64501), RouterID: ourID,
		Hold: 90 * time.Second, Families: IPv4 | IPv6,
	}
}

func onePeer(c SessionConfig, routes map[netip.Prefix]Attributes) Desired {
	return Desired{Peers: map[string]Peer{"tor": {Config: c, Routes: NewRoutes(routes)}}, Complete: true}
}

// bubble runs a test in fake time, with an engine that ends with it.
func bubble(t *testing.T, edit func(*Options), f func(t *testing.T, r *rig)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		r := &rig{t: t, net: newFakeNet(), result: make(chan error, 1)}
		o := Options{Log: slog.New(slog.DiscardHandler), Transport: r.net}
		if edit != nil {
			edit(&o)
		}
		r.Engine = New(o)
		var ctx context.Context
		ctx, r.cancel = context.WithCancel(t.Context())
		go func() { r.result <- r.Run(ctx) }()
		defer func() {
			r.cancel()
			// Peers that were left open would keep their goroutines.
			<-r.result
		}()
		f(t, r)
	})
}

// accept returns the far end of our next dial.
func (r *rig) accept() *fakePeer {
	r.t.Helper()
	select {
	case c := <-r.net.out:
		return &fakePeer{t: r.t, c: c}
	case <-time.After(5 * time.Minute):
		r.t.Fatalf("nothing was dialled; %v", r.status().LastError)
		return nil
	}
}

// up establishes the session and returns the peer.
func (r *rig) up(o wire.Open) *fakePeer {
	r.t.Helper()
	p := r.accept()
	p.handshake(o)
	return p
}

func (r *rig) status() Status { return r.Snapshot()["tor"] }

// wantState waits until nothing moves and checks the state.
func (r *rig) wantState(want State) Status {
	r.t.Helper()
	synctest.Wait()
	st := r.status()
	if st.State != want {
		r.t.Fatalf("state is %v, want %v; last error %q", st.State, want, st.LastError)
	}
	return st
}

// noPorts is a network on which nothing can listen.
type noPorts struct{ *fakeNet }

func (noPorts) Listen(context.Context, netip.AddrPort, SocketOptions, map[netip.Prefix]Password) (Listener, map[netip.Prefix]error, error) {
	return nil, nil, errRefuse
}
