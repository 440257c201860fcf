package members

import (
	"context"
	"log"
	"net"
	"sync"
	"time"

	"github.com/hashicorp/memberlist"
)

// transport adds to memberlist's transport what a clean end and a diagnosis need: every stream has a
// deadline, Shutdown breaks off dials and streams that are under way and waits for those who use
// them, and the outcome of the last dial to an address is remembered as an error value.
type transport struct {
	*memberlist.NetTransport
	ctx     context.Context
	cancel  context.CancelFunc
	timeout time.Duration // of an accepted stream
	accept  chan net.Conn
	pump    sync.WaitGroup
	users   sync.WaitGroup // one for each open stream

	mu      sync.Mutex
	closed  bool
	streams map[*stream]struct{}
	dials   map[string]error // outcome of the last dial to the addresses being watched
}

// listen opens the port, TCP and UDP.
func listen(addr string, port int, timeout time.Duration, logger *log.Logger) (*transport, error) {
	inner, err := memberlist.NewNetTransport(&memberlist.NetTransportConfig{
		BindAddrs: []string{addr}, BindPort: port, Logger: logger,
	})
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	t := &transport{
		NetTransport: inner, ctx: ctx, cancel: cancel, timeout: timeout,
		accept:  make(chan net.Conn),
		streams: map[*stream]struct{}{},
		dials:   map[string]error{},
	}
	t.pump.Go(t.acceptStreams)
	return t, nil
}

// acceptStreams hands incoming streams on until the transport shuts down.
func (t *transport) acceptStreams() {
	for {
		select {
		case <-t.ctx.Done():
			return
		case c := <-t.NetTransport.StreamCh():
			s, err := t.track(c, t.timeout)
			if err != nil {
				continue
			}
			select {
			case t.accept <- s:
			case <-t.ctx.Done():
				s.Close()
				return
			}
		}
	}
}

// StreamCh implements memberlist.Transport.
func (t *transport) StreamCh() <-chan net.Conn { return t.accept }

// DialTimeout implements memberlist.Transport.
func (t *transport) DialTimeout(addr string, timeout time.Duration) (net.Conn, error) {
	d := net.Dialer{Timeout: timeout}
	c, err := d.DialContext(t.ctx, "tcp", addr)
	t.mu.Lock()
	if _, watched := t.dials[addr]; watched {
		t.dials[addr] = err
	}
	t.mu.Unlock()
	if err != nil {
		return nil, err
	}
	return t.track(c, timeout)
}

// DialAddressTimeout implements memberlist.NodeAwareTransport.
func (t *transport) DialAddressTimeout(a memberlist.Address, timeout time.Duration) (net.Conn, error) {
	return t.DialTimeout(a.Addr, timeout)
}

// watch begins to note the outcome of dials to addr.
func (t *transport) watch(addr string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.dials[addr] = nil
}

// unwatch ends that and returns the error of the last dial to addr, nil if it succeeded.
func (t *transport) unwatch(addr string) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	err := t.dials[addr]
	delete(t.dials, addr)
	return err
}

// Shutdown implements memberlist.Transport. After it no stream is open and nobody uses one.
func (t *transport) Shutdown() error {
	t.mu.Lock()
	t.closed = true
	open := make([]*stream, 0, len(t.streams))
	for s := range t.streams {
		open = append(open, s)
	}
	t.mu.Unlock()
	t.cancel()
	for _, s := range open {
		s.Conn.Close()
	}

	// The listeners may be about to hand something over; take it, or they never end.
	gone := make(chan struct{})
	var drain sync.WaitGroup
	drain.Go(func() {
		for {
			select {
			case c := <-t.NetTransport.StreamCh():
				c.Close()
			case <-t.NetTransport.PacketCh():
			case <-gone:
				return
			}
		}
	})
	err := t.NetTransport.Shutdown()
	close(gone)
	drain.Wait()
	t.pump.Wait()
	t.users.Wait()
	return err
}

// track gives the stream a deadline and notes it as open.
func (t *transport) track(c net.Conn, timeout time.Duration) (*stream, error) {
	if err := c.SetDeadline(time.Now().Add(timeout)); err != nil {
		c.Close()
		return nil, err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		c.Close()
		return nil, net.ErrClosed
	}
	s := &stream{Conn: c, transport: t}
	t.streams[s] = struct{}{}
	t.users.Add(1)
	return s, nil
}

// stream is a connection whose user is waited for: memberlist closes each when it is done with it.
type stream struct {
	net.Conn
	transport *transport
	once      sync.Once
}

// Close implements net.Conn.
func (s *stream) Close() error {
	err := s.Conn.Close()
	s.once.Do(func() {
		s.transport.mu.Lock()
		delete(s.transport.streams, s)
		s.transport.mu.Unlock()
		s.transport.users.Done()
	})
	return err
}
