//go:build netns && linux

package l2

import (
	"context"
	"log/slog"
	"maps"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/lintel-lb/lintel/internal/l2/nstest"
	"github.com/lintel-lb/lintel/internal/links"
)

// A link that appears after the address is announced on, joins the groups and answers.
func TestLinkArrivesAndLeaves(t *testing.T) {
	lab := nstest.New(t)
	node, client := lab.NS(), lab.NS()
	e := start(t, node, nil)
	e.Set(own(vip4(), vip6()))
	expect(t, e, vip4(), func(s AddressState) bool {
		return cmp.Equal(s.Problems, []Problem{{Reason: NoUsableLink}})
	})

	for _, link := range []string{"eth0", "eth1"} {
		// The client's end is up first, so that nothing sent at the start is missed.
		client.IP("link add " + link + " type veth peer name " + link + " netns " + node.Name)
		client.IP("link set " + link + " up")
		dump := tcpdump(t, client, link, "arp or icmp6")
		node.IP("link set " + link + " up")
		mac := macOf(t, node, link)
		dump.expect(t, mac+" > ff:ff:ff:ff:ff:ff", "Request who-has "+vip4().String(), "tell "+vip4().String())
		dump.expect(t, mac+" > ff:ff:ff:ff:ff:ff", "Reply "+vip4().String()+" is-at "+mac)
		dump.expect(t, mac+" > 33:33:00:00:00:01", "hlim 255", "> ff02::1", "[icmp6 sum ok]",
			"neighbor advertisement", "tgt is "+vip6().String(), "Flags [override]")
		expect(t, e, vip6(), func(s AddressState) bool { return slices.Contains(s.Links, link) })
		nstest.Eventually(t, patience, func() (bool, string) {
			out := node.IP("maddr show dev " + link)
			return strings.Contains(out, "ff02::1:ff00:100"), out
		})
	}
	expect(t, e, vip4(), on("eth0", "eth1"))
	client.IP("addr add 192.0.2.1/24 dev eth1")
	client.IP("addr add 2001:db8::1/64 dev eth1 nodad")
	for _, a := range []netip.Addr{vip4(), vip6()} {
		poke(t, client, a)
		expectNeighbour(t, client, a, macOf(t, node, "eth1"), "REACHABLE", "DELAY", "STALE")
	}

	node.IP("link del eth0")
	expect(t, e, vip4(), on("eth1"))
	expect(t, e, vip6(), on("eth1"))
	node.IP("link del eth1")
	expect(t, e, vip4(), func(s AddressState) bool { return len(s.Links) == 0 && len(s.Problems) == 1 })
}

func TestLinkFlapsAndChanges(t *testing.T) {
	node, client := twoHosts(t)
	e := start(t, node, nil)
	e.Set(own(vip4(), vip6()))
	expect(t, e, vip6(), on("eth0"))
	poke(t, client, vip4())
	poke(t, client, vip6())

	client.IP("link set eth0 down")
	expect(t, e, vip4(), on())
	expect(t, e, vip6(), on())
	client.IP("link set eth0 up")
	expect(t, e, vip4(), on("eth0"))
	expect(t, e, vip6(), on("eth0"))

	// Neighbours that know the old hardware address learn the new one unasked.
	client.IP("addr replace 2001:db8::1/64 dev eth0 nodad")
	for _, a := range []netip.Addr{vip4(), vip6()} {
		poke(t, client, a)
		expectNeighbour(t, client, a, macOf(t, node, "eth0"), "REACHABLE", "DELAY", "STALE")
	}
	node.IP("link set eth0 address 02:00:00:00:00:77")
	for _, a := range []netip.Addr{vip4(), vip6()} {
		expectNeighbour(t, client, a, "02:00:00:00:00:77", "STALE", "DELAY", "REACHABLE", "PROBE")
	}

	node.Sysctl("net.ipv6.conf.eth0.disable_ipv6=1")
	expect(t, e, vip6(), func(s AddressState) bool { return cmp.Equal(s.Problems, []Problem{{Reason: NoUsableLink}}) })
	expect(t, e, vip4(), on("eth0"))
	node.Sysctl("net.ipv6.conf.eth0.disable_ipv6=0")
	expect(t, e, vip6(), on("eth0"))
	client.IP("neigh flush all")
	poke(t, client, vip6())
	expectNeighbour(t, client, vip6(), "02:00:00:00:00:77", "REACHABLE", "DELAY", "STALE")
}

func TestBridge(t *testing.T) {
	node, client := twoHosts(t)
	node.IP("link add br0 type bridge")
	node.IP("link set br0 address 02:00:00:00:00:b0")
	node.IP("link set eth0 master br0")
	node.IP("link set br0 up")
	e := start(t, node, nil)
	d := own(vip4(), vip6())
	port := netip.MustParseAddr("192.0.2.101")
	d.Addresses[port] = Scope{Links: []string{"eth0"}}
	e.Set(d)
	for _, a := range []netip.Addr{vip4(), vip6()} {
		expect(t, e, a, on("br0"))
		poke(t, client, a)
		expectNeighbour(t, client, a, "02:00:00:00:00:b0", "REACHABLE", "DELAY", "STALE")
	}
	expect(t, e, port, func(s AddressState) bool {
		return cmp.Equal(s.Problems, []Problem{{Reason: NoUsableLink}, {Link: "eth0", Reason: LinkEnslaved}})
	})
}

func TestMacvlan(t *testing.T) {
	node, client := twoHosts(t)
	node.IP("link add mv0 link eth0 type macvlan mode bridge")
	node.IP("link set mv0 up")
	e := start(t, node, nil)
	e.Set(Desired{Addresses: map[netip.Addr]Scope{
		vip4(): {Links: []string{"mv0"}}, vip6(): {Links: []string{"mv0"}},
	}})
	for _, a := range []netip.Addr{vip4(), vip6()} {
		expect(t, e, a, on("mv0"))
		poke(t, client, a)
		expectNeighbour(t, client, a, macOf(t, node, "mv0"), "REACHABLE", "DELAY", "STALE")
	}
	// eth0 hears what mv0 sends, and must not take it for another's claim.
	e.Set(own(vip4(), vip6()))
	for _, a := range []netip.Addr{vip4(), vip6()} {
		s := expect(t, e, a, func(s AddressState) bool { return len(s.Links) == 2 && s.Counters.Gratuitous >= 4 })
		if s.Conflict != nil {
			t.Errorf("%s: %+v, but that is this host", a, s.Conflict)
		}
	}
}

func TestScopeAndExclusion(t *testing.T) {
	lab := nstest.New(t)
	node, client := lab.NS(), lab.NS()
	lab.Pair(node, "eth0", client, "eth0")
	lab.Pair(node, "veth1", client, "eth1")
	e := start(t, node, func(o *Options) { o.Exclude = []*regexp.Regexp{regexp.MustCompile("^veth.*")} })
	late := netip.MustParseAddr("192.0.2.102")
	e.Set(Desired{Addresses: map[netip.Addr]Scope{
		vip4(): {All: true},
		vip6(): {Links: []string{"veth1", "eth0"}},
		late:   {Links: []string{"eth9"}},
	}})
	expect(t, e, vip4(), func(s AddressState) bool { return on("eth0")(s) && len(s.Problems) == 0 })
	expect(t, e, vip6(), func(s AddressState) bool {
		return on("eth0")(s) && cmp.Equal(s.Problems, []Problem{{Link: "veth1", Reason: LinkExcluded}})
	})
	expect(t, e, late, func(s AddressState) bool {
		return cmp.Equal(s.Problems, []Problem{{Reason: NoUsableLink}, {Link: "eth9", Reason: LinkMissing}})
	})
	lab.Pair(node, "eth9", client, "eth9")
	expect(t, e, late, func(s AddressState) bool { return on("eth9")(s) && len(s.Problems) == 0 })
}

// TestFailedSocketLeavesNoRounds has a socket fail: the rounds of the one that replaces it are all
// that is left.
func TestFailedSocketLeavesNoRounds(t *testing.T) {
	node, _ := twoHosts(t)
	watcher := links.NewWatcher(slog.New(slog.DiscardHandler))
	node.Start(watcher.Run)
	nstest.Eventually(t, patience, func() (bool, string) {
		l, ok := watcher.Snapshot().ByName("eth0")
		return ok && l.Up, "eth0"
	})
	e := New(Options{Log: slog.New(slog.DiscardHandler), Links: watcher})
	ctx, cancel := context.WithCancel(t.Context())
	paced := make(chan struct{})
	go func() { defer close(paced); e.pacer.run(ctx) }()
	w := newWorker(e, ctx)
	e.Set(own(netip.MustParseAddr(addr4(1)), netip.MustParseAddr(addr4(2))))
	if err := node.Do(func() error {
		w.reconcile()
		for _, m := range maps.Clone(w.ports) {
			w.lose(m.port)
		}
		w.reconcile()
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	cancel()
	<-paced
	w.close()
	if n := len(e.pacer.schedule.items); n != 2 {
		t.Errorf("%d rounds are planned for two addresses on one link", n)
	}
}
