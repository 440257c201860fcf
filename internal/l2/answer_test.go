package l2

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/lintel-lb/lintel/internal/links"
)

func ownSet() macSet { return macSet{selfMAC(): {}, {2, 0, 0, 0, 0, 9}: {}} }

func TestAnswerARP(t *testing.T) {
	const vip, other, host = "192.0.2.100", "192.0.2.101", "192.0.2.1"
	answer := arpFrame{
		dst: clientMAC(), src: selfMAC(), op: arpReply,
		senderMAC: selfMAC(), senderIP: ip4(vip), targetMAC: clientMAC(), targetIP: ip4(host),
	}
	toProbe := with(answer, func(f *arpFrame) { f.targetIP = [4]byte{} })
	for name, tt := range map[string]struct {
		in      arpFrame
		reply   *arpFrame
		probe   bool
		claimBy links.MAC
	}{
		"broadcast request": {in: ask(host, vip), reply: &answer},
		"unicast request":   {in: with(ask(host, vip), func(f *arpFrame) { f.dst = selfMAC() }), reply: &answer},
		"to a slave":        {in: with(ask(host, vip), func(f *arpFrame) { f.dst = links.MAC{2, 0, 0, 0, 0, 9} }), reply: &answer},
		"target MAC filled": {in: with(ask(host, vip), func(f *arpFrame) { f.targetMAC = selfMAC() }), reply: &answer},
		"probe":             {in: ask("0.0.0.0", vip), reply: &toProbe, probe: true},
		"relayed by another station": {
			in:    with(ask(host, vip), func(f *arpFrame) { f.src = rogueMAC() }),
			reply: &answer,
		},
		"unknown target":         {in: ask(host, other)},
		"to another station":     {in: with(ask(host, vip), func(f *arpFrame) { f.dst = rogueMAC() })},
		"to an Ethernet group":   {in: with(ask(host, vip), func(f *arpFrame) { f.dst = links.MAC{1, 0, 0x5e, 0, 0, 1} })},
		"reply between others":   {in: with(ask(host, other), func(f *arpFrame) { f.op = arpReply })},
		"own announcement":       {in: arpAnnouncement(arpRequest, selfMAC(), ip4(vip))},
		"own from another link":  {in: arpAnnouncement(arpReply, links.MAC{2, 0, 0, 0, 0, 9}, ip4(vip))},
		"own question elsewhere": {in: with(ask(host, vip), func(f *arpFrame) { f.senderMAC = links.MAC{2, 0, 0, 0, 0, 9} })},
		"announced by a rogue":   {in: arpAnnouncement(arpRequest, rogueMAC(), ip4(vip)), claimBy: rogueMAC()},
		"answered by a rogue":    {in: arpAnnouncement(arpReply, rogueMAC(), ip4(vip)), claimBy: rogueMAC()},
		"used by a rogue":        {in: ask(vip, other), claimBy: clientMAC()},
	} {
		t.Run(name, func(t *testing.T) {
			o := answerARP(station{mac: selfMAC()}, ownSet(), testTable(vip), tt.in.append(nil), make([]byte, arpLen))
			var got *arpFrame
			if o.reply != nil {
				f, ok := parseARP(o.reply)
				if !ok || len(o.reply) != arpLen {
					t.Fatalf("reply % x is not ARP", o.reply)
				}
				got = &f
			}
			if d := cmp.Diff(tt.reply, got, cmp.AllowUnexported(arpFrame{})); d != "" {
				t.Errorf("reply (-want +got):\n%s", d)
			}
			if (o.asked != nil) != (tt.reply != nil) || o.probe != tt.probe {
				t.Errorf("asked %v probe %v", o.asked, o.probe)
			}
			if (o.claimed != nil) != (tt.claimBy != links.MAC{}) || o.by != tt.claimBy {
				t.Errorf("claimed %v by %s, want by %s", o.claimed, o.by, tt.claimBy)
			}
		})
	}
}

// A rogue that uses one owned address to ask for another is answered and noted.
func TestAnswerARPClaimAndQuestion(t *testing.T) {
	in := ask("192.0.2.100", "192.0.2.101")
	o := answerARP(station{mac: selfMAC()}, ownSet(), testTable("192.0.2.100", "192.0.2.101"), in.append(nil), nil)
	if o.claimed == nil || o.claimed.addr.String() != "192.0.2.100" || o.asked == nil || o.asked.addr.String() != "192.0.2.101" {
		t.Errorf("claimed %v, asked %v", o.claimed, o.asked)
	}
}

func TestAnswerND(t *testing.T) {
	const vip, other, host, ll = "2001:db8::100", "2001:db8::200", "2001:db8::2", "fe80::1"
	self := station{mac: selfMAC(), source: ip6(ll)}
	answer := ndFrame{
		dst: clientMAC(), src: selfMAC(), dstIP: ip6(host), srcIP: ip6(vip),
		typ: typeNA, flags: flagSolicited | flagOverride, target: ip6(vip), link: selfMAC(),
	}
	toAll := with(answer, func(f *ndFrame) { f.dst, f.dstIP, f.flags = groupMAC(allNodes()), allNodes(), flagOverride })
	claim := ndAnnouncement(rogueMAC(), ip6("fe80::3"), ip6(vip))
	for name, tt := range map[string]struct {
		in      ndFrame
		reply   *ndFrame
		probe   bool
		claimBy links.MAC
	}{
		"multicast":  {in: solicit(host, vip), reply: &answer},
		"link-local": {in: solicit("fe80::2", vip), reply: func() *ndFrame { f := answer; f.dstIP = ip6("fe80::2"); return &f }()},
		"unicast with option": {
			in:    with(solicit(host, vip), func(f *ndFrame) { f.dst, f.dstIP = selfMAC(), ip6(vip) }),
			reply: &answer,
		},
		"to a slave": {
			in:    with(solicit(host, vip), func(f *ndFrame) { f.dst, f.dstIP = links.MAC{2, 0, 0, 0, 0, 9}, ip6(vip) }),
			reply: &answer,
		},
		"unicast without option": {
			in:    with(solicit(host, vip), func(f *ndFrame) { f.dst, f.dstIP, f.link = selfMAC(), ip6(vip), links.MAC{} }),
			reply: &answer,
		},
		"option wins over frame": {
			in:    with(solicit(host, vip), func(f *ndFrame) { f.src = rogueMAC() }),
			reply: &answer,
		},
		"duplicate address detection": {in: ndProbe(clientMAC(), ip6(vip)), reply: &toAll, probe: true},
		"option is a group":           {in: with(solicit(host, vip), func(f *ndFrame) { f.link = groupMAC(allNodes()) })},
		"unknown target":              {in: solicit(host, other)},
		"same group, other target":    {in: solicit(host, "2001:db8:1::100")},
		"to another station":          {in: with(solicit(host, vip), func(f *ndFrame) { f.dst = rogueMAC() })},
		"own":                         {in: with(solicit(host, vip), func(f *ndFrame) { f.src, f.link = selfMAC(), selfMAC() })},
		"claim":                       {in: claim, claimBy: rogueMAC()},
		"claim without option":        {in: with(claim, func(f *ndFrame) { f.link = links.MAC{} }), claimBy: rogueMAC()},
		"claim in another's name":     {in: with(claim, func(f *ndFrame) { f.link = clientMAC() }), claimBy: clientMAC()},
		"own claim, relayed":          {in: with(claim, func(f *ndFrame) { f.link = selfMAC() })},
		"advertisement of another":    {in: ndAnnouncement(rogueMAC(), ip6("fe80::3"), ip6(other))},
	} {
		t.Run(name, func(t *testing.T) {
			o := answerND(self, ownSet(), testTable(vip), tt.in.append(nil), make([]byte, ndLinkLen))
			var got *ndFrame
			if o.reply != nil {
				f, ok := parseND(o.reply)
				if !ok || len(o.reply) != ndLinkLen {
					t.Fatalf("reply % x is not valid", o.reply)
				}
				got = &f
			}
			if d := cmp.Diff(tt.reply, got, cmp.AllowUnexported(ndFrame{})); d != "" {
				t.Errorf("reply (-want +got):\n%s", d)
			}
			if (o.asked != nil) != (tt.reply != nil) || o.probe != tt.probe {
				t.Errorf("asked %v probe %v", o.asked, o.probe)
			}
			if (o.claimed != nil) != (tt.claimBy != links.MAC{}) || o.by != tt.claimBy {
				t.Errorf("claimed %v by %s, want by %s", o.claimed, o.by, tt.claimBy)
			}
		})
	}
}

// No frame makes the responders panic, answer for an address they do not own, or answer
// to a group other than all nodes.
func FuzzAnswer(f *testing.F) {
	arp, ns := ask("192.0.2.1", "192.0.2.100"), solicit("fe80::2", "2001:db8::100")
	f.Add(arp.append(nil))
	f.Add(ns.append(nil))
	f.Fuzz(func(t *testing.T, frame []byte) {
		tab := testTable("192.0.2.100", "2001:db8::100")
		o := answerARP(station{mac: selfMAC()}, ownSet(), tab, frame, nil)
		if o.reply != nil {
			r, ok := parseARP(o.reply)
			if !ok || r.senderIP != ip4("192.0.2.100") || r.senderMAC != selfMAC() || !r.dst.IsUnicast() {
				t.Errorf("% x is answered by % x", frame, o.reply)
			}
		}
		o = answerND(station{mac: selfMAC(), source: ip6("fe80::1")}, ownSet(), tab, frame, nil)
		if o.reply != nil {
			r, ok := parseND(o.reply)
			if !ok || r.target != ip6("2001:db8::100") || r.link != selfMAC() || (!r.dst.IsUnicast() && r.dstIP != allNodes()) {
				t.Errorf("% x is answered by % x", frame, o.reply)
			}
		}
	})
}

func TestAnswerDoesNotAllocate(t *testing.T) {
	arp, ns := ask("192.0.2.1", "192.0.2.100"), solicit("fe80::2", "2001:db8::100")
	a, n := arp.append(nil), ns.append(nil)
	out, own, tab := make([]byte, ndLinkLen), ownSet(), testTable("192.0.2.100", "2001:db8::100")
	self := station{mac: selfMAC(), source: ip6("fe80::1")}
	if got := testing.AllocsPerRun(100, func() { answerARP(self, own, tab, a, out) }); got != 0 {
		t.Errorf("ARP: %v allocations per frame", got)
	}
	if got := testing.AllocsPerRun(100, func() { answerND(self, own, tab, n, out) }); got != 0 {
		t.Errorf("NDP: %v allocations per frame", got)
	}
}

func TestClaim(t *testing.T) {
	e, at := &entry{}, time.Unix(1000, 0)
	for i, tt := range []struct {
		by    links.MAC
		after time.Duration
		news  bool
		first time.Duration
		last  time.Duration
	}{
		{rogueMAC(), 0, true, 0, 0},
		{rogueMAC(), 900 * time.Millisecond, false, 0, 0},
		{rogueMAC(), 1100 * time.Millisecond, true, 0, 1100 * time.Millisecond},
		{clientMAC(), 1200 * time.Millisecond, true, 1200 * time.Millisecond, 1200 * time.Millisecond},
	} {
		if got := e.claim("eth0", tt.by, at.Add(tt.after)); got != tt.news {
			t.Errorf("claim %d: news %v, want %v", i, got, tt.news)
		}
		if c := e.conflict.Load(); !c.First.Equal(at.Add(tt.first)) || !c.Last.Equal(at.Add(tt.last)) {
			t.Errorf("claim %d: %+v", i, c)
		}
	}
	if n := e.conflicts.Load(); n != 4 {
		t.Errorf("%d conflicts counted, want 4", n)
	}
}

func BenchmarkAnswerARP(b *testing.B) {
	addrs := make([]string, 0, 10000)
	for i := range 10000 {
		addrs = append(addrs, addr4(i))
	}
	tab, own, out := testTable(addrs...), ownSet(), make([]byte, ndLinkLen)
	f := ask("192.0.2.1", addr4(4711))
	in := f.append(nil)
	for b.Loop() {
		answerARP(station{mac: selfMAC()}, own, tab, in, out)
	}
}

func BenchmarkAnswerND(b *testing.B) {
	addrs := make([]string, 0, 10000)
	for i := range 10000 {
		addrs = append(addrs, addr6(i))
	}
	tab, own, out := testTable(addrs...), ownSet(), make([]byte, ndLinkLen)
	f := solicit("fe80::2", addr6(4711))
	in := f.append(nil)
	self := station{mac: selfMAC(), source: ip6("fe80::1")}
	for b.Loop() {
		answerND(self, own, tab, in, out)
	}
}
