//go:build netns && linux

package l2

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/lintel-lb/lintel/internal/l2/nstest"
	"github.com/lintel-lb/lintel/internal/links"
)

// The node has neither address nor any other of the client's subnets.
func TestKernelResolves(t *testing.T) {
	node, client := twoHosts(t)
	e := start(t, node, nil)
	e.Set(own(vip4(), vip6()))
	mac := macOf(t, node, "eth0")
	for _, a := range []netip.Addr{vip4(), vip6()} {
		expect(t, e, a, on("eth0"))
		poke(t, client, a)
		expectNeighbour(t, client, a, mac, "REACHABLE", "DELAY", "STALE")
		expect(t, e, a, func(s AddressState) bool {
			return s.Counters.Requests > 0 && s.Counters.Responses == s.Counters.Requests && s.Counters.Gratuitous > 0
		})
	}
}

// Programs that others use to look at neighbours agree with us.
func TestToolsResolve(t *testing.T) {
	node, client := twoHosts(t)
	e := start(t, node, nil)
	e.Set(own(vip4(), vip6()))
	expect(t, e, vip6(), on("eth0"))
	mac := macOf(t, node, "eth0")

	if out := client.Run("arping", "-C", "3", "-W", "0.05", "-i", "eth0", vip4().String()); strings.Count(out, mac) != 3 {
		t.Errorf("arping:\n%s", out)
	}
	if out := client.Run("arping", "-0", "-c", "1", "-i", "eth0", vip4().String()); !strings.Contains(out, mac) {
		t.Errorf("arping as a probe from 0.0.0.0:\n%s", out)
	}
	dump := tcpdump(t, client, "eth0", "icmp6")
	if out := client.Run("ndisc6", "-1", "-r", "3", "-w", "500", vip6().String(), "eth0"); !strings.Contains(strings.ToLower(out), mac) {
		t.Errorf("ndisc6:\n%s", out)
	}
	dump.expect(t, "[icmp6 sum ok]", "neighbor solicitation", "who has "+vip6().String())
	dump.expect(t, mac+" > ", "hlim 255", "[icmp6 sum ok]", vip6().String()+" > ", "neighbor advertisement", "tgt is "+vip6().String(), "Flags [solicited, override]")
	if out, err := client.Try("rdisc6", "-1", "-r", "1", "-w", "300", "eth0"); err == nil {
		t.Errorf("somebody answers a router solicitation:\n%s", out)
	}
}

func TestDuplicateAddressDetectionFails(t *testing.T) {
	node, client := twoHosts(t)
	e := start(t, node, nil)
	e.Set(own(vip6()))
	// The burst would fail the detection before it has asked.
	expect(t, e, vip6(), func(s AddressState) bool { return s.Counters.Gratuitous == uint64(len(burst())+1) })
	client.IP("-6 addr add " + vip6().String() + "/64 dev eth0")
	nstest.Eventually(t, patience, func() (bool, string) {
		out := client.IP("-6 addr show dev eth0")
		return strings.Contains(client.IP("-6 addr show dev eth0 dadfailed"), vip6().String()), out
	})
	expect(t, e, vip6(), func(s AddressState) bool { return s.Counters.Probes > 0 })
}

// Neighbours verify with unicast solicitations, to the address itself, that it is still
// there. If those went unanswered the entry would fail and traffic with it.
func TestNeighbourStaysReachable(t *testing.T) {
	node, client := twoHosts(t)
	client.Sysctl("net.ipv6.neigh.eth0.base_reachable_time_ms=300")
	client.Sysctl("net.ipv6.neigh.eth0.delay_first_probe_time=0")
	client.Sysctl("net.ipv4.neigh.eth0.base_reachable_time_ms=300")
	client.Sysctl("net.ipv4.neigh.eth0.delay_first_probe_time=0")
	e := start(t, node, nil)
	e.Set(own(vip4(), vip6()))
	expect(t, e, vip6(), on("eth0"))
	mac := macOf(t, node, "eth0")
	unicast := tcpdump(t, client, "eth0", "ether dst "+mac+" and (arp or icmp6)")
	for _, a := range []netip.Addr{vip4(), vip6()} {
		poke(t, client, a)
		expectNeighbour(t, client, a, mac, "REACHABLE")
		refreshed, was := 0, "REACHABLE"
		nstest.Eventually(t, 30*time.Second, func() (bool, string) {
			poke(t, client, a)
			f := strings.Fields(client.IP("neigh show " + a.String()))
			now := f[len(f)-1]
			if now == "FAILED" || now == "INCOMPLETE" {
				t.Fatalf("%s is lost: %v", a, f)
			}
			if now == "REACHABLE" && was != now {
				refreshed++
			}
			was = now
			return refreshed >= 3, fmt.Sprintf("%v, refreshed %d times", f, refreshed)
		})
	}
	unicast.expect(t, "Request who-has 192.0.2.100")
	unicast.expect(t, "> 2001:db8::100:", "neighbor solicitation")
}

// A solicitation without the source option can be sent by who already knows the address.
func TestSolicitationWithoutOption(t *testing.T) {
	node, client := twoHosts(t)
	e := start(t, node, nil)
	e.Set(own(vip6()))
	expect(t, e, vip6(), on("eth0"))
	w := openWire(t, client, "eth0", unix.ETH_P_IPV6)
	to, err := parseMAC(macOf(t, node, "eth0"))
	if err != nil {
		t.Fatal(err)
	}
	ns := ndFrame{dst: to, src: w.mac, dstIP: vip6().As16(), srcIP: ip6("2001:db8::1"), typ: typeNS, target: vip6().As16()}
	w.send(ns.append(nil))
	w.await("an advertisement", func(b []byte) bool {
		f, ok := parseND(b)
		return ok && f.typ == typeNA && f.dst == w.mac && f.dstIP == ns.srcIP && f.target == ns.target &&
			f.link == to && f.flags == flagSolicited|flagOverride && f.srcIP == ns.target
	})
}

// What is malformed, foreign or tagged is neither answered nor counted, and what comes
// after it is.
func TestMalformedFrames(t *testing.T) {
	node, client := twoHosts(t)
	e := start(t, node, nil)
	e.Set(own(vip4(), vip6()))
	expect(t, e, vip4(), on("eth0"))
	expect(t, e, vip6(), on("eth0"))
	arp, nd := openWire(t, client, "eth0", unix.ETH_P_ARP), openWire(t, client, "eth0", unix.ETH_P_IPV6)

	question := with(ask("192.0.2.1", "192.0.2.100"), func(f *arpFrame) { f.src, f.senderMAC = arp.mac, arp.mac })
	q := question.append(nil)
	tagged := append(append(append([]byte{}, q[:12]...), 0x81, 0, 0, 5), q[12:]...)
	solicitation := with(solicit("2001:db8::1", "2001:db8::100"), func(f *ndFrame) { f.src, f.link = nd.mac, nd.mac })
	s := solicitation.append(nil)
	patched := func(b []byte, at int, v byte) []byte {
		b = append([]byte{}, b...)
		b[at] = v
		return b
	}
	for _, f := range [][]byte{
		q[:arpLen-1], q[:20], tagged, patched(q, 18, 8), patched(q, 21, 9), patched(q, 22, 1),
		with(question, func(f *arpFrame) { f.targetIP[3]++ }).append(nil),
		with(question, func(f *arpFrame) { f.dst = links.MAC{2, 9, 9, 9, 9, 9} }).append(nil),
	} {
		arp.send(f)
	}
	for _, f := range [][]byte{
		s[:ndLinkLen-3], s[:60], patched(s, 21, 64), patched(s, icmpStart+2, s[icmpStart+2]^1), patched(s, icmpStart+25, 0),
		with(solicitation, func(f *ndFrame) { f.target[0]++ }).append(nil),
	} {
		nd.send(f)
	}
	arp.send(q)
	nd.send(s)
	arp.await("an ARP reply", func(b []byte) bool {
		f, ok := parseARP(b)
		return ok && f.op == arpReply && f.dst == arp.mac
	})
	nd.await("an advertisement", func(b []byte) bool {
		f, ok := parseND(b)
		return ok && f.typ == typeNA && f.dst == nd.mac
	})
	for _, a := range []netip.Addr{vip4(), vip6()} {
		if s, _ := e.Address(a); s.Counters.Requests != 1 || s.Counters.Responses != 1 || s.Conflict != nil {
			t.Errorf("%s: %+v %+v, want one request and one response", a, s.Counters, s.Conflict)
		}
	}
}

// Replacing the filter, however often, loses no request for an address that stays.
func TestFilterReplacedUnderLoad(t *testing.T) {
	node, client := twoHosts(t)
	e := start(t, node, nil)
	e.Set(own(vip4()))
	expect(t, e, vip4(), on("eth0"))
	w := openWire(t, client, "eth0", unix.ETH_P_ARP)
	q := with(ask("192.0.2.1", "192.0.2.100"), func(f *arpFrame) { f.src, f.senderMAC = w.mac, w.mac }).append(nil)

	const rounds, perRound = 200, 20
	for i := range rounds {
		d := own(vip4())
		for j := range i%7*50 + 1 {
			d.Addresses[netip.AddrFrom4([4]byte{10, 0, byte(i), byte(j * 2)})] = Scope{All: true}
		}
		version := e.Set(d)
		for range perRound {
			w.send(q)
		}
		nstest.Eventually(t, patience, func() (bool, string) {
			applied := e.Snapshot().Applied
			return applied >= version, fmt.Sprintf("applied %d of %d", applied, version)
		})
	}
	expect(t, e, vip4(), func(s AddressState) bool { return s.Counters.Responses == rounds*perRound })
}

func parseMAC(s string) (m links.MAC, err error) {
	_, err = fmt.Sscanf(s, "%02x:%02x:%02x:%02x:%02x:%02x", &m[0], &m[1], &m[2], &m[3], &m[4], &m[5])
	return m, err
}
