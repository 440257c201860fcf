package links_test

import (
	"net/netip"
	"regexp"
	"testing"

	"github.com/lintel-lb/lintel/internal/links"
)

func TestEligible(t *testing.T) {
	exclude := []*regexp.Regexp{regexp.MustCompile(`^veth.*`), regexp.MustCompile(`cali`)}
	up := links.Link{Name: "eth0", Index: 2, Up: true, Broadcast: true, MAC: links.MAC{2, 0, 0, 0, 0, 1}}
	with := func(change func(*links.Link)) links.Link {
		l := up
		change(&l)
		return l
	}
	for name, tt := range map[string]struct {
		link links.Link
		want links.Reason
	}{
		"plain":                 {up, ""},
		"down":                  {with(func(l *links.Link) { l.Up = false }), links.Down},
		"bridge port":           {with(func(l *links.Link) { l.Master = 7 }), links.Enslaved},
		"no arp":                {with(func(l *links.Link) { l.NoARP = true }), links.NoARP},
		"excluded":              {with(func(l *links.Link) { l.Name = "veth1234" }), links.Excluded},
		"patterns unanchored":   {with(func(l *links.Link) { l.Name = "xcali1" }), links.Excluded},
		"anchored pattern":      {with(func(l *links.Link) { l.Name = "myveth" }), ""},
		"excluded before down":  {with(func(l *links.Link) { l.Name, l.Up = "veth0", false }), links.Excluded},
		"carrier does not rule": {with(func(l *links.Link) { l.Carrier = false }), ""},
	} {
		t.Run(name, func(t *testing.T) {
			ok, why := links.Eligible(&tt.link, exclude)
			if why != tt.want || ok != (tt.want == "") {
				t.Errorf("Eligible = %v %q, want %q", ok, why, tt.want)
			}
		})
	}
}

func TestProtocols(t *testing.T) {
	mac, ll := links.MAC{2, 0, 0, 0, 0, 1}, netip.MustParseAddr("fe80::1")
	for name, tt := range map[string]struct {
		link     links.Link
		arp, ndp bool
	}{
		"both":           {links.Link{Broadcast: true, MAC: mac, LinkLocal6: ll}, true, true},
		"no IPv4 needed": {links.Link{Broadcast: true, MAC: mac}, true, false},
		"no broadcast":   {links.Link{MAC: mac, LinkLocal6: ll}, false, true},
		"loopback":       {links.Link{Loopback: true}, false, false},
		"no arp":         {links.Link{Broadcast: true, NoARP: true, MAC: mac, LinkLocal6: ll}, false, false},
		"not Ethernet":   {links.Link{Broadcast: true, LinkLocal6: ll}, false, false},
	} {
		if tt.link.ARP() != tt.arp || tt.link.NDP() != tt.ndp {
			t.Errorf("%s: ARP %v NDP %v, want %v %v", name, tt.link.ARP(), tt.link.NDP(), tt.arp, tt.ndp)
		}
	}
}

func TestSnapshot(t *testing.T) {
	a, b := links.Link{Name: "a", Index: 9}, links.Link{Name: "b", Index: 1}
	s := links.NewSnapshot([]links.Link{b, a})
	if l, ok := s.ByName("a"); !ok || l.Index != 9 {
		t.Errorf("ByName(a) = %v %v", l, ok)
	}
	if _, ok := s.ByName("c"); ok {
		t.Error("ByName(c) finds a link")
	}
	if !s.Equal(links.NewSnapshot([]links.Link{a, b})) {
		t.Error("order of input makes a difference")
	}
	a.Prefixes = []netip.Prefix{netip.MustParsePrefix("192.0.2.1/24")}
	if s.Equal(links.NewSnapshot([]links.Link{a, b})) {
		t.Error("an added prefix makes no difference")
	}
}
