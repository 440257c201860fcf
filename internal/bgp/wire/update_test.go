package wire_test

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/lintel-lb/lintel/internal/bgp/wire"
	"github.com/lintel-lb/lintel/internal/bgp/wire/wiretest"
	"pgregory.net/rapid"
)

func parse(t testing.TB, msg []byte, four bool) *wiretest.Update {
	t.Helper()
	u, err := wiretest.Parse(body(t, msg, wire.TypeUpdate), four)
	if err != nil {
		t.Fatalf("%v in % x", err, msg)
	}
	return u
}

func prefixes(f wire.Family, n int) []netip.Prefix {
	out := make([]netip.Prefix, n)
	for i := range out {
		a := netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)})
		if f == wire.IPv6Unicast {
			a = netip.AddrFrom16([16]byte{0xfd, 13: byte(i >> 16), 14: byte(i >> 8), 15: byte(i)})
		}
		out[i] = netip.PrefixFrom(a, a.BitLen())
	}
	return out
}

func ptr[T any](v T) *T { return &v }

func fullAttributes(hop string) *wire.PathAttributes {
	return &wire.PathAttributes{
		ASPath: []uint32{4200000001, 65001}, NextHop: netip.MustParseAddr(hop),
		MED: ptr(uint32(7)), LocalPref: ptr(uint32(200)),
		Communities: []uint32{65000<<16 | 1, 0xffff0000}, Large: [][3]uint32{{4200000001, 2, 3}},
		Extended: []uint64{wire.LinkBandwidth(65001, 1e6)}, FourOctetAS: true,
	}
}

func TestAnnouncementRoundTrip(t *testing.T) {
	route := wiretest.Route{
		ASPath: []uint32{4200000001, 65001}, MED: 7, LocalPref: 200,
		Communities: []uint32{65000<<16 | 1, 0xffff0000}, Large: [][3]uint32{{4200000001, 2, 3}},
		Extended: []uint64{0x4004fde949742400},
	}
	for _, tt := range []struct {
		f   wire.Family
		hop string
	}{
		{wire.IPv4Unicast, "192.0.2.1"}, {wire.IPv4Unicast, "2001:db8::1"},
		{wire.IPv6Unicast, "2001:db8::1"}, {wire.IPv6Unicast, "fe80::1"},
	} {
		t.Run(fmt.Sprint(tt.f, tt.hop), func(t *testing.T) {
			ps := prefixes(tt.f, 3)
			msg, n, err := wire.AppendAnnouncement(nil, tt.f, fullAttributes(tt.hop), ps)
			if err != nil || n != 3 {
				t.Fatal(n, err)
			}
			want := route
			want.NextHop = netip.MustParseAddr(tt.hop)
			got := parse(t, msg, true)
			if diff := cmp.Diff(want, got.Route, addrCmp); diff != "" {
				t.Errorf("route (-want +got):\n%s", diff)
			}
			if !slices.Equal(got.Announced, ps) {
				t.Errorf("announced %v", got.Announced)
			}
		})
	}
}

// RFC 6793, section 4.2.2.
func TestTwoOctetPeerGetsAS4Path(t *testing.T) {
	p := fullAttributes("192.0.2.1")
	p.FourOctetAS = false
	msg, _, err := wire.AppendAnnouncement(nil, wire.IPv4Unicast, p, prefixes(wire.IPv4Unicast, 1))
	if err != nil {
		t.Fatal(err)
	}
	got := parse(t, msg, false).Route
	if !slices.Equal(got.ASPath, []uint32{wire.ASTrans, 65001}) || !slices.Equal(got.AS4Path, []uint32{4200000001, 65001}) {
		t.Errorf("AS_PATH %v, AS4_PATH %v", got.ASPath, got.AS4Path)
	}
	p.ASPath = []uint32{65001}
	msg, _, _ = wire.AppendAnnouncement(nil, wire.IPv4Unicast, p, prefixes(wire.IPv4Unicast, 1))
	if got := parse(t, msg, false).Route; got.AS4Path != nil {
		t.Errorf("AS4_PATH %v where AS_PATH loses nothing", got.AS4Path)
	}
}

func TestEndOfRIB(t *testing.T) {
	for _, f := range []wire.Family{wire.IPv4Unicast, wire.IPv6Unicast} {
		if got := parse(t, wire.AppendEndOfRIB(nil, f), true); got.EndOfRIB != f {
			t.Errorf("%v: got %+v", f, got)
		}
	}
}

// Packing keeps order, loses nothing, and fills every message but the last.
func TestPacking(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		f := rapid.SampledFrom([]wire.Family{wire.IPv4Unicast, wire.IPv6Unicast}).Draw(t, "family")
		hop := "2001:db8::1"
		if f == wire.IPv4Unicast && rapid.Bool().Draw(t, "v4 hop") {
			hop = "192.0.2.1"
		}
		p := fullAttributes(hop)
		p.Communities = make([]uint32, rapid.IntRange(0, 900).Draw(t, "communities"))
		withdraw := rapid.Bool().Draw(t, "withdraw")
		ps := prefixes(f, rapid.IntRange(1, 5000).Draw(t, "prefixes"))
		var got []netip.Prefix
		for rest := ps; len(rest) > 0; {
			before := []byte{1, 2, 3}
			var msg []byte
			var n int
			if withdraw {
				msg, n = wire.AppendWithdrawal(before, f, rest)
			} else {
				var err error
				if msg, n, err = wire.AppendAnnouncement(before, f, p, rest); err != nil {
					t.Fatal(err)
				}
			}
			msg = msg[3:]
			if len(msg) > wire.MaxMessageLen {
				t.Fatalf("message of %d octets", len(msg))
			}
			if n < len(rest) && len(msg)+17 < wire.MaxMessageLen {
				t.Fatalf("%d octets left in a message that is not the last", wire.MaxMessageLen-len(msg))
			}
			u, err := wiretest.Parse(msg[wire.HeaderLen:], true)
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, append(u.Announced, u.Withdrawn...)...)
			rest = rest[n:]
		}
		if !slices.Equal(got, ps) {
			t.Fatalf("%d prefixes went in, others came out: %d", len(ps), len(got))
		}
	})
}

func TestAttributesTooLarge(t *testing.T) {
	p := fullAttributes("192.0.2.1")
	p.Communities = make([]uint32, 1100)
	in := []byte{9}
	out, n, err := wire.AppendAnnouncement(in, wire.IPv4Unicast, p, prefixes(wire.IPv4Unicast, 1))
	if !errors.Is(err, wire.ErrTooLarge) || n != 0 || len(out) != 1 {
		t.Errorf("got %d octets, %d prefixes, %v", len(out), n, err)
	}
	p.NextHop = netip.MustParseAddr("2001:db8::1")
	if _, _, err := wire.AppendAnnouncement(nil, wire.IPv6Unicast, p, prefixes(wire.IPv6Unicast, 1)); !errors.Is(err, wire.ErrTooLarge) {
		t.Errorf("IPv6: %v", err)
	}
}

func TestLongASPathIsSegmented(t *testing.T) {
	p := fullAttributes("192.0.2.1")
	p.ASPath = slices.Repeat([]uint32{65001}, 300)
	msg, _, err := wire.AppendAnnouncement(nil, wire.IPv4Unicast, p, prefixes(wire.IPv4Unicast, 1))
	if err != nil {
		t.Fatal(err)
	}
	if got := parse(t, msg, true).Route.ASPath; !slices.Equal(got, p.ASPath) {
		t.Errorf("path of %d", len(got))
	}
}
