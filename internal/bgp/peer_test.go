package bgp

import (
	"io"
	"net"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/lintel-lb/lintel/internal/bgp/wire"
	"github.com/lintel-lb/lintel/internal/bgp/wire/wiretest"
)

// fakePeer is the router at the other end of a connection.
type fakePeer struct {
	t testing.TB
	c net.Conn
}

// message is what a peer has read.
type message struct {
	t    wire.MessageType
	body []byte
}

// readMessage reads one message; the error is of the connection.
func (p *fakePeer) readMessage() (message, error) {
	h := make([]byte, wire.HeaderLen)
	if _, err := io.ReadFull(p.c, h); err != nil {
		return message{}, err
	}
	t, n, err := wire.ParseHeader(h)
	if err != nil {
		p.t.Errorf("we sent: %v", err)
		return message{}, err
	}
	m := message{t, make([]byte, n)}
	_, err = io.ReadFull(p.c, m.body)
	return m, err
}

// expect reads a message of the given type.
func (p *fakePeer) expect(want wire.MessageType) []byte {
	p.t.Helper()
	m, err := p.readMessage()
	if err != nil {
		p.t.Fatalf("want %v, connection says %v", want, err)
	}
	if m.t != want {
		if m.t == wire.TypeNotification {
			n, _ := wire.ParseNotification(m.body)
			p.t.Fatalf("want %v, got NOTIFICATION %v", want, n)
		}
		p.t.Fatalf("want %v, got %v", want, m.t)
	}
	return m.body
}

// expectNotification skips everything before a NOTIFICATION and the end.
func (p *fakePeer) expectNotification(code wire.Code, subcode uint8) wire.Notification {
	p.t.Helper()
	for {
		m, err := p.readMessage()
		if err != nil {
			p.t.Fatalf("no NOTIFICATION: %v", err)
		}
		if m.t != wire.TypeNotification {
			continue
		}
		n, err := wire.ParseNotification(m.body)
		if err != nil || n.Code != code || n.Subcode != subcode {
			p.t.Fatalf("got %v %v, want %d/%d", n, err, code, subcode)
		}
		p.expectEnd()
		return n
	}
}

// expectEnd wants the connection to be closed without another word.
func (p *fakePeer) expectEnd() {
	p.t.Helper()
	if m, err := p.readMessage(); err == nil {
		p.t.Fatalf("got %v after the end", m.t)
	}
}

func (p *fakePeer) send(b []byte) {
	p.t.Helper()
	if _, err := p.c.Write(b); err != nil {
		p.t.Fatalf("peer cannot write: %v", err)
	}
}

func (p *fakePeer) sendKeepalive() { p.t.Helper(); p.send(wire.AppendKeepalive(nil)) }

// peerOpen is the OPEN of a router of AS 64501 that can do everything.
func peerOpen() wire.Open {
	return wire.Open{
		ASN: 64501, HoldTime: 90 * time.Second, RouterID: netip.MustParseAddr("10.0.0.1"),
		Capabilities: wire.Capabilities{
			Families: []wire.Family{wire.IPv4Unicast, wire.IPv6Unicast}, RouteRefresh: true, FourOctetAS: 64501,
			GracefulRestart: wire.GracefulRestart{Present: true, Time: 120 * time.Second},
		},
	}
}

// handshake takes the connection to Established and returns our OPEN.
func (p *fakePeer) handshake(o wire.Open) *wire.Open {
	p.t.Helper()
	ours, err := wire.ParseOpen(p.expect(wire.TypeOpen))
	if err != nil {
		p.t.Fatal(err)
	}
	p.send(o.Append(nil))
	p.expect(wire.TypeKeepalive)
	p.sendKeepalive()
	return ours
}

func (p *fakePeer) expectUpdate() *wiretest.Update {
	p.t.Helper()
	u, err := wiretest.Parse(p.expect(wire.TypeUpdate), true)
	if err != nil {
		p.t.Fatal(err)
	}
	return u
}

// expectEndOfRIB skips routes up to the markers of both families.
func (p *fakePeer) expectEndOfRIB() {
	p.t.Helper()
	for n := 0; n < 2; {
		if p.expectUpdate().EndOfRIB != 0 {
			n++
		}
	}
}

// collect reads in the background, keeping what arrives, and answers each KEEPALIVE.
func (p *fakePeer) collect() *mailbag { return p.collectAnd(true) }

// collectMute is collect without answers.
func (p *fakePeer) collectMute() *mailbag { return p.collectAnd(false) }

func (p *fakePeer) collectAnd(answer bool) *mailbag {
	m := &mailbag{}
	go func() {
		defer m.close()
		for {
			msg, err := p.readMessage()
			if err != nil {
				return
			}
			m.add(msg)
			if answer && msg.t == wire.TypeKeepalive {
				if _, err := p.c.Write(wire.AppendKeepalive(nil)); err != nil {
					return
				}
			}
		}
	}()
	return m
}

// mailbag is what a collecting peer has got.
type mailbag struct {
	mu     sync.Mutex
	msgs   []message
	times  []time.Time
	closed bool
}

func (m *mailbag) add(msg message) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.msgs, m.times = append(m.msgs, msg), append(m.times, time.Now())
}

func (m *mailbag) close() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.closed = true
}

func (m *mailbag) ended() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.closed
}

// count returns how many messages of a type there are, and when the last one came.
func (m *mailbag) count(t wire.MessageType) (n int, last time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for i, msg := range m.msgs {
		if msg.t == t {
			n, last = n+1, m.times[i]
		}
	}
	return n, last
}
