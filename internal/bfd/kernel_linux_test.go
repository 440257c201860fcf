package bfd

import (
	"context"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"
)

// loopback runs one engine that has a session with itself over the loopback interface, at both ends,
// through real sockets. It needs no rights.
func loopback(t testing.TB, a, b netip.Addr, p Params) (e *Engine, ka, kb Key) {
	t.Helper()
	e = New(Options{SingleHopPort: freePort(t), MultiHopPort: freePort(t), EchoPort: freePort(t)})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- e.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	ka, kb = Key{Peer: b, Local: a, Interface: "lo"}, Key{Peer: a, Local: b, Interface: "lo"}
	if err := e.Set(map[Key]Params{ka: p, kb: p}); err != nil {
		t.Fatal(err)
	}
	return e, ka, kb
}

// freePort finds a port that nothing uses now.
func freePort(t testing.TB) uint16 {
	t.Helper()
	c, err := net.ListenUDP("udp", &net.UDPAddr{})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	return uint16(c.LocalAddr().(*net.UDPAddr).Port)
}

// until waits for the condition at each change of the engine.
func until(t testing.TB, e *Engine, cond func(Snapshot) bool) Snapshot {
	t.Helper()
	deadline := time.After(15 * time.Second)
	for {
		s := e.Snapshot()
		if cond(s) {
			return s
		}
		select {
		case <-e.Changed():
		case <-deadline:
			t.Fatalf("in vain: %+v", s)
		}
	}
}

func allUp(keys ...Key) func(Snapshot) bool {
	return func(s Snapshot) bool {
		for _, k := range keys {
			if s.Sessions[k].State != Up {
				return false
			}
		}
		return true
	}
}

func TestKernelSockets(t *testing.T) {
	e, a, b := loopback(t, netip.MustParseAddr("127.0.0.2"), netip.MustParseAddr("127.0.0.3"),
		Params{TransmitInterval: 20 * ms, ReceiveInterval: 20 * ms, Auth: Auth{
			Type: AuthMeticulousKeyedSHA1, Keys: []AuthKey{{ID: 1, Secret: "loop"}}}})
	until(t, e, allUp(a, b))
	s := until(t, e, func(s Snapshot) bool {
		return s.Sessions[a].DetectionTime == 60*ms && s.Sessions[b].DetectionTime == 60*ms
	})
	if s.Discards.TTL+s.Discards.Malformed+s.Discards.Auth != 0 {
		t.Errorf("discards %+v", s.Discards)
	}
}

func TestKernelSaysWhyASessionHasNoSocket(t *testing.T) {
	c, err := net.ListenUDP("udp4", &net.UDPAddr{})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	e := New(Options{SingleHopPort: uint16(c.LocalAddr().(*net.UDPAddr).Port)})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- e.Run(ctx) }()
	defer func() { cancel(); <-done }()
	taken := Key{Peer: netip.MustParseAddr("127.0.0.2")}
	missing := Key{Peer: netip.MustParseAddr("fe80::1"), Interface: "nosuch0"}
	strange := Key{Peer: netip.MustParseAddr("127.0.0.3"), Local: netip.MustParseAddr("203.0.113.7"), MultiHop: true}
	if err := e.Set(map[Key]Params{taken: {}, missing: {}, strange: {}}); err != nil {
		t.Fatal(err)
	}
	s := until(t, e, func(s Snapshot) bool { return len(s.Sessions) == 3 })
	for k, want := range map[Key]string{
		taken:   "address already in use: stop the other BFD daemon on this node",
		missing: "interface nosuch0",
		strange: "bind to 203.0.113.7: cannot assign requested address",
	} {
		if got := s.Sessions[k].Error; !strings.Contains(got, want) {
			t.Errorf("%v: error %q, want %q", k, got, want)
		}
	}
}

// Packets that come in as fast as they are read do not keep the engine from its timers.
func TestFloodEndsADrain(t *testing.T) {
	n := newNetwork(ports{singleHop: freePort(t)}).(*kernel)
	r, err := n.listen(listenKey{channel: singleHop})
	if err != nil {
		t.Fatal(err)
	}
	defer r.close()
	c, err := net.Dial("udp4", netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), n.ports.singleHop).String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	send := func() {
		if _, err := c.Write([]byte{0}); err != nil {
			t.Error(err)
		}
	}
	for range 2 * batch {
		send()
	}
	taken := 0
	if err := r.drain(func(*datagram) {
		if taken++; taken < 100*drainLimit*batch {
			send()
		}
	}); err != nil {
		t.Fatal(err)
	}
	if taken < drainLimit*batch || taken > 2*drainLimit*batch {
		t.Errorf("%d packets in one drain", taken)
	}
}
