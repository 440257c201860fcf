//go:build netns && linux

package links_test

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/lintel-lb/lintel/internal/l2/nstest"
	"github.com/lintel-lb/lintel/internal/links"
)

func gw(address, link string, metric int) links.Gateway {
	return links.Gateway{Address: netip.MustParseAddr(address), Link: link, Metric: metric}
}

func expectGateways(t *testing.T, w *links.Watcher, want ...links.Gateway) {
	t.Helper()
	nstest.Eventually(t, patience, func() (bool, string) {
		got := w.Snapshot().Gateways
		return slices.Equal(got, want), fmt.Sprintf("gateways are %+v, want %+v", got, want)
	})
}

func TestWatcherFollowsDefaultRoutes(t *testing.T) {
	lab := nstest.New(t)
	a, b := lab.NS(), lab.NS()
	lab.Pair(a, "eth0", b, "eth0")
	a.IP("addr add 192.0.2.9/24 dev eth0")
	a.IP("addr add 2001:db8::9/64 dev eth0 nodad")
	w := watch(t, a)
	changed := w.Subscribe()
	a.IP("route add default via 192.0.2.1 metric 100")
	expectGateways(t, w, gw("192.0.2.1", "eth0", 100))
	select {
	case <-changed:
	default:
		t.Error("the change of a default route was not signalled")
	}
	a.IP("route add default via 192.0.2.2 metric 50")
	expectGateways(t, w, gw("192.0.2.2", "eth0", 50), gw("192.0.2.1", "eth0", 100))
	a.IP("route add 198.51.100.0/24 via 192.0.2.3")
	a.IP("route add default via 192.0.2.4 table 77")
	a.IP("route del default via 192.0.2.2")
	expectGateways(t, w, gw("192.0.2.1", "eth0", 100))
	a.IP("route replace default metric 100 nexthop via 192.0.2.6 nexthop via 192.0.2.5")
	expectGateways(t, w, gw("192.0.2.5", "eth0", 100), gw("192.0.2.6", "eth0", 100))
	a.IP("-6 route add default via fe80::1 dev eth0 metric 70")
	expectGateways(t, w, gw("fe80::1%eth0", "eth0", 70), gw("192.0.2.5", "eth0", 100), gw("192.0.2.6", "eth0", 100))
	// IPv4 routes go with the link, of which the kernel tells no more than that.
	a.IP("link set eth0 down")
	expectGateways(t, w)
}

// Routes of all kinds, and many, do not keep links and gateways from being seen.
func TestWatcherAmongOddRoutes(t *testing.T) {
	lab := nstest.New(t)
	a, b := lab.NS(), lab.NS()
	lab.Pair(a, "eth0", b, "eth0")
	a.IP("addr add 192.0.2.9/24 dev eth0")
	a.IP("addr add 2001:db8::9/64 dev eth0 nodad")
	routes(t, a, 10_000)
	for _, r := range []string{
		"-4 route add default via inet6 fe80::1 dev eth0 metric 300",
		"-4 route add default via inet6 fe80::2 dev eth0 metric 301",
		"route add blackhole default metric 4000",
		"route add unreachable 203.0.113.0/24",
		"route add prohibit 198.18.0.0/24",
		"-6 route add blackhole 2001:db8:1::/48",
		"-6 route add unreachable default metric 5000",
		"-6 route add default encap seg6 mode encap segs 2001:db8::7 via 2001:db8::1 dev eth0 metric 90",
		"-6 route add 2001:db8:2::/64 encap seg6local action End.DX6 nh6 fe80::7 dev eth0",
		"-6 route add 2001:db8:3::/64 encap seg6local action End.DT6 table main count dev eth0",
		"route add 198.51.100.0/24 encap ip id 7 dst 192.0.2.7 dev eth0",
		"nexthop add id 5 via 192.0.2.5 dev eth0",
		"route add default nhid 5 metric 70",
		"route add default dev eth0 metric 900",
	} {
		if out, err := a.Try("ip", strings.Fields(r)...); err != nil {
			// Some kernels lack light-weight tunnels; what is left is odd enough.
			if !strings.Contains(r, "encap") {
				t.Fatalf("ip %s: %v: %s", r, err, out)
			}
			t.Logf("left out: ip %s: %s", r, out)
		}
	}
	w := watch(t, a)
	expect(t, w, "eth0", func(l *links.Link) bool { return l.ARP() && l.NDP() })
	want := []links.Gateway{gw("192.0.2.5", "eth0", 70)}
	if strings.Contains(a.IP("-6 route show default"), "seg6") {
		want = append(want, gw("2001:db8::1", "eth0", 90))
	}
	expectGateways(t, w, want...)
	a.IP("route del default metric 70")
	expectGateways(t, w, want[1:]...)
}

// While nobody needs gateways there are none, and links are followed.
func TestWatcherWithoutGateways(t *testing.T) {
	lab := nstest.New(t)
	a, b := lab.NS(), lab.NS()
	lab.Pair(a, "eth0", b, "eth0")
	a.IP("addr add 192.0.2.9/24 dev eth0")
	a.IP("route add default via 192.0.2.1")
	w := watch(t, a)
	expectGateways(t, w, gw("192.0.2.1", "eth0", 0))
	w.NeedGateways(false)
	expectGateways(t, w)
	a.IP("link set eth0 mtu 1400")
	expect(t, w, "eth0", func(l *links.Link) bool { return l.MTU == 1400 })
	expectGateways(t, w)
	w.NeedGateways(true)
	expectGateways(t, w, gw("192.0.2.1", "eth0", 0))
}

// routes adds routes to single addresses of 10.0.0.0/8.
func routes(t testing.TB, ns *nstest.NS, n int) {
	t.Helper()
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "route add 10.%d.%d.%d/32 via 192.0.2.3 dev eth0\n", i>>16&255, i>>8&255, i&255)
	}
	file := filepath.Join(t.TempDir(), "routes")
	if err := os.WriteFile(file, []byte(b.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	ns.IP("-batch " + file)
}
