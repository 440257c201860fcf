package bgp

import (
	"context"
	"log/slog"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// waitStatus waits for a status of the only peer on a real network.
func waitStatus(t *testing.T, e *Engine, ok func(Status) bool) Status {
	t.Helper()
	changed := e.Subscribe()
	deadline := time.After(20 * time.Second)
	for {
		st := e.Snapshot()["tor"]
		if ok(st) {
			return st
		}
		select {
		case <-changed:
		case <-deadline:
			t.Fatalf("waited in vain: %v, %q", st.State, st.LastError)
		}
	}
}

func startEngine(t *testing.T, d Desired) *Engine {
	e := New(Options{Log: slog.New(slog.DiscardHandler)})
	e.Set(d)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- e.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		<-done
	})
	return e
}

func freePort(t *testing.T, a string) uint16 {
	t.Helper()
	l, err := net.Listen("tcp", a+":0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return netip.MustParseAddrPort(l.Addr().String()).Port()
}

// Two engines over the kernel's TCP, with a key and TTL security, which changes on both.
func TestKernelSockets(t *testing.T) {
	port := freePort(t, "127.0.0.2")
	a, b := netip.MustParseAddr("127.0.0.3"), netip.MustParseAddr("127.0.0.2")
	dial, listen := testConfig(), testConfig()
	dial.PeerAddress, dial.Source, dial.Port, dial.Connect = b, a, port, 200*time.Millisecond
	listen.PeerAddress, listen.Source, listen.ListenPort, listen.Mode = a, b, port, ModePassive
	listen.LocalASN, listen.PeerASN, listen.RouterID = 64501, ExactAS(64500), netip.MustParseAddr("10.0.0.9")
	for _, c := range []*SessionConfig{&dial, &listen} {
		c.Password, c.SecurityHops = "one", 1
	}
	routes := map[netip.Prefix]Attributes{vip: {}}
	d, l := startEngine(t, onePeer(dial, routes)), startEngine(t, onePeer(listen, nil))
	up := func(n uint64) func(Status) bool {
		return func(st Status) bool { return st.State == StateEstablished && st.Established >= n }
	}
	waitStatus(t, d, up(1))
	waitStatus(t, l, func(st Status) bool { return l.Snapshot()["tor"].Received.Updates > 0 || st.State == StateEstablished })
	dial.Password = "two"
	d.Set(onePeer(dial, routes))
	waitStatus(t, d, func(st Status) bool { return strings.Contains(st.LastError, "no answer") })
	listen.Password = "two"
	l.Set(onePeer(listen, nil))
	waitStatus(t, d, up(2))
	waitStatus(t, l, up(2))
	// Without TTL security on one side the other does not hear it. What the dialling side sends
	// before the accepted socket has its minimum may still be read, so that it may see an OPEN.
	dial.SecurityHops = 0
	d.Set(onePeer(dial, routes))
	waitStatus(t, l, func(st Status) bool { return st.State != StateEstablished })
	heard := l.Snapshot()["tor"].Established
	waitStatus(t, d, func(st Status) bool { return st.Sent.Opens > 0 && st.State >= StateOpenSent || st.LastError != "" })
	if again := l.Snapshot()["tor"].Established; again != heard {
		t.Errorf("a session without TTL security was established")
	}
}

// The TTL that a shared listener needs for GTSM does not stay on sessions without it.
func TestAcceptedTTL(t *testing.T) {
	tr := SystemTransport{}
	ln, _, err := tr.Listen(t.Context(), netip.MustParseAddrPort("127.0.0.1:0"), SocketOptions{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	at := ln.(*systemListener).Addr().(*net.TCPAddr).AddrPort()
	for _, tt := range []struct {
		o           SocketOptions
		ttl, minTTL int
	}{{SocketOptions{}, 64, 0}, {SocketOptions{TTL: 7}, 7, 0}, {SocketOptions{TTL: 255, MinTTL: 254}, 255, 254}} {
		c, err := tr.Dial(t.Context(), netip.Addr{}, at, SocketOptions{})
		if err != nil {
			t.Fatal(err)
		}
		in, err := ln.Accept()
		if err != nil {
			t.Fatal(err)
		}
		if err := tr.Accepted(in, tt.o); err != nil {
			t.Fatal(err)
		}
		raw, _ := in.(*net.TCPConn).SyscallConn()
		_ = raw.Control(func(fd uintptr) {
			ttl, _ := unix.GetsockoptInt(int(fd), unix.IPPROTO_IP, unix.IP_TTL)
			minTTL, _ := unix.GetsockoptInt(int(fd), unix.IPPROTO_IP, unix.IP_MINTTL)
			if ttl != tt.ttl || minTTL != tt.minTTL {
				t.Errorf("%+v: TTL %d, minimum %d", tt.o, ttl, minTTL)
			}
		})
		c.Close()
		in.Close()
	}
}

func TestDialErrorsNameTheCause(t *testing.T) {
	tr := SystemTransport{}
	_, err := tr.Dial(t.Context(), netip.MustParseAddr("192.0.2.77"), netip.MustParseAddrPort("192.0.2.1:179"), SocketOptions{})
	if err == nil || !strings.Contains(err.Error(), "source 192.0.2.77 is not an address of this node") {
		t.Errorf("got %v", err)
	}
	_, err = tr.Dial(t.Context(), netip.Addr{}, netip.MustParseAddrPort("127.0.0.1:179"), SocketOptions{Device: "no-such-vrf"})
	if err == nil || !strings.Contains(err.Error(), "bind to device no-such-vrf") {
		t.Errorf("got %v", err)
	}
}

func TestOtherFamily(t *testing.T) {
	list := func(s ...string) (out []netip.Addr) {
		for _, a := range s {
			out = append(out, netip.MustParseAddr(a))
		}
		return out
	}
	for _, tt := range []struct {
		local string
		addrs []netip.Addr
		want  string
	}{
		{"192.0.2.1", list("192.0.2.1", "fe80::1", "2001:db8::1"), "2001:db8::1"},
		{"192.0.2.1", list("192.0.2.1", "fe80::1"), "invalid IP"},
		{"2001:db8::1", list("2001:db8::1", "192.0.2.1"), "192.0.2.1"},
		{"192.0.2.1", list("192.0.2.1", "192.0.2.2"), "invalid IP"},
		{"127.0.0.1", list("127.0.0.1", "::1"), "::1"},
	} {
		if got := otherFamily(netip.MustParseAddr(tt.local), tt.addrs); got.String() != tt.want {
			t.Errorf("%s with %v: got %v, want %s", tt.local, tt.addrs, got, tt.want)
		}
	}
}

// A peer that keeps its side alive but reads nothing, over the kernel's TCP: the session
// ends after the send hold time, and changes meanwhile are not held up.
func TestKernelPeerStopsReading(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	c := testConfig()
	at := netip.MustParseAddrPort(ln.Addr().String())
	c.PeerAddress, c.Port, c.SendHold, c.Families = at.Addr(), at.Port(), time.Second, IPv4
	routes := map[netip.Prefix]Attributes{}
	for i, p := range prefixList(60_000) {
		routes[p] = Attributes{MED: Some(uint32(i))}
	}
	e := startEngine(t, onePeer(c, routes))
	nc, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	p := &fakePeer{t: t, c: nc}
	p.handshake(peerOpen())
	waitStatus(t, e, func(st Status) bool { return st.State == StateEstablished })
	start := time.Now()
	st := waitStatus(t, e, func(st Status) bool { return st.State != StateEstablished })
	if d := time.Since(start); !strings.Contains(st.LastError, "send hold timer expired") || d > 5*time.Second {
		t.Errorf("%q after %v", st.LastError, d)
	}
}
