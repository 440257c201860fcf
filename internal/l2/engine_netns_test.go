//go:build netns && linux

package l2_test

import (
	"encoding/json"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/lintel-lb/lintel/internal/l2"
	"github.com/lintel-lb/lintel/internal/l2/nstest"
	"github.com/lintel-lb/lintel/internal/links"
)

const patience = 8 * time.Second

var (
	vip4 = netip.MustParseAddr("192.0.2.100")
	vip6 = netip.MustParseAddr("2001:db8::100")
)

// start runs a watcher and an engine in the namespace.
func start(t testing.TB, ns *nstest.NS, change func(*l2.Options)) *l2.Engine {
	t.Helper()
	log := slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelDebug}))
	w := links.NewWatcher(log)
	ns.Start(w.Run)
	o := l2.Options{Log: log, Links: w}
	if change != nil {
		change(&o)
	}
	e := l2.New(o)
	ns.Start(e.Run)
	return e
}

// own desires addresses on all links.
func own(addrs ...netip.Addr) l2.Desired {
	d := l2.Desired{Addresses: map[netip.Addr]l2.Scope{}}
	for _, a := range addrs {
		d.Addresses[a] = l2.Scope{All: true}
	}
	return d
}

// expect waits until the address's state is as the condition wants it.
func expect(t testing.TB, e *l2.Engine, a netip.Addr, cond func(l2.AddressState) bool) l2.AddressState {
	t.Helper()
	var s l2.AddressState
	nstest.Eventually(t, patience, func() (bool, string) {
		s, _ = e.Address(a)
		b, _ := json.Marshal(e.Snapshot())
		return cond(s), a.String() + " in " + string(b)
	})
	return s
}

func on(names ...string) func(l2.AddressState) bool {
	return func(s l2.AddressState) bool { return slices.Equal(s.Links, names) }
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

func TestKernelResolves(t *testing.T) {
	node, client := twoHosts(t)
	e := start(t, node, nil)
	e.Set(own(vip4, vip6))
	expect(t, e, vip4, on("eth0"))
	expect(t, e, vip6, on("eth0"))
	mac := macOf(t, node, "eth0")
	for _, a := range []netip.Addr{vip4, vip6} {
		poke(t, client, a)
		expectNeighbour(t, client, a, mac, "REACHABLE", "DELAY", "STALE")
		expect(t, e, a, func(s l2.AddressState) bool {
			return s.Counters.Requests > 0 && s.Counters.Responses == s.Counters.Requests && s.Counters.Gratuitous > 0
		})
	}
}
