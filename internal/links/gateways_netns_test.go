//go:build netns && linux

package links_test

import (
	"fmt"
	"net/netip"
	"slices"
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
