//go:build netns && linux

package l2

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mdlayher/packet"
	"golang.org/x/sys/unix"

	"github.com/lintel-lb/lintel/internal/l2/nstest"
	"github.com/lintel-lb/lintel/internal/links"
)

const patience = 8 * time.Second

func vip4() netip.Addr { return netip.MustParseAddr("192.0.2.100") }
func vip6() netip.Addr { return netip.MustParseAddr("2001:db8::100") }

// start runs a watcher and an engine in the namespace.
func start(t testing.TB, ns *nstest.NS, change func(*Options)) *Engine {
	t.Helper()
	log := slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelDebug}))
	w := links.NewWatcher(log)
	ns.Start(w.Run)
	o := Options{Log: log, Links: w}
	if change != nil {
		change(&o)
	}
	e := New(o)
	ns.Start(e.Run)
	return e
}

// own desires addresses on all links.
func own(addrs ...netip.Addr) Desired {
	d := Desired{Addresses: map[netip.Addr]Scope{}}
	for _, a := range addrs {
		d.Addresses[a] = Scope{All: true}
	}
	return d
}

// expect waits until the address's state is as the condition wants it.
func expect(t testing.TB, e *Engine, a netip.Addr, cond func(AddressState) bool) AddressState {
	t.Helper()
	var s AddressState
	nstest.Eventually(t, patience, func() (bool, string) {
		s, _ = e.Address(a)
		b, _ := json.Marshal(e.Snapshot())
		return cond(s), a.String() + " in " + string(b)
	})
	return s
}

func on(names ...string) func(AddressState) bool {
	return func(s AddressState) bool { return slices.Equal(s.Links, names) }
}

// expectNeighbour waits until the kernel in the namespace has the address in one of the
// states, at the hardware address.
func expectNeighbour(t testing.TB, ns *nstest.NS, a netip.Addr, mac string, states ...string) {
	t.Helper()
	nstest.Eventually(t, patience, func() (bool, string) {
		out := ns.IP("neigh show " + a.String())
		ok := strings.Contains(out, "lladdr "+mac)
		return ok && slices.ContainsFunc(states, func(s string) bool { return strings.Contains(out, s) }), out
	})
}

func macOf(t testing.TB, ns *nstest.NS, link string) string {
	t.Helper()
	f := strings.Fields(ns.IP("-o link show dev " + link))
	return f[slices.Index(f, "link/ether")+1]
}

// poke makes the kernel resolve the address; there is nobody to talk to behind it.
func poke(t testing.TB, ns *nstest.NS, a netip.Addr) {
	t.Helper()
	err := ns.Do(func() error {
		c, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(netip.AddrPortFrom(a, 9)))
		if err != nil {
			return err
		}
		defer c.Close()
		_, err = c.Write([]byte("poke"))
		return err
	})
	// Where an earlier attempt has not been answered the kernel reports that here.
	if err != nil && !errors.Is(err, unix.EHOSTUNREACH) {
		t.Fatal(err)
	}
}

// twoHosts is a node and a client on one wire. The node has no address of the client's
// subnets.
func twoHosts(t testing.TB) (node, client *nstest.NS) {
	lab := nstest.New(t)
	node, client = lab.NS(), lab.NS()
	lab.Pair(node, "eth0", client, "eth0")
	client.IP("addr add 192.0.2.1/24 dev eth0")
	client.IP("addr add 2001:db8::1/64 dev eth0 nodad")
	return node, client
}

// wire is a packet socket on a link of a client, for frames that no kernel sends.
type wire struct {
	t    testing.TB
	conn *packet.Conn
	mac  links.MAC
}

func openWire(t testing.TB, ns *nstest.NS, link string, etherType int) *wire {
	t.Helper()
	w := &wire{t: t}
	err := ns.Do(func() error {
		ifi, err := net.InterfaceByName(link)
		if err != nil {
			return err
		}
		w.mac = links.MACFrom(ifi.HardwareAddr)
		w.conn, err = packet.Listen(ifi, packet.Raw, etherType, nil)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = w.conn.Close() })
	return w
}

func (w *wire) send(frame []byte) {
	w.t.Helper()
	if err := w.conn.SetDeadline(time.Now().Add(patience)); err != nil {
		w.t.Fatal(err)
	}
	if _, err := w.conn.WriteTo(frame, &packet.Addr{HardwareAddr: frame[:6]}); err != nil {
		w.t.Fatal(err)
	}
}

// await returns the first frame received that the condition takes.
func (w *wire) await(what string, cond func([]byte) bool) {
	w.t.Helper()
	if err := w.conn.SetDeadline(time.Now().Add(patience)); err != nil {
		w.t.Fatal(err)
	}
	buf := make([]byte, frameBuffer)
	for {
		n, _, err := w.conn.ReadFrom(buf)
		if err != nil {
			w.t.Fatalf("waiting for %s: %v", what, err)
		}
		if cond(buf[:n]) {
			return
		}
	}
}

// capture is what tcpdump prints about a link.
type capture struct {
	mu  sync.Mutex
	out bytes.Buffer
}

func (c *capture) Write(b []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.out.Write(b)
}

func (c *capture) String() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.out.String()
}

// expect waits for a line with all of the parts.
func (c *capture) expect(t testing.TB, parts ...string) {
	t.Helper()
	nstest.Eventually(t, patience, func() (bool, string) {
		for line := range strings.Lines(c.String()) {
			if !slices.ContainsFunc(parts, func(p string) bool { return !strings.Contains(line, p) }) {
				return true, ""
			}
		}
		return false, fmt.Sprintf("no line with %q in\n%s", parts, c)
	})
}

// tcpdump captures until the test ends, and returns once it does so.
func tcpdump(t testing.TB, ns *nstest.NS, link, filter string) *capture {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	c := &capture{}
	cmd := ns.Cmd(ctx, "tcpdump", "-l", "-n", "-e", "-v", "--immediate-mode", "-i", link, filter)
	cmd.Stdout, cmd.Stderr = c, c
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cancel(); _ = cmd.Wait() })
	c.expect(t, "listening on "+link)
	return c
}
