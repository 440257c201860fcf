//go:build netns && linux

package links_test

import (
	"fmt"
	"log/slog"
	"net/netip"
	"testing"
	"time"

	"github.com/lintel-lb/lintel/internal/l2/nstest"
	"github.com/lintel-lb/lintel/internal/links"
)

const patience = 5 * time.Second

// watch starts a Watcher in the namespace.
func watch(t *testing.T, ns *nstest.NS) *links.Watcher {
	t.Helper()
	w := links.NewWatcher(slog.New(slog.DiscardHandler))
	ns.Start(w.Run)
	return w
}

// expect waits until the link is as the condition wants it.
func expect(t *testing.T, w *links.Watcher, name string, cond func(l *links.Link) bool) {
	t.Helper()
	nstest.Eventually(t, patience, func() (bool, string) {
		l, ok := w.Snapshot().ByName(name)
		if !ok {
			return false, fmt.Sprintf("%s is not in %+v", name, w.Snapshot().Links)
		}
		return cond(l), fmt.Sprintf("%+v", *l)
	})
}

func expectGone(t *testing.T, w *links.Watcher, name string) {
	t.Helper()
	nstest.Eventually(t, patience, func() (bool, string) {
		_, ok := w.Snapshot().ByName(name)
		return !ok, name + " is still there"
	})
}

func TestWatcherFollowsOneLink(t *testing.T) {
	lab := nstest.New(t)
	a, b := lab.NS(), lab.NS()
	w := watch(t, a)
	expect(t, w, "lo", func(l *links.Link) bool { return l.Loopback && l.Up && !l.ARP() && !l.NDP() })

	a.IP("link add eth0 type veth peer name eth0 netns " + b.Name)
	expect(t, w, "eth0", func(l *links.Link) bool {
		return l.Type == "veth" && !l.Up && l.MAC.IsUnicast() && l.MTU == 1500 && l.Broadcast
	})
	a.IP("link set eth0 up")
	expect(t, w, "eth0", func(l *links.Link) bool { return !l.Up }) // the peer is down
	b.IP("link set eth0 up")
	expect(t, w, "eth0", func(l *links.Link) bool { return l.Up && l.Carrier && l.ARP() })
	expect(t, w, "eth0", func(l *links.Link) bool { return l.LinkLocal6.IsValid() && l.NDP() })

	p4, p6 := netip.MustParsePrefix("192.0.2.1/24"), netip.MustParsePrefix("2001:db8::1/64")
	has := func(p netip.Prefix) func(*links.Link) bool {
		return func(l *links.Link) bool {
			for _, q := range l.Prefixes {
				if p == q {
					return true
				}
			}
			return false
		}
	}
	a.IP("addr add " + p4.String() + " dev eth0")
	expect(t, w, "eth0", has(p4))
	a.IP("addr add " + p6.String() + " dev eth0")
	expect(t, w, "eth0", has(p6)) // once duplicate address detection is through
	a.IP("addr del " + p4.String() + " dev eth0")
	expect(t, w, "eth0", func(l *links.Link) bool { return !has(p4)(l) && has(p6)(l) })

	b.IP("link set eth0 down")
	expect(t, w, "eth0", func(l *links.Link) bool { return !l.Up && !l.Carrier })
	b.IP("link set eth0 up")
	expect(t, w, "eth0", func(l *links.Link) bool { return l.Up && l.Carrier })

	a.IP("link set eth0 address 02:00:00:00:00:77")
	expect(t, w, "eth0", func(l *links.Link) bool { return l.MAC == links.MAC{2, 0, 0, 0, 0, 0x77} })
	a.IP("link set eth0 arp off")
	expect(t, w, "eth0", func(l *links.Link) bool { return l.NoARP && !l.ARP() && !l.NDP() })
	a.Sysctl("net.ipv6.conf.eth0.disable_ipv6=1")
	expect(t, w, "eth0", func(l *links.Link) bool { return !l.LinkLocal6.IsValid() })

	a.IP("link del eth0")
	expectGone(t, w, "eth0")
}

func TestWatcherSeesDuplicateLinkLocal(t *testing.T) {
	lab := nstest.New(t)
	a, b := lab.NS(), lab.NS()
	w := watch(t, a)
	lab.Pair(a, "eth0", b, "eth0")
	expect(t, w, "eth0", func(l *links.Link) bool { return l.LinkLocal6.IsValid() })
	b.IP("addr add fe80::77/64 dev eth0 nodad")
	a.IP("addr flush dev eth0 scope link")
	expect(t, w, "eth0", func(l *links.Link) bool { return !l.LinkLocal6.IsValid() })
	a.IP("addr add fe80::77/64 dev eth0")
	nstest.Eventually(t, patience, func() (bool, string) {
		out := a.IP("-6 addr show dev eth0 dadfailed")
		return out != "", "duplicate address detection has not failed: " + out
	})
	if l, ok := w.Snapshot().ByName("eth0"); !ok || l.LinkLocal6.IsValid() {
		t.Errorf("a failed link-local address is called usable: %+v", l)
	}
}

func TestWatcherSeesMasters(t *testing.T) {
	lab := nstest.New(t)
	a, b := lab.NS(), lab.NS()
	lab.Pair(a, "eth0", b, "eth0")
	w := watch(t, a)
	a.IP("link add br0 type bridge")
	a.IP("link set br0 up")
	expect(t, w, "br0", func(l *links.Link) bool { return l.Type == "bridge" && l.Master == 0 })
	a.IP("link set eth0 master br0")
	br, _ := w.Snapshot().ByName("br0")
	expect(t, w, "eth0", func(l *links.Link) bool {
		ok, why := links.Eligible(l, nil)
		return l.Master == br.Index && !ok && why == links.Enslaved
	})
	expect(t, w, "br0", func(l *links.Link) bool { return l.Up && l.ARP() })
	a.IP("link set eth0 nomaster")
	expect(t, w, "eth0", func(l *links.Link) bool { return l.Master == 0 })

	a.IP("link add mv0 link eth0 type macvlan mode bridge")
	a.IP("link set mv0 up")
	expect(t, w, "mv0", func(l *links.Link) bool { return l.Type == "macvlan" && l.Up && l.ARP() })
}

// A burst of changes ends in the right state, and in few signals.
func TestWatcherGathersEvents(t *testing.T) {
	lab := nstest.New(t)
	a := lab.NS()
	w := watch(t, a)
	changed := w.Subscribe()
	for i := range 50 {
		a.IP(fmt.Sprintf("link add p%d type veth peer name q%d", i, i))
	}
	expect(t, w, "q49", func(*links.Link) bool { return true })
	if n := len(w.Snapshot().Links); n != 101 {
		t.Errorf("%d links, want 101", n)
	}
	select {
	case <-changed:
	case <-time.After(patience):
		t.Error("no signal for a change")
	}
	for i := range 50 {
		a.IP(fmt.Sprintf("link del p%d", i))
	}
	expectGone(t, w, "q49")
	nstest.Eventually(t, patience, func() (bool, string) {
		return len(w.Snapshot().Links) == 1, fmt.Sprint(len(w.Snapshot().Links), " links")
	})
}
