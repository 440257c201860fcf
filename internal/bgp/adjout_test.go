package bgp

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/lintel-lb/lintel/internal/bgp/wire"
	"github.com/lintel-lb/lintel/internal/bgp/wire/wiretest"
	"pgregory.net/rapid"
)

// twin is the table of a peer: slow, obvious, made from the messages alone.
type twin struct {
	routes   map[netip.Prefix]string
	endOfRIB []wire.Family
	messages int
	// forgetful peers ask for a refresh because they have lost routes, so they may be
	// told to drop what they do not know any more.
	forgetful bool
}

func newTwin() *twin { return &twin{routes: map[netip.Prefix]string{}} }

// play takes a message into the table.
func (w *twin) play(body []byte) error {
	u, err := wiretest.Parse(body, true)
	if err != nil {
		return err
	}
	w.messages++
	if u.EndOfRIB != 0 {
		w.endOfRIB = append(w.endOfRIB, u.EndOfRIB)
	}
	for _, p := range u.Withdrawn {
		if _, ok := w.routes[p]; !ok && !w.forgetful {
			return fmt.Errorf("%v is withdrawn but was not announced", p)
		}
		delete(w.routes, p)
	}
	for _, p := range u.Announced {
		w.routes[p] = fmt.Sprintf("%v", u.Route)
	}
	return nil
}

// playStream takes whole messages.
func (w *twin) playStream(b []byte) error {
	for len(b) > 0 {
		t, n, err := wire.ParseHeader(b)
		if err != nil {
			return err
		}
		if t != wire.TypeUpdate {
			return fmt.Errorf("%v among routes", t)
		}
		if err := w.play(b[wire.HeaderLen : wire.HeaderLen+n]); err != nil {
			return err
		}
		b = b[wire.HeaderLen+n:]
	}
	return nil
}

// want writes down what a peer should have, without the code under test: the fields one
// by one.
func want(desired Routes, n *negotiated, draining bool) map[netip.Prefix]string {
	out := map[netip.Prefix]string{}
	for p, h := range desired {
		a := h.Value()
		r := wiretest.Route{MED: -1, LocalPref: -1, NextHop: a.NextHop}
		if p.Addr().Is6() && n.families&IPv6 == 0 || p.Addr().Is4() && n.families&IPv4 == 0 {
			continue
		}
		if !r.NextHop.IsValid() {
			r.NextHop = ourAddr
			if p.Addr().Is6() {
				r.NextHop = ourAddr6
			}
		}
		if r.NextHop.Is4() != p.Addr().Is4() && !(n.extendedNextHop && r.NextHop.Is6()) {
			continue
		}
		if v, ok := a.MED.Get(); ok {
			r.MED = int64(v)
		}
		if n.external {
			for range 1 + int(a.Prepend) {
				r.ASPath = append(r.ASPath, 64500)
			}
		} else {
			r.LocalPref = 100
			if v, ok := a.LocalPref.Get(); ok {
				r.LocalPref = int64(v)
			}
		}
		r.Communities = a.Communities.Standard()
		if a.GracefulShutdown || draining {
			r.Communities = append(r.Communities, 0xffff0000)
		}
		r.Large = a.Communities.Large()
		r.Extended = a.Communities.Extended()
		out[p] = fmt.Sprintf("%v", r)
	}
	return out
}

func drawAttributes(t *rapid.T) Attributes {
	a := Attributes{
		Prepend:          uint8(rapid.IntRange(0, 2).Draw(t, "prepend")),
		GracefulShutdown: rapid.Bool().Draw(t, "graceful shutdown"),
	}
	if rapid.Bool().Draw(t, "has MED") {
		a.MED = Some(uint32(rapid.IntRange(0, 2).Draw(t, "MED")))
	}
	if rapid.Bool().Draw(t, "has local pref") {
		a.LocalPref = Some(uint32(rapid.IntRange(0, 2).Draw(t, "local pref")))
	}
	switch rapid.IntRange(0, 5).Draw(t, "next hop") {
	case 0:
		a.NextHop = netip.MustParseAddr("203.0.113.1")
	case 1:
		a.NextHop = netip.MustParseAddr("2001:db8:2::1")
	}
	a.Communities = NewCommunities(
		rapid.SliceOfN(rapid.Uint32Range(0, 3), 0, 3).Draw(t, "communities"),
		nil, rapid.SliceOfN(rapid.Uint64Range(0, 1), 0, 2).Draw(t, "extended"))
	return a
}

// drawRoutes makes a set out of few prefixes and attributes, so that sets overlap.
func drawRoutes(t *rapid.T, kinds []Attributes) map[netip.Prefix]Attributes {
	routes := map[netip.Prefix]Attributes{}
	for i := range rapid.IntRange(0, 40).Draw(t, "routes") {
		p := netip.PrefixFrom(netip.AddrFrom4([4]byte{198, 18, 0, byte(rapid.IntRange(0, 50).Draw(t, "v4"))}), 32)
		if i%2 == 0 {
			p = netip.PrefixFrom(netip.AddrFrom16([16]byte{0x20, 1, 15: byte(rapid.IntRange(0, 50).Draw(t, "v6"))}), 128)
		}
		routes[p] = rapid.SampledFrom(kinds).Draw(t, "attributes")
	}
	return routes
}

func drawNegotiated(t *rapid.T) *negotiated {
	n := &negotiated{
		localASN: 64500, external: rapid.Bool().Draw(t, "external"), fourOctetAS: true,
		families: Families(rapid.IntRange(1, 3).Draw(t, "families")), hops: [2]netip.Addr{ourAddr, ourAddr6},
	}
	n.extendedNextHop = rapid.Bool().Draw(t, "extended next hop")
	return n
}

// Whatever happens in whatever order, a peer that has read everything has exactly the
// desired routes, and so says the ledger.
func TestAdjOutFollowsDesired(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		kinds := rapid.SliceOfN(rapid.Custom(drawAttributes), 1, 4).Draw(t, "kinds")
		a := newAdjOut()
		peer := newTwin()
		var under *batch
		pump := func(t *rapid.T) {
			if under == nil {
				under = a.next()
			}
		}
		finish := func(t *rapid.T) {
			if under == nil {
				return
			}
			if err := peer.playStream(under.data); err != nil {
				t.Fatal(err)
			}
			a.done(under)
			under = nil
		}
		settle := func(t *rapid.T) {
			if a.session == nil {
				return
			}
			for i := 0; ; i++ {
				finish(t)
				if pump(t); under == nil {
					break
				}
				if i > 100 {
					t.Fatal("never comes to rest")
				}
			}
			desired := want(a.desired, a.session, a.draining)
			if !maps.Equal(peer.routes, desired) {
				t.Fatalf("peer has %v\nwant %v", peer.routes, desired)
			}
			if got := a.written.snapshot(); len(got) != len(desired) {
				t.Fatalf("ledger has %d routes, want %d", len(got), len(desired))
			}
			if n := len(peer.endOfRIB); a.complete != (n == len(a.session.families.list())) {
				t.Fatalf("complete %v, %d End-of-RIB", a.complete, n)
			}
		}
		t.Repeat(map[string]func(*rapid.T){
			"set": func(t *rapid.T) {
				a.set(NewRoutes(drawRoutes(t, kinds)), rapid.Bool().Draw(t, "complete"))
			},
			"connect": func(t *rapid.T) {
				under, peer = nil, newTwin()
				a.open(drawNegotiated(t))
			},
			"lose": func(*rapid.T) {
				under, peer = nil, newTwin()
				a.close()
			},
			"refresh": func(t *rapid.T) {
				f := rapid.SampledFrom([]wire.Family{wire.IPv4Unicast, wire.IPv6Unicast}).Draw(t, "family")
				a.resend(f)
				// What is under way is read before the peer forgets.
				if a.session != nil && under == nil && a.session.families.has(f) {
					peer.forgetful = true
					maps.DeleteFunc(peer.routes, func(p netip.Prefix, _ string) bool { return wire.FamilyOf(p.Addr()) == f })
				}
			},
			"drain":  func(*rapid.T) { a.draining, a.dirty = true, true },
			"pump":   pump,
			"finish": finish,
			"settle": settle,
		})
		settle(t)
	})
}

// A route that was announced before a refresh that arrives while it is under way is sent
// again: the peer may have read it before it asked.
func TestRefreshIncludesWhatIsUnderWay(t *testing.T) {
	a := newAdjOut()
	a.set(NewRoutes(oneRoute(Attributes{})), true)
	a.open(&negotiated{localASN: 64500, external: true, fourOctetAS: true, families: IPv4, hops: [2]netip.Addr{ourAddr, ourAddr6}})
	b := a.next()
	a.resend(wire.IPv4Unicast)
	a.done(b)
	if b = a.next(); b == nil || len(b.announced) != 1 {
		t.Fatalf("got %+v", b)
	}
	a.done(b)
	if b = a.next(); b != nil {
		t.Errorf("and then %+v", b)
	}
}

// Equal attributes share messages; a batch stays near its limit; nothing is sent twice.
func TestAdjOutPacks(t *testing.T) {
	for name, tt := range map[string]struct {
		kinds, prefixes, messages int
	}{
		"one kind":                {1, 10_000, 13},
		"four kinds":              {4, 10_000, 16},
		"every route its own MED": {1000, 1000, 1000},
	} {
		t.Run(name, func(t *testing.T) {
			a := newAdjOut()
			routes := map[netip.Prefix]Attributes{}
			for i, p := range prefixList(tt.prefixes) {
				routes[p] = Attributes{MED: Some(uint32(i % tt.kinds))}
			}
			a.set(NewRoutes(routes), false)
			a.open(&negotiated{localASN: 64500, external: true, fourOctetAS: true, families: IPv4, hops: [2]netip.Addr{ourAddr}})
			messages := drainAll(t, a)
			if messages != tt.messages {
				t.Errorf("%d messages for %d prefixes, want %d", messages, tt.prefixes, tt.messages)
			}
			a.set(nil, false)
			if got, want := drainAll(t, a), (tt.prefixes+813)/814; got != want {
				t.Errorf("%d messages to withdraw, want %d", got, want)
			}
		})
	}
}

func drainAll(t *testing.T, a *adjOut) int {
	t.Helper()
	peer, n := newTwin(), 0
	for p := range a.written.routes {
		peer.routes[p] = ""
	}
	for b := a.next(); b != nil; b = a.next() {
		if len(b.data) > batchLimit+wire.MaxMessageLen {
			t.Fatalf("batch of %d octets", len(b.data))
		}
		n += b.messages
		if err := peer.playStream(b.data); err != nil {
			t.Fatal(err)
		}
		a.done(b)
	}
	if len(peer.routes) != len(a.desired) {
		t.Fatalf("peer has %d of %d", len(peer.routes), len(a.desired))
	}
	return n
}

func TestCommunitiesAreCanonical(t *testing.T) {
	a := NewCommunities([]uint32{3, 1, 3}, [][3]uint32{{2, 0, 0}, {1, 9, 9}}, []uint64{9, 8, 9})
	b := NewCommunities([]uint32{1, 3}, [][3]uint32{{1, 9, 9}, {2, 0, 0}, {1, 9, 9}}, []uint64{8, 9})
	if a != b {
		t.Errorf("%+v != %+v", a, b)
	}
	if !slices.Equal(a.Standard(), []uint32{1, 3}) || !slices.Equal(a.Large(), [][3]uint32{{1, 9, 9}, {2, 0, 0}}) ||
		!slices.Equal(a.Extended(), []uint64{8, 9}) {
		t.Errorf("%v %v %v", a.Standard(), a.Large(), a.Extended())
	}
}

func TestPasswordIsNeverPrinted(t *testing.T) {
	c := testConfig()
	c.Password = "secret"
	if s := fmt.Sprintf("%v %+v %#v %s", c, c, c, c.Password); strings.Contains(s, "secret") {
		t.Error(s)
	}
}
