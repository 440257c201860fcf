package l2

import (
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/lintel-lb/lintel/internal/links"
)

// The stations of the tests: this host, one that asks, and one that does not belong.
func selfMAC() links.MAC   { return links.MAC{2, 0, 0, 0, 0, 1} }
func clientMAC() links.MAC { return links.MAC{2, 0, 0, 0, 0, 2} }
func rogueMAC() links.MAC  { return links.MAC{2, 0, 0, 0, 0, 3} }

func ip4(s string) [4]byte  { return netip.MustParseAddr(s).As4() }
func ip6(s string) [16]byte { return netip.MustParseAddr(s).As16() }

// ask is an ARP request as a host broadcasts it.
func ask(sender, target string) arpFrame {
	return arpFrame{
		dst: links.Broadcast(), src: clientMAC(), op: arpRequest,
		senderMAC: clientMAC(), senderIP: ip4(sender), targetIP: ip4(target),
	}
}

// solicit is a multicast Neighbor Solicitation as a host sends it.
func solicit(source, target string) ndFrame {
	group := solicitedNode(ip6(target))
	return ndFrame{
		dst: groupMAC(group), src: clientMAC(), dstIP: group, srcIP: ip6(source),
		typ: typeNS, target: ip6(target), link: clientMAC(),
	}
}

func with[F any](f F, change func(*F)) F {
	change(&f)
	return f
}

func testTable(addrs ...string) *table {
	var es []*entry
	for _, a := range addrs {
		es = append(es, &entry{addr: netip.MustParseAddr(a)})
	}
	return newTable(es)
}

func TestARPRoundTrip(t *testing.T) {
	for name, want := range map[string]arpFrame{
		"request":      ask("192.0.2.1", "192.0.2.100"),
		"announcement": arpAnnouncement(arpReply, selfMAC(), ip4("192.0.2.100")),
		"probe":        arpProbe(selfMAC(), ip4("192.0.2.100")),
	} {
		b := want.append(nil)
		if len(b) != arpLen {
			t.Errorf("%s: %d bytes, want %d", name, len(b), arpLen)
		}
		got, ok := parseARP(append(b, make([]byte, 18)...)) // padded, as on the wire
		if !ok {
			t.Errorf("%s: refused", name)
		}
		if d := cmp.Diff(want, got, cmp.AllowUnexported(arpFrame{})); d != "" {
			t.Errorf("%s (-want +got):\n%s", name, d)
		}
	}
}

func TestParseARPRefuses(t *testing.T) {
	good := ask("192.0.2.1", "192.0.2.100")
	patch := func(at int, b ...byte) []byte {
		f := good.append(nil)
		copy(f[at:], b)
		return f
	}
	tagged := append(append([]byte{}, good.append(nil)[:12]...), 0x81, 0, 0, 5)
	for name, frame := range map[string][]byte{
		"empty":                   {},
		"short":                   good.append(nil)[:arpLen-1],
		"header only":             good.append(nil)[:etherLen],
		"VLAN tag":                append(tagged, good.append(nil)[12:]...),
		"IPv4 frame":              patch(12, 0x08, 0x00),
		"hardware not Ethernet":   patch(14, 0, 6),
		"protocol not IPv4":       patch(16, 0x86, 0xdd),
		"hardware length":         patch(18, 8),
		"protocol length":         patch(19, 16),
		"operation":               patch(20, 0, 8),
		"operation zero":          patch(20, 0, 0),
		"sender zero":             patch(22, 0, 0, 0, 0, 0, 0),
		"sender is a group":       patch(22, 1, 0, 0x5e, 0, 0, 1),
		"sender is the broadcast": patch(22, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff),
	} {
		if _, ok := parseARP(frame); ok {
			t.Errorf("%s: taken", name)
		}
	}
}

func TestNDRoundTrip(t *testing.T) {
	for name, want := range map[string]ndFrame{
		"solicitation":          solicit("fe80::2", "2001:db8::100"),
		"unicast solicitation":  with(solicit("fe80::2", "2001:db8::100"), func(f *ndFrame) { f.dst, f.dstIP, f.link = selfMAC(), f.target, links.MAC{} }),
		"probe":                 ndProbe(selfMAC(), ip6("2001:db8::100")),
		"announcement":          ndAnnouncement(selfMAC(), ip6("fe80::1"), ip6("2001:db8::100")),
		"solicited, no option ": {dst: clientMAC(), src: selfMAC(), dstIP: ip6("fe80::2"), srcIP: ip6("fe80::1"), typ: typeNA, flags: flagSolicited, target: ip6("2001:db8::100")},
	} {
		b := want.append(nil)
		got, ok := parseND(b)
		if !ok {
			t.Errorf("%s: refused", name)
		}
		if d := cmp.Diff(want, got, cmp.AllowUnexported(ndFrame{})); d != "" {
			t.Errorf("%s (-want +got):\n%s", name, d)
		}
	}
}

func TestParseNDRefuses(t *testing.T) {
	ns, na := solicit("fe80::2", "2001:db8::100"), ndAnnouncement(rogueMAC(), ip6("fe80::3"), ip6("2001:db8::100"))
	probe := ndProbe(clientMAC(), ip6("2001:db8::100"))
	// reseal patches a frame and makes its checksum right again, so that the patch alone
	// can be the reason to refuse.
	reseal := func(f ndFrame, at int, b ...byte) []byte {
		p := f.append(nil)
		copy(p[at:], b)
		msg := p[icmpStart:]
		msg[2], msg[3] = 0, 0
		sum := checksum([16]byte(p[22:38]), [16]byte(p[38:54]), msg)
		msg[2], msg[3] = byte(sum>>8), byte(sum)
		return p
	}
	if _, ok := parseND(reseal(ns, 0)); !ok {
		t.Fatal("an unpatched frame is refused")
	}
	for name, frame := range map[string][]byte{
		"empty":                               {},
		"short":                               ns.append(nil)[:ndMinLen-1],
		"payload longer than frame":           ns.append(nil)[:ndLinkLen-1],
		"payload too short":                   reseal(ns, 18, 0, 23),
		"ether type":                          reseal(ns, 12, 0x08, 0),
		"version":                             reseal(ns, 14, 0x40),
		"next header":                         reseal(ns, 20, 44),
		"hop limit 254":                       reseal(ns, 21, 254),
		"router advertisement":                reseal(ns, icmpStart, 134),
		"code":                                reseal(ns, icmpStart+1, 1),
		"checksum":                            with(ns.append(nil), func(b *[]byte) { (*b)[icmpStart+2] ^= 1 }),
		"target multicast":                    reseal(ns, icmpStart+8, 0xff),
		"source multicast":                    reseal(ns, 22, 0xff),
		"option of length 0":                  reseal(ns, icmpStart+25, 0),
		"option past the end":                 reseal(ns, icmpStart+25, 2),
		"solicited advertisement to a group":  reseal(na, icmpStart+4, flagSolicited),
		"probe with source option":            with(probe, func(f *ndFrame) { f.link = clientMAC() }).append(nil),
		"probe not to a solicited-node group": with(probe, func(f *ndFrame) { f.dstIP = allNodes() }).append(nil),
	} {
		if _, ok := parseND(frame); ok {
			t.Errorf("%s: taken", name)
		}
	}
}

func FuzzParseARP(f *testing.F) {
	for _, a := range []arpFrame{ask("192.0.2.1", "192.0.2.100"), arpProbe(selfMAC(), ip4("192.0.2.1"))} {
		f.Add(a.append(nil))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		a, ok := parseARP(b)
		if !ok {
			return
		}
		// What is taken survives a round trip byte by byte.
		if d := cmp.Diff(b[:arpLen], a.append(nil)); d != "" {
			t.Errorf("(-in +out):\n%s", d)
		}
	})
}

func FuzzParseND(f *testing.F) {
	for _, n := range []ndFrame{
		solicit("fe80::2", "2001:db8::100"), ndProbe(selfMAC(), ip6("2001:db8::1")),
		ndAnnouncement(selfMAC(), ip6("fe80::1"), ip6("2001:db8::100")),
	} {
		f.Add(n.append(nil))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		n, ok := parseND(b)
		if !ok {
			return
		}
		again, ok := parseND(n.append(nil))
		if !ok && n.link != (links.MAC{}) {
			t.Fatalf("encoding of %+v is refused", n)
		}
		if d := cmp.Diff(n, again, cmp.AllowUnexported(ndFrame{})); ok && d != "" {
			t.Errorf("(-want +got):\n%s", d)
		}
	})
}
