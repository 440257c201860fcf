package bfd

import (
	"net/netip"
	"testing"
	"time"
)

// sink is a sender that goes nowhere.
type sink struct{ onDevice }

func (sink) send([]byte) error { return nil }

// loaded is an engine with one session that is Up, and a packet of its peer.
func loaded(t testing.TB, auth Auth) (*Engine, *datagram, func()) {
	e := newEngine(Options{}, newMemNet().host("192.0.2.1"))
	k := Key{Peer: netip.MustParseAddr("192.0.2.2")}
	e.join(k, Params{Auth: auth}.withDefaults(), time.Now())
	m := e.members[k]
	m.tx = sink{}
	buf := make([]byte, 0, maxPacketLen)
	seq := uint32(0)
	g := &datagram{src: k.Peer, dst: netip.MustParseAddr("192.0.2.1"), ifindex: 1, ttl: maxTTL}
	say := func(s State, final bool) {
		p := peerPacket(s)
		p.YourDiscriminator, p.Final = m.session.local, final
		g.payload, g.at = p.append(buf[:0]), time.Now()
		if auth.Type != AuthNone {
			seq++
			g.payload = auth.Keys[0].sign(g.payload, auth.Type, seq)
		}
		e.receive(g)
	}
	say(Down, false)
	say(Up, false)
	say(Up, true)
	if m.session.state != Up {
		t.Fatalf("state %v", m.session.state)
	}
	return e, g, func() { say(Up, false) }
}

func TestNoAllocationsAPacket(t *testing.T) {
	for _, auth := range []Auth{{}, {Type: AuthMeticulousKeyedSHA1, Keys: []AuthKey{{1, "x"}}}} {
		e, _, receive := loaded(t, auth)
		if n := testing.AllocsPerRun(1000, receive); n != 0 {
			t.Errorf("auth %v: %v allocations a received packet", auth.Type, n)
		}
		m := e.queue[0]
		send := func() {
			e.transmit(m, false, time.Now())
			e.settle(m, output{}, time.Now())
		}
		if n := testing.AllocsPerRun(1000, send); n != 0 {
			t.Errorf("auth %v: %v allocations a sent packet", auth.Type, n)
		}
	}
}

func TestNoAllocationsInTheSocket(t *testing.T) {
	n := &kernel{ports: ports{singleHop: freePort(t)}}
	rx, err := n.listen(listenKey{})
	if err != nil {
		t.Fatal(err)
	}
	defer rx.close()
	tx, err := n.dial(Key{Peer: netip.MustParseAddr("127.0.0.1")}, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer tx.close()
	p := peerPacket(Up)
	b := p.append(nil)
	got := 0
	take := func(d *datagram) {
		if d.ttl != maxTTL || d.ifindex != 1 || d.src != netip.MustParseAddr("127.0.0.1") ||
			d.dst != netip.MustParseAddr("127.0.0.1") || len(d.payload) != headerLen || time.Since(d.at) > time.Second {
			t.Errorf("datagram %+v", *d)
		}
		got++
	}
	allocs := testing.AllocsPerRun(200, func() {
		for range 4 {
			if err := tx.send(b); err != nil {
				t.Fatal(err)
			}
		}
		if err := rx.drain(take); err != nil {
			t.Fatal(err)
		}
	})
	if allocs != 0 || got != 4*201 {
		t.Errorf("%v allocations a batch, %d packets", allocs, got)
	}
}

func BenchmarkReceive(b *testing.B) {
	e, g, _ := loaded(b, Auth{})
	b.ReportAllocs()
	for b.Loop() {
		g.at = time.Now()
		e.receive(g)
	}
}

func BenchmarkReceiveSHA1(b *testing.B) {
	_, _, receive := loaded(b, Auth{Type: AuthMeticulousKeyedSHA1, Keys: []AuthKey{{1, "x"}}})
	b.ReportAllocs()
	for b.Loop() {
		receive()
	}
}

func BenchmarkTransmit(b *testing.B) {
	e, _, _ := loaded(b, Auth{})
	m := e.queue[0]
	b.ReportAllocs()
	for b.Loop() {
		e.transmit(m, false, time.Now())
	}
}

// BenchmarkSocket is one packet through the kernel and back, in batches of 32.
func BenchmarkSocket(b *testing.B) {
	n := &kernel{ports: ports{singleHop: freePort(b)}}
	rx, err := n.listen(listenKey{})
	if err != nil {
		b.Fatal(err)
	}
	defer rx.close()
	tx, err := n.dial(Key{Peer: netip.MustParseAddr("127.0.0.1")}, 0)
	if err != nil {
		b.Fatal(err)
	}
	defer tx.close()
	p := peerPacket(Up)
	packet := p.append(nil)
	take := func(*datagram) {}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		if err := tx.send(packet); err != nil {
			b.Fatal(err)
		}
		if i%32 == 31 {
			if err := rx.drain(take); err != nil {
				b.Fatal(err)
			}
		}
	}
}
