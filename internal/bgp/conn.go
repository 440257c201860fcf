package bgp

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"sync"
	"time"

	"github.com/lintel-lb/lintel/internal/bgp/wire"
)

const (
	// openHold is how long an OPEN may take. RFC 4271, section 8.2.2, suggests 4 minutes, "a large
	// value". A router that lives answers within a second; one that got another TCP MD5 key while
	// the connection came up never does, and a new attempt is what helps then.
	openHold = 20 * time.Second
	// readSlack is what the read deadline allows beyond the hold timer, which is the
	// session's and decides first.
	readSlack = 10 * time.Second
	// finishTime is how long a connection may take to deliver its last message.
	finishTime = 2 * time.Second
	// readBuffer is the size in octets; messages longer than it take two reads.
	readBuffer = 2048
)

// conn is a connection with its reader and its writer. Its methods but read, write and
// the ones they call belong to the session's goroutine, and none of these blocks.
type conn struct {
	net           net.Conn
	local, remote netip.AddrPort
	// inbound tells which side has opened it, which decides collisions.
	inbound bool
	// open is the peer's OPEN, nil until it is received.
	open *wire.Open

	events         chan<- event
	sent, received *counters

	control chan []byte // OPEN, KEEPALIVE, ROUTE-REFRESH
	bulk    chan *batch // at most one, see adjOut
	last    chan []byte // NOTIFICATION; ends the writer
	dead    chan struct{}

	mu       sync.Mutex // guards the deadlines and what follows
	readHold time.Duration
	sendHold time.Duration
	finishBy time.Time // zero while the connection is in use
}

func newConn(nc net.Conn, inbound bool, s *session) *conn {
	return &conn{
		net: nc, inbound: inbound, local: endpoint(nc.LocalAddr()), remote: endpoint(nc.RemoteAddr()),
		events: s.events, sent: &s.sent, received: &s.received,
		control: make(chan []byte, 4), bulk: make(chan *batch, 1), last: make(chan []byte, 1),
		dead: make(chan struct{}), readHold: openHold + readSlack, sendHold: s.cfg.sendHold(),
	}
}

// start begins to read and write. wg counts until the connection is closed.
func (c *conn) start(wg *sync.WaitGroup) {
	var both sync.WaitGroup
	both.Go(c.read)
	both.Go(c.write)
	wg.Go(func() {
		both.Wait()
		c.net.Close()
	})
}

// send queues a message. Where the queue is full the peer does not read, and the send
// hold time will end the session.
func (c *conn) send(msg []byte) {
	select {
	case c.control <- msg:
	default:
	}
}

// hold sets how long the reader waits for one message; 0 is for ever.
func (c *conn) hold(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.readHold = d; d > 0 {
		c.readHold += readSlack
	}
	c.armRead()
}

// finish sends a last message, lets the peer read it and closes the connection, all in the
// background. Events of the connection end.
func (c *conn) finish(msg []byte) {
	c.mu.Lock()
	c.finishBy = time.Now().Add(finishTime)
	c.armRead()
	c.armWrite()
	c.mu.Unlock()
	c.last <- msg
	close(c.dead)
}

// abort closes the connection at once, without a word.
func (c *conn) abort() {
	close(c.dead)
	c.net.Close()
}

// armRead and armWrite set a deadline; mu is held. An error means that the connection is
// closed, which reads and writes report too.
func (c *conn) armRead() {
	switch {
	case !c.finishBy.IsZero():
		_ = c.net.SetReadDeadline(c.finishBy)
	case c.readHold == 0:
		_ = c.net.SetReadDeadline(time.Time{})
	default:
		_ = c.net.SetReadDeadline(time.Now().Add(c.readHold))
	}
}

func (c *conn) armWrite() {
	by := time.Now().Add(c.sendHold)
	if !c.finishBy.IsZero() {
		by = c.finishBy
	}
	_ = c.net.SetWriteDeadline(by)
}

// report hands an event to the session, which may have given up the connection.
func (c *conn) report(e event) {
	e.conn = c
	select {
	case c.events <- e:
	case <-c.dead:
	}
}

func (c *conn) read() {
	br := bufio.NewReaderSize(c.net, readBuffer)
	var header [wire.HeaderLen]byte
	for {
		c.mu.Lock()
		c.armRead()
		c.mu.Unlock()
		if _, err := io.ReadFull(br, header[:]); err != nil {
			c.report(event{kind: evClosed, err: err})
			return
		}
		select {
		case <-c.dead:
			// Unread data would turn the close into a reset, which may overtake the
			// NOTIFICATION.
			_, _ = io.Copy(io.Discard, br)
			return
		default:
		}
		t, n, err := wire.ParseHeader(header[:])
		if err != nil {
			c.report(event{kind: evMalformed, err: err})
			_, _ = io.Copy(io.Discard, br)
			return
		}
		e := event{kind: evMessage, message: t}
		if t == wire.TypeUpdate {
			_, err = br.Discard(n)
		} else {
			e.body = make([]byte, n)
			_, err = io.ReadFull(br, e.body)
		}
		if err != nil {
			c.report(event{kind: evClosed, err: err})
			return
		}
		c.received.add(t, 1)
		c.report(e)
	}
}

func (c *conn) write() {
	for {
		// Control messages go before routes.
		select {
		case msg := <-c.control:
			if !c.put(msg, wire.MessageType(msg[wire.HeaderLen-1]), 1) {
				return
			}
			continue
		default:
		}
		select {
		case msg := <-c.control:
			if !c.put(msg, wire.MessageType(msg[wire.HeaderLen-1]), 1) {
				return
			}
		case b := <-c.bulk:
			if !c.put(b.data, wire.TypeUpdate, b.messages) {
				return
			}
			c.report(event{kind: evWritten, batch: b})
		case msg := <-c.last:
			c.putLast(msg)
			return
		case <-c.dead:
			select {
			case msg := <-c.last:
				c.putLast(msg)
			default: // aborted
			}
			return
		}
	}
}

// put writes messages and reports whether that succeeded.
func (c *conn) put(b []byte, t wire.MessageType, n int) bool {
	c.mu.Lock()
	c.armWrite()
	c.mu.Unlock()
	if _, err := c.net.Write(b); err != nil {
		if errors.Is(err, os.ErrDeadlineExceeded) {
			err = errSendHold
		}
		c.report(event{kind: evClosed, err: err})
		return false
	}
	c.sent.add(t, n)
	return true
}

// putLast writes the NOTIFICATION, if any, and says that nothing follows.
func (c *conn) putLast(msg []byte) {
	for len(c.control) > 0 { // an OPEN goes before the NOTIFICATION that follows it
		m := <-c.control
		if !c.put(m, wire.MessageType(m[wire.HeaderLen-1]), 1) {
			return
		}
	}
	if len(msg) > 0 && !c.put(msg, wire.TypeNotification, 1) {
		return
	}
	if hc, ok := c.net.(interface{ CloseWrite() error }); ok {
		_ = hc.CloseWrite()
	} else {
		_ = c.net.Close()
	}
}
