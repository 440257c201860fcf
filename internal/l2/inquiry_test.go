package l2

import (
	"net/netip"
	"slices"
	"testing"

	"github.com/lintel-lb/lintel/internal/links"
)

func TestJudge(t *testing.T) {
	const a4, a6 = "192.0.2.100", "2001:db8::100"
	cluster := links.MAC{2, 0, 0, 0, 9, 9}
	asks := with(ask("192.0.2.1", a4), func(f *arpFrame) { f.src = rogueMAC() })
	for name, tt := range map[string]struct {
		addr  string
		frame []byte
		claim string // the address claimed, or empty
		by    links.MAC
	}{
		"answered":         {a4, arpAnnouncement(arpReply, rogueMAC(), ip4(a4)).append(nil), a4, rogueMAC()},
		"used":             {a4, ask(a4, "192.0.2.1").append(nil), a4, clientMAC()},
		"probed as well":   {a4, arpProbe(rogueMAC(), ip4(a4)).append(nil), a4, rogueMAC()},
		"asked for":        {a4, asks.append(nil), "192.0.2.1", clientMAC()},
		"own probe":        {a4, arpProbe(selfMAC(), ip4(a4)).append(nil), "", links.MAC{}},
		"by the cluster":   {a4, arpAnnouncement(arpReply, cluster, ip4(a4)).append(nil), "", links.MAC{}},
		"advertised":       {a6, ndAnnouncement(rogueMAC(), ip6("fe80::3"), ip6(a6)).append(nil), a6, rogueMAC()},
		"detection too":    {a6, ndProbe(rogueMAC(), ip6(a6)).append(nil), a6, rogueMAC()},
		"solicited":        {a6, solicit("fe80::2", a6).append(nil), "", links.MAC{}},
		"own detection":    {a6, ndProbe(selfMAC(), ip6(a6)).append(nil), "", links.MAC{}},
		"cluster detects":  {a6, ndProbe(cluster, ip6(a6)).append(nil), "", links.MAC{}},
		"another protocol": {a6, arpProbe(rogueMAC(), ip4(a4)).append(nil), "", links.MAC{}},
	} {
		q := inquiry{
			addr: netip.MustParseAddr(tt.addr), self: station{mac: selfMAC()}, own: ownSet(),
			ignore: func(m links.MAC) bool { return m == cluster },
		}
		got, by, ok := q.judge(tt.frame)
		if ok != (tt.claim != "") || ok && (got.String() != tt.claim || by != tt.by) {
			t.Errorf("%s: %v by %s, %v; want %q by %s", name, got, by, ok, tt.claim, tt.by)
		}
	}
}

func TestWitnesses(t *testing.T) {
	for name, tt := range map[string]struct {
		addr     string
		prefixes []string
		want     []string
	}{
		"no subnet":                {"10.0.0.5", nil, []string{"198.51.100.254"}},
		"subnet":                   {"10.0.0.5", []string{"10.0.0.1/24"}, []string{"10.0.0.0", "198.51.100.254"}},
		"other subnet":             {"10.0.1.5", []string{"10.0.0.1/24"}, []string{"198.51.100.254"}},
		"point to point":           {"10.0.0.1", []string{"10.0.0.0/31"}, []string{"198.51.100.254"}},
		"in documentation":         {"198.51.100.7", nil, []string{"203.0.113.254"}},
		"link in documentation":    {"10.0.0.5", []string{"198.51.100.1/24"}, []string{"203.0.113.254"}},
		"number is the address":    {"10.0.0.0", []string{"10.0.0.1/24"}, []string{"198.51.100.254"}},
		"IPv6 has but one":         {"2001:db8::1", []string{"2001:db8::2/64"}, []string{"3fff:fff:ffff::1"}},
		"IPv6 prefixes do not mix": {"10.0.0.5", []string{"::/0"}, []string{"198.51.100.254"}},
	} {
		var ps []netip.Prefix
		for _, p := range tt.prefixes {
			ps = append(ps, netip.MustParsePrefix(p))
		}
		var got []string
		for _, w := range witnessesFor(netip.MustParseAddr(tt.addr), ps) {
			got = append(got, w.String())
		}
		if !slices.Equal(got, tt.want) {
			t.Errorf("%s: %v, want %v", name, got, tt.want)
		}
	}
}
