package bfd

import (
	"fmt"
	"net/netip"
	"sync"
	"time"
)

// memNet is a network in memory for engines in one process. Packets arrive after the delay, in
// order, unless the filter drops them.
type memNet struct {
	mu    sync.Mutex
	hosts map[netip.Addr]*memHost
	delay time.Duration

	// pass decides about each packet; nil passes all. It sees the time of sending.
	pass func(from, to netip.Addr, b []byte) bool

	sent []sentPacket // all that was sent, also what was dropped
}

type sentPacket struct {
	from netip.Addr
	at   time.Time
	Packet
}

func newMemNet() *memNet { return &memNet{hosts: map[netip.Addr]*memHost{}} }

// memHost is a network for one engine with one address.
type memHost struct {
	net    *memNet
	addr   netip.Addr
	ttl    int   // of what it sends, as it arrives
	refuse error // what listen fails with

	receivers map[listenKey]*memReceiver
	woken     chan struct{}
}

func (h *memHost) begin() error { return nil }
func (h *memHost) end()         {}

func (h *memHost) poke() {
	select {
	case h.woken <- struct{}{}:
	default:
	}
}

func (h *memHost) wait(until time.Time) (all []receiver) {
	var due <-chan time.Time
	if !until.IsZero() {
		t := time.NewTimer(time.Until(until))
		defer t.Stop()
		due = t.C
	}
	select {
	case <-h.woken:
	case <-due:
	}
	h.net.mu.Lock()
	defer h.net.mu.Unlock()
	for _, r := range h.receivers {
		all = append(all, r)
	}
	return all
}

func (n *memNet) host(addr string) *memHost {
	h := &memHost{net: n, addr: netip.MustParseAddr(addr), ttl: maxTTL, receivers: map[listenKey]*memReceiver{}, woken: make(chan struct{}, 1)}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.hosts[h.addr] = h
	return h
}

func (n *memNet) setPass(f func(from, to netip.Addr, b []byte) bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.pass = f
}

// taken returns and forgets what was sent.
func (n *memNet) taken() []sentPacket {
	n.mu.Lock()
	defer n.mu.Unlock()
	s := n.sent
	n.sent = nil
	return s
}

func (h *memHost) listen(k listenKey) (receiver, error) {
	h.net.mu.Lock()
	defer h.net.mu.Unlock()
	if h.refuse != nil {
		return nil, h.refuse
	}
	r := &memReceiver{host: h, key: k}
	h.receivers[k] = r
	return r, nil
}

func (h *memHost) dial(k Key, port uint16) (sender, error) {
	return &memSender{host: h, key: k}, nil
}

func (h *memHost) dialEcho(k Key, _ netip.Addr, _ int) (sender, error) {
	return &memSender{host: h, key: k, echo: true}, nil
}

func (h *memHost) forwards(Key) bool { return true }

type memSender struct {
	host *memHost
	key  Key
	echo bool
}

func (s *memSender) port() uint16 { return firstMemPort }
func (s *memSender) ifindex() int { return 1 }
func (s *memSender) close() error { return nil }

const firstMemPort = 50000

// send brings the packet to the peer, and an echo packet by way of the peer back to the sender.
func (s *memSender) send(b []byte) error {
	n := s.host.net
	n.mu.Lock()
	defer n.mu.Unlock()
	now := time.Now()
	peer := n.hosts[s.key.Peer]
	target, k := peer, listenKey{channel: s.key.channel(), v6: s.key.Peer.Is6(), vrf: s.key.VRF}
	if s.echo {
		target, k = s.host, listenKey{channel: echo, ifindex: 1}
	} else {
		var p Packet
		if err := p.decode(b); err != nil {
			return fmt.Errorf("engine sends %x: %w", b, err)
		}
		n.sent = append(n.sent, sentPacket{s.host.addr, now, p})
	}
	if peer == nil || n.pass != nil && !n.pass(s.host.addr, s.key.Peer, b) {
		return nil
	}
	if r := target.receivers[k]; r != nil {
		r.queue = append(r.queue, memDatagram{s.host.addr, append([]byte(nil), b...), now.Add(n.delay), s.host.ttl})
		time.AfterFunc(n.delay, target.poke)
	}
	return nil
}

type memDatagram struct {
	src     netip.Addr
	payload []byte
	at      time.Time
	ttl     int
}

type memReceiver struct {
	host  *memHost
	key   listenKey
	queue []memDatagram
}

func (r *memReceiver) drain(take func(*datagram)) error {
	for {
		r.host.net.mu.Lock()
		if len(r.queue) == 0 || r.queue[0].at.After(time.Now()) {
			r.host.net.mu.Unlock()
			return nil
		}
		d := r.queue[0]
		r.queue = r.queue[1:]
		r.host.net.mu.Unlock()
		take(&datagram{channel: r.key.channel, vrf: r.key.vrf, src: d.src, dst: r.host.addr, ifindex: 1,
			ttl: d.ttl, at: d.at, payload: d.payload})
	}
}

func (r *memReceiver) close() error {
	r.host.net.mu.Lock()
	defer r.host.net.mu.Unlock()
	if r.host.receivers[r.key] == r {
		delete(r.host.receivers, r.key)
	}
	return nil
}
