package probe

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"runtime"
	"sync"

	"github.com/mdlayher/socket"
	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// DialFunc opens a connection, as net.Dialer.DialContext does.
type DialFunc func(ctx context.Context, network, address string) (net.Conn, error)

// namespaceThreads make the sockets of a Namespace. Creating one takes some
// microseconds; connecting happens elsewhere.
const namespaceThreads = 2

// Namespace opens sockets inside a network namespace. It is safe for
// concurrent use.
type Namespace struct {
	name   string
	jobs   chan func() // nil: the namespace of the process
	wg     sync.WaitGroup
	handle *netlink.Handle
	close  func() error
}

// In enters the namespace called name, as in ip-netns(8), with a few threads of
// its own. The empty name is the namespace of the process. Close must be
// called; sockets opened before stay usable after it.
func In(name string) (*Namespace, error) {
	n := &Namespace{name: name}
	if name == "" {
		handle, err := netlink.NewHandle(unix.NETLINK_ROUTE)
		if err != nil {
			return nil, fmt.Errorf("probe: netlink: %w", err)
		}
		n.handle = handle
		n.close = sync.OnceValue(func() error { handle.Close(); return nil })
		return n, nil
	}
	ns, err := netns.GetFromName(name)
	if err != nil {
		return nil, fmt.Errorf("probe: network namespace %s: %w", name, err)
	}
	defer ns.Close()
	if n.handle, err = netlink.NewHandleAt(ns, unix.NETLINK_ROUTE); err != nil {
		return nil, fmt.Errorf("probe: netlink in %s: %w", name, err)
	}
	n.jobs = make(chan func())
	n.close = sync.OnceValue(func() error {
		close(n.jobs)
		n.wg.Wait()
		n.handle.Close()
		return nil
	})
	entered := make(chan error)
	for range namespaceThreads {
		n.wg.Go(func() { n.serve(ns, entered) })
	}
	for range namespaceThreads {
		err = errors.Join(err, <-entered)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("probe: enter %s: %w", name, err), n.Close())
	}
	return n, nil
}

// serve runs jobs on a thread inside the namespace. The thread is never
// unlocked, so it ends with the goroutine and nobody inherits it.
func (n *Namespace) serve(ns netns.NsHandle, entered chan<- error) {
	runtime.LockOSThread()
	err := netns.Set(ns)
	entered <- err
	if err != nil {
		return
	}
	for job := range n.jobs {
		job()
	}
}

// Close ends the threads. No other method may be running or be called later.
func (n *Namespace) Close() error { return n.close() }

// Do runs f inside the namespace and waits for it. What f opens stays in the
// namespace; goroutines that f starts do not run in it. f must not block.
func (n *Namespace) Do(f func() error) error {
	if n.jobs == nil {
		return f()
	}
	done := make(chan error, 1)
	n.jobs <- func() { done <- f() }
	return <-done
}

// DialContext is a DialFunc for TCP and literal addresses.
func (n *Namespace) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	to, err := netip.ParseAddrPort(address)
	if err != nil {
		return nil, fmt.Errorf("probe: dial %s: %w", address, err)
	}
	to = netip.AddrPortFrom(to.Addr().Unmap(), to.Port())
	remote := net.TCPAddrFromAddrPort(to)
	c, err := n.connect(ctx, network, to)
	if err != nil {
		return nil, &net.OpError{Op: "dial", Net: network, Addr: remote, Err: err}
	}
	return c, nil
}

func (n *Namespace) connect(ctx context.Context, network string, to netip.AddrPort) (net.Conn, error) {
	family, sa := unix.AF_INET6, unix.Sockaddr(&unix.SockaddrInet6{Addr: to.Addr().As16(), Port: int(to.Port())})
	if to.Addr().Is4() {
		family, sa = unix.AF_INET, &unix.SockaddrInet4{Addr: to.Addr().As4(), Port: int(to.Port())}
	}
	switch {
	case network == "tcp", network == "tcp4" && family == unix.AF_INET, network == "tcp6" && family == unix.AF_INET6:
	default:
		return nil, net.UnknownNetworkError(network)
	}
	var c *socket.Conn
	err := n.Do(func() (err error) {
		c, err = socket.Socket(family, unix.SOCK_STREAM, unix.IPPROTO_TCP, "tcp", nil)
		return err
	})
	if err != nil {
		return nil, err
	}
	if err := c.SetsockoptInt(unix.IPPROTO_TCP, unix.TCP_NODELAY, 1); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	if _, err := c.Connect(ctx, sa); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	local, err := c.Getsockname()
	if err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return &conn{Conn: c, local: tcpAddr(local), remote: net.TCPAddrFromAddrPort(to)}, nil
}

// conn makes a net.Conn of a socket.Conn.
type conn struct {
	*socket.Conn
	local, remote *net.TCPAddr
}

func (c *conn) LocalAddr() net.Addr  { return c.local }
func (c *conn) RemoteAddr() net.Addr { return c.remote }

func tcpAddr(sa unix.Sockaddr) *net.TCPAddr {
	switch sa := sa.(type) {
	case *unix.SockaddrInet4:
		return &net.TCPAddr{IP: sa.Addr[:], Port: sa.Port}
	case *unix.SockaddrInet6:
		return &net.TCPAddr{IP: sa.Addr[:], Port: sa.Port}
	default:
		return &net.TCPAddr{}
	}
}
