//go:build netns && linux

package l2

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/lintel-lb/lintel/internal/l2/nstest"
	"github.com/lintel-lb/lintel/internal/links"
)

// applied waits until the version is in force.
func applied(t testing.TB, e *Engine, version uint64) {
	t.Helper()
	nstest.Eventually(t, 60*time.Second, func() (bool, string) {
		a := e.Snapshot().Applied
		return a >= version, fmt.Sprintf("applied %d of %d", a, version)
	})
}

func TestUnchangedSetIsNotAnnouncedAgain(t *testing.T) {
	node, client := twoHosts(t)
	e := start(t, node, func(o *Options) { o.Refresh = time.Hour })
	e.Set(own(vip4(), vip6()))
	complete := func(arp, nd uint64) {
		t.Helper()
		expect(t, e, vip4(), func(s AddressState) bool { return s.Counters.Gratuitous == arp })
		expect(t, e, vip6(), func(s AddressState) bool { return s.Counters.Gratuitous == nd })
	}
	complete(12, 6)
	more := netip.MustParseAddr("192.0.2.101")
	for range 20 {
		applied(t, e, e.Set(own(vip4(), vip6())))
	}
	applied(t, e, e.Set(own(vip4(), vip6(), more)))
	expect(t, e, more, func(s AddressState) bool { return s.Counters.Gratuitous == 12 })
	complete(12, 6)

	// Only what is asked for begins afresh.
	dump := tcpdump(t, client, "eth0", "arp")
	if err := e.Announce(t.Context(), vip4(), netip.MustParseAddr("192.0.2.222")); err != nil {
		t.Fatal(err)
	}
	dump.expect(t, "Request who-has "+vip4().String(), "tell "+vip4().String())
	complete(24, 6)
	if strings.Contains(dump.String(), "192.0.2.222") {
		t.Errorf("an address that is not owned is announced:\n%s", dump)
	}
}

func TestRefreshGoesOn(t *testing.T) {
	node, _ := twoHosts(t)
	e := start(t, node, func(o *Options) { o.Refresh = 50 * time.Millisecond })
	e.Set(own(vip4()))
	expect(t, e, vip4(), func(s AddressState) bool { return s.Counters.Gratuitous >= 12+2*10 })
}

func TestWithdrawal(t *testing.T) {
	node, client := twoHosts(t)
	e := start(t, node, nil)
	e.Set(own(vip4(), vip6()))
	expect(t, e, vip6(), on("eth0"))
	nstest.Eventually(t, patience, func() (bool, string) {
		out := node.IP("maddr show dev eth0")
		return strings.Contains(out, "ff02::1:ff00:100"), out
	})
	version := e.Set(Desired{})
	applied(t, e, version)
	dump := tcpdump(t, client, "eth0", "arp or icmp6")
	if out, err := client.Try("arping", "-c", "2", "-W", "0.1", "-w", "1", "-i", "eth0", vip4().String()); err == nil {
		t.Errorf("answered after withdrawal:\n%s", out)
	}
	if out, err := client.Try("ndisc6", "-1", "-r", "2", "-w", "200", vip6().String(), "eth0"); err == nil {
		t.Errorf("answered after withdrawal:\n%s", out)
	}
	dump.expect(t, "neighbor solicitation", "who has "+vip6().String())
	if out := node.IP("maddr show dev eth0"); strings.Contains(out, "ff02::1:ff00:100") {
		t.Errorf("group is still joined:\n%s", out)
	}
	for line := range strings.Lines(dump.String()) {
		if strings.Contains(line, "Announcement") || strings.Contains(line, "neighbor advertisement") {
			t.Errorf("sent after withdrawal: %s", line)
		}
	}
	if s, ok := e.Address(vip4()); ok {
		t.Errorf("still in the state: %+v", s)
	}
}

// hub joins namespaces by a bridge in one of its own.
func hub(t testing.TB, lab *nstest.Lab, hosts ...*nstest.NS) *nstest.NS {
	t.Helper()
	h := lab.NS()
	h.IP("link add br0 type bridge mcast_snooping 0")
	h.IP("link set br0 up")
	for i, n := range hosts {
		port := fmt.Sprintf("p%d", i)
		lab.Pair(h, port, n, "eth0")
		h.IP("link set " + port + " master br0")
	}
	return h
}

// Two speakers that both believe to own an address each see the other, and neither fights.
func TestTwoOwnersSeeEachOther(t *testing.T) {
	lab := nstest.New(t)
	a, b := lab.NS(), lab.NS()
	hub(t, lab, a, b)
	ea, eb := start(t, a, nil), start(t, b, nil)
	ea.Set(own(vip4(), vip6()))
	expect(t, ea, vip4(), on("eth0"))
	expect(t, ea, vip6(), on("eth0"))
	eb.Set(own(vip4(), vip6()))
	macA, macB := macOf(t, a, "eth0"), macOf(t, b, "eth0")
	for _, v := range []netip.Addr{vip4(), vip6()} {
		by := func(mac string) func(AddressState) bool {
			return func(s AddressState) bool {
				return s.Conflict != nil && s.Conflict.MAC.String() == mac && s.Conflict.Link == "eth0" &&
					s.Counters.Conflicts > 0 && !s.Conflict.Last.Before(s.Conflict.First)
			}
		}
		expect(t, ea, v, by(macB))
		expect(t, eb, v, by(macA))
		s := expect(t, ea, v, on("eth0"))
		if limit := uint64(2 * (len(burst()) + 1)); s.Counters.Gratuitous > limit {
			t.Errorf("%s: %d frames, a burst has %d", v, s.Counters.Gratuitous, limit)
		}
	}
}

func TestProbe(t *testing.T) {
	lab := nstest.New(t)
	node, client := lab.NS(), lab.NS()
	hub(t, lab, node, client)
	client.IP("addr add 192.0.2.1/24 dev eth0")
	client.IP("addr add 2001:db8::1/64 dev eth0 nodad")
	node.IP("addr add 192.0.2.2/24 dev eth0")
	e := start(t, node, nil)
	e.Set(own(vip4(), vip6()))
	expect(t, e, vip6(), on("eth0"))
	mac, err := parseMAC(macOf(t, client, "eth0"))
	if err != nil {
		t.Fatal(err)
	}
	probe := func(a string, scope Scope, ignore func(links.MAC) bool) ProbeResult {
		t.Helper()
		began := time.Now()
		r, err := e.Probe(t.Context(), ProbeRequest{Addr: netip.MustParseAddr(a), Scope: scope, Ignore: ignore})
		if err != nil {
			t.Errorf("probe %s: %v", a, err)
		}
		if len(r.Links) != 1 || len(r.Proxies) != 0 {
			t.Errorf("probe %s: %+v", a, r)
		}
		if took := time.Since(began); r.Conflict == nil && took < probes*probeInterval {
			t.Errorf("probe %s found nothing after %s", a, took)
		}
		return r
	}
	all := Scope{All: true}
	for _, a := range []string{"192.0.2.1", "2001:db8::1"} {
		if r := probe(a, all, nil); r.Conflict == nil || r.Conflict.MAC != mac || r.Conflict.Link != "eth0" {
			t.Errorf("probe %s: %+v, want conflict with %s", a, r, mac)
		}
		if r := probe(a, Scope{Links: []string{"eth0"}}, func(m links.MAC) bool { return m == mac }); r.Conflict != nil {
			t.Errorf("probe %s: %+v, but that station is to be ignored", a, r.Conflict)
		}
	}
	for _, a := range []string{"192.0.2.77", "2001:db8::77", vip4().String(), vip6().String()} {
		if r := probe(a, all, nil); r.Conflict != nil {
			t.Errorf("probe %s: %+v, want none", a, r.Conflict)
		}
	}
	if _, err := e.Probe(t.Context(), ProbeRequest{Addr: vip4(), Scope: Scope{Links: []string{"eth9"}}}); !isNoLink(err) {
		t.Errorf("probe on a link that does not exist: %v", err)
	}
}
