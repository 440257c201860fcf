package l2

import (
	"fmt"
	"maps"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"pgregory.net/rapid"

	"github.com/lintel-lb/lintel/internal/links"
)

// segment is a host with one link of every kind.
func segment() *links.Snapshot {
	link := func(name string, index int, change func(*links.Link)) links.Link {
		l := links.Link{
			Name: name, Index: index, Up: true, Carrier: true, Broadcast: true,
			MAC: links.MAC{2, 0, 0, 0, 1, byte(index)}, LinkLocal6: netip.MustParseAddr(fmt.Sprintf("fe80::%d", index)),
		}
		change(&l)
		return l
	}
	return links.NewSnapshot([]links.Link{
		{Name: "lo", Index: 1, Up: true, Loopback: true},
		link("eth0", 2, func(*links.Link) {}),
		link("eth1", 3, func(l *links.Link) { l.LinkLocal6 = netip.Addr{} }),
		link("tun0", 4, func(l *links.Link) { l.Broadcast = false }),
		link("down0", 5, func(l *links.Link) { l.Up = false }),
		link("port0", 6, func(l *links.Link) { l.Master = 9 }),
		link("noarp0", 7, func(l *links.Link) { l.NoARP = true }),
		link("veth9", 8, func(*links.Link) {}),
	})
}

func TestMakePlan(t *testing.T) {
	const v4, v6 = "192.0.2.100", "2001:db8::100"
	named := func(names ...string) Scope { return Scope{Links: names} }
	for name, tt := range map[string]struct {
		addr     string
		scope    Scope
		links    string
		problems string
	}{
		"all, IPv4":             {v4, Scope{All: true}, "arp:eth0 arp:eth1", ""},
		"all, IPv6":             {v6, Scope{All: true}, "ndp:eth0 ndp:tun0", ""},
		"all wins over names":   {v4, Scope{All: true, Links: []string{"eth9"}}, "arp:eth0 arp:eth1", ""},
		"one":                   {v4, named("eth1"), "arp:eth1", ""},
		"named twice":           {v4, named("eth1", "eth1"), "arp:eth1", ""},
		"one is missing":        {v4, named("eth9", "eth0"), "arp:eth0", "eth9:no-such-link"},
		"all missing":           {v4, named("eth9"), "", ":no-usable-link eth9:no-such-link"},
		"none named":            {v4, named(), "", ":no-usable-link"},
		"down":                  {v4, named("down0", "eth0"), "arp:eth0", "down0:down"},
		"enslaved":              {v4, named("port0", "eth0"), "arp:eth0", "port0:enslaved"},
		"no arp":                {v6, named("noarp0", "eth0"), "ndp:eth0", "noarp0:no-arp"},
		"excluded":              {v6, named("veth9", "eth0"), "ndp:eth0", "veth9:excluded"},
		"not broadcast":         {v4, named("tun0", "eth0"), "arp:eth0", "tun0:not-broadcast"},
		"no link-local address": {v6, named("eth1", "eth0"), "ndp:eth0", "eth1:no-ipv6-link-local"},
		"multicast address":     {"ff02::1", Scope{All: true}, "", ":not-a-unicast-address"},
		"mapped address":        {"::ffff:192.0.2.1", Scope{All: true}, "", ":not-a-unicast-address"},
		"zone":                  {"fe80::1%eth0", Scope{All: true}, "", ":not-a-unicast-address"},
		"unspecified":           {"0.0.0.0", Scope{All: true}, "", ":not-a-unicast-address"},
		"limited broadcast":     {"255.255.255.255", Scope{All: true}, "", ":not-a-unicast-address"},
	} {
		t.Run(name, func(t *testing.T) {
			a := netip.MustParseAddr(tt.addr)
			d := Desired{Addresses: map[netip.Addr]Scope{a: tt.scope}}
			pl := makePlan(d, candidatesOf(segment(), []*regexp.Regexp{regexp.MustCompile("^veth")}))
			var on, problems []string
			for k, addrs := range pl.ports {
				on = append(on, string(k.proto)+":"+k.link)
				if d := cmp.Diff([]netip.Addr{a}, addrs, cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); d != "" {
					t.Errorf("addresses of %s (-want +got):\n%s", k.link, d)
				}
			}
			for _, p := range pl.problems[a] {
				problems = append(problems, p.Link+":"+string(p.Reason))
			}
			slices.Sort(on)
			slices.Sort(problems)
			if got := strings.Join(on, " "); got != tt.links {
				t.Errorf("on %q, want %q", got, tt.links)
			}
			if got := strings.Join(problems, " "); got != tt.problems {
				t.Errorf("problems %q, want %q", got, tt.problems)
			}
		})
	}
}

// What makes neighbours' knowledge stale makes another responder.
func TestPortKeyFollowsLink(t *testing.T) {
	d := Desired{Addresses: map[netip.Addr]Scope{netip.MustParseAddr("2001:db8::1"): {Links: []string{"eth0"}}}}
	key := func(change func(*links.Link)) portKey {
		s := segment()
		l, _ := s.ByName("eth0")
		change(l)
		keys := slices.Collect(maps.Keys(makePlan(d, candidatesOf(s, nil)).ports))
		if len(keys) != 1 {
			t.Fatalf("%d ports, want 1", len(keys))
		}
		return keys[0]
	}
	base := key(func(*links.Link) {})
	if got := key(func(l *links.Link) { l.MTU = 9000; l.Prefixes = []netip.Prefix{netip.MustParsePrefix("10.0.0.1/8")} }); got != base {
		t.Error("an address or MTU makes another responder")
	}
	for name, change := range map[string]func(*links.Link){
		"hardware address":   func(l *links.Link) { l.MAC[5]++ },
		"index":              func(l *links.Link) { l.Index++ },
		"link-local address": func(l *links.Link) { l.LinkLocal6 = netip.MustParseAddr("fe80::ffff") },
	} {
		if key(change) == base {
			t.Errorf("%s makes no other responder", name)
		}
	}
}

func TestInputIgnoresLinksOfOthers(t *testing.T) {
	exclude := []*regexp.Regexp{regexp.MustCompile("^veth")}
	d := Desired{Addresses: map[netip.Addr]Scope{netip.MustParseAddr("192.0.2.1"): {Links: []string{"veth9"}}}}
	v := &versioned{Desired: d, version: 1, names: namesIn(d)}
	base := inputOf(v, candidatesOf(segment(), exclude))
	more := links.NewSnapshot(append(segment().Links, links.Link{Name: "vethpod", Index: 77, Up: true}))
	if !base.equal(inputOf(v, candidatesOf(more, exclude))) {
		t.Error("an excluded link that nobody names makes a difference")
	}
	gone := links.NewSnapshot(slices.DeleteFunc(segment().Links, func(l links.Link) bool { return l.Name == "veth9" }))
	if base.equal(inputOf(v, candidatesOf(gone, exclude))) {
		t.Error("the loss of an excluded link that a scope names makes no difference")
	}
	v2 := &versioned{Desired: d, version: 2, names: v.names}
	if base.equal(inputOf(v2, candidatesOf(segment(), exclude))) {
		t.Error("another version makes no difference")
	}
}

// sets draws desired sets of few addresses, so that they often have some in common.
func sets() *rapid.Generator[Desired] {
	scopes := rapid.OneOf(rapid.Just(Scope{All: true}), rapid.Custom(func(t *rapid.T) Scope {
		return Scope{Links: rapid.SliceOf(rapid.SampledFrom([]string{"eth0", "eth1", "tun0", "down0", "eth9"})).Draw(t, "links")}
	}))
	addrs := rapid.SampledFrom([]netip.Addr{
		netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2"), netip.MustParseAddr("192.0.2.3"),
		netip.MustParseAddr("2001:db8::1"), netip.MustParseAddr("2001:db8::2"), netip.MustParseAddr("ff02::1"),
	})
	return rapid.Map(rapid.MapOf(addrs, scopes), func(m map[netip.Addr]Scope) Desired { return Desired{Addresses: m} })
}

func TestChangedPlanEqualsANewOne(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := candidatesOf(segment(), nil)
		before := sets().Draw(t, "first")
		pl := makePlan(before, c)
		for range 5 {
			d := sets().Draw(t, "next")
			old := map[portKey][]netip.Addr{}
			for k, on := range pl.ports {
				old[k] = slices.Clone(on)
			}
			touched := pl.change(difference(before, d), d, c)
			want := makePlan(d, c)
			same := cmp.Comparer(func(a, b netip.Addr) bool { return a == b })
			if diff := cmp.Diff(want, pl, cmp.AllowUnexported(plan{}, portKey{}), same); diff != "" {
				t.Fatalf("(-new +changed)\n%s", diff)
			}
			for k := range want.ports {
				if !touched[k] && !slices.Equal(old[k], want.ports[k]) {
					t.Fatalf("%v is another, and not said to be touched", k)
				}
			}
			for k := range old {
				if !touched[k] && want.ports[k] == nil {
					t.Fatalf("%v is gone, and not said to be touched", k)
				}
			}
			before = d
		}
	})
}
