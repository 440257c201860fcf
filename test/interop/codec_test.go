package interop

import (
	"bytes"
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/lintel-lb/lintel/internal/bgp/wire"
	"github.com/osrg/gobgp/v4/pkg/packet/bgp"
	"pgregory.net/rapid"
)

func prefixesOf(t *rapid.T, f wire.Family) []netip.Prefix {
	return rapid.SliceOfN(rapid.Custom(func(t *rapid.T) netip.Prefix {
		n := 16
		if f == wire.IPv4Unicast {
			n = 4
		}
		a, _ := netip.AddrFromSlice(rapid.SliceOfN(rapid.Byte(), n, n).Draw(t, "address"))
		p, _ := a.Prefix(rapid.IntRange(0, a.BitLen()).Draw(t, "bits"))
		return p
	}), 1, 1500).Draw(t, "prefixes")
}

// theirs decodes a message with GoBGP and wants it to write the same octets again.
func theirs(t *rapid.T, msg []byte, o *bgp.MarshallingOption) *bgp.BGPMessage {
	m, err := bgp.ParseBGPMessage(msg, o)
	if err != nil {
		t.Fatalf("GoBGP refuses % x: %v", msg, err)
	}
	again, err := m.Serialize(o)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(msg, again) {
		t.Fatalf("we wrote\n% x, GoBGP\n% x", msg, again)
	}
	return m
}

func nlri(paths []bgp.PathNLRI) (out []string) {
	for _, p := range paths {
		out = append(out, p.NLRI.String())
	}
	return out
}

// What we write, GoBGP's codec reads as what was meant.
func TestCodecUpdates(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		f := rapid.SampledFrom([]wire.Family{wire.IPv4Unicast, wire.IPv6Unicast}).Draw(t, "family")
		ps := prefixesOf(t, f)
		o := &bgp.MarshallingOption{Use2ByteAS: rapid.Bool().Draw(t, "two-octet AS")}
		hop := netip.MustParseAddr("2001:db8::7")
		if f == wire.IPv4Unicast && rapid.Bool().Draw(t, "IPv4 hop") {
			hop = netip.MustParseAddr("192.0.2.7")
		}
		med, pref := rapid.Uint32().Draw(t, "MED"), rapid.Uint32().Draw(t, "local pref")
		a := wire.PathAttributes{
			NextHop: hop, MED: &med, LocalPref: &pref, FourOctetAS: !o.Use2ByteAS,
			ASPath:      rapid.SliceOfN(rapid.Uint32Range(1, 1<<32-1), 0, 5).Draw(t, "path"),
			Communities: rapid.SliceOfN(rapid.Uint32(), 0, 100).Draw(t, "communities"),
			Extended:    []uint64{wire.LinkBandwidth(64500, 1e6), 0x0002_fbf4_00000064},
			Large:       [][3]uint32{{4200000001, 2, rapid.Uint32().Draw(t, "large")}},
		}
		msg, n, err := wire.AppendAnnouncement(nil, f, &a, ps)
		if err != nil {
			t.Fatal(err)
		}
		u := theirs(t, msg, o).Body.(*bgp.BGPUpdate)
		got := nlri(u.NLRI)
		for _, at := range u.PathAttributes {
			switch at := at.(type) {
			case *bgp.PathAttributeMpReachNLRI:
				got = nlri(at.Value)
				if at.Nexthop != hop {
					t.Fatalf("next hop %v, want %v", at.Nexthop, hop)
				}
			case *bgp.PathAttributeNextHop:
				if at.Value != hop {
					t.Fatalf("next hop %v, want %v", at.Value, hop)
				}
			case *bgp.PathAttributeMultiExitDisc:
				if at.Value != med {
					t.Fatalf("MED %d, want %d", at.Value, med)
				}
			case *bgp.PathAttributeLocalPref:
				if at.Value != pref {
					t.Fatalf("LOCAL_PREF %d, want %d", at.Value, pref)
				}
			case *bgp.PathAttributeCommunities:
				if fmt.Sprint(at.Value) != fmt.Sprint(a.Communities) {
					t.Fatalf("communities %v, want %v", at.Value, a.Communities)
				}
			case *bgp.PathAttributeLargeCommunities:
				if v := at.Values[0]; [3]uint32{v.ASN, v.LocalData1, v.LocalData2} != a.Large[0] {
					t.Fatalf("large %v", v)
				}
			case *bgp.PathAttributeExtendedCommunities:
				if s := fmt.Sprint(at.Value); s != "[64500:1000000 64500:100]" && s != "[64500:1000000.000000 64500:100]" && len(at.Value) != 2 {
					t.Fatalf("extended %v", s)
				}
			case *bgp.PathAttributeAs4Path:
				if !o.Use2ByteAS {
					t.Fatal("AS4_PATH for a four-octet peer")
				}
			case *bgp.PathAttributeOrigin, *bgp.PathAttributeAsPath:
			default:
				t.Fatalf("attribute %T", at)
			}
		}
		want := make([]string, n)
		for i, p := range ps[:n] {
			want[i] = p.String()
		}
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Fatalf("GoBGP reads %v, want %v", got, want)
		}
		msg, n = wire.AppendWithdrawal(nil, f, ps)
		u = theirs(t, msg, o).Body.(*bgp.BGPUpdate)
		if got = nlri(u.WithdrawnRoutes); f == wire.IPv6Unicast {
			got = nlri(u.PathAttributes[0].(*bgp.PathAttributeMpUnreachNLRI).Value)
		}
		if len(got) != n || got[n-1] != ps[n-1].String() {
			t.Fatalf("GoBGP reads %d withdrawals, want %d", len(got), n)
		}
		if end, ff := theirs(t, wire.AppendEndOfRIB(nil, f), o).Body.(*bgp.BGPUpdate).IsEndOfRib(); !end || uint32(ff) != uint32(f) {
			t.Fatalf("End-of-RIB of %v is %v, %v", f, end, ff)
		}
	})
}

// OPENs in both directions.
func TestCodecOpen(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		o := wire.Open{
			ASN:      rapid.Uint32Range(1, 1<<32-1).Draw(t, "AS"),
			HoldTime: time.Duration(rapid.IntRange(3, 65535).Draw(t, "hold")) * time.Second,
			RouterID: netip.AddrFrom4([4]byte{10, 0, 0, rapid.Byte().Draw(t, "ID")}),
		}
		c := &o.Capabilities
		c.FourOctetAS, c.RouteRefresh = o.ASN, rapid.Bool().Draw(t, "refresh")
		c.Families = []wire.Family{wire.IPv4Unicast, wire.IPv6Unicast}
		c.ExtendedNextHop = []wire.Family{wire.IPv4Unicast}
		c.GracefulRestart = wire.GracefulRestart{
			Present: true, Restarting: rapid.Bool().Draw(t, "R"), Notification: rapid.Bool().Draw(t, "N"),
			Time:     time.Duration(rapid.IntRange(0, 4095).Draw(t, "restart")) * time.Second,
			Families: []wire.RestartFamily{{Family: wire.IPv4Unicast, Forwarding: true}, {Family: wire.IPv6Unicast}},
		}
		c.LongLived = []wire.LongLivedFamily{{Family: wire.IPv6Unicast, Forwarding: true,
			StaleTime: time.Duration(rapid.IntRange(0, 1<<24-1).Draw(t, "stale")) * time.Second}}
		msg := o.Append(nil)
		m := theirs(t, msg, nil)
		body := m.Body.(*bgp.BGPOpen)
		if time.Duration(body.HoldTime)*time.Second != o.HoldTime || body.ID != o.RouterID {
			t.Fatalf("GoBGP reads %+v", body)
		}
		for _, p := range body.OptParams {
			for _, got := range p.(*bgp.OptionParameterCapability).Capability {
				switch got := got.(type) {
				case *bgp.CapFourOctetASNumber:
					if got.CapValue != o.ASN {
						t.Fatalf("AS %d", got.CapValue)
					}
				case *bgp.CapGracefulRestart:
					if time.Duration(got.Time)*time.Second != c.GracefulRestart.Time || got.Flags&8 != 0 != c.GracefulRestart.Restarting ||
						got.Flags&4 != 0 != c.GracefulRestart.Notification || len(got.Tuples) != 2 || got.Tuples[0].Flags != 0x80 || got.Tuples[1].Flags != 0 {
						t.Fatalf("graceful restart %+v", got)
					}
				case *bgp.CapLongLivedGracefulRestart:
					if time.Duration(got.Tuples[0].RestartTime)*time.Second != c.LongLived[0].StaleTime {
						t.Fatalf("long-lived %+v", got.Tuples[0])
					}
				case *bgp.CapExtendedNexthop:
					if *got.Tuples[0] != (bgp.CapExtendedNexthopTuple{NLRIAFI: 1, NLRISAFI: 1, NexthopAFI: 2}) {
						t.Fatalf("extended next hop %+v", got.Tuples[0])
					}
				case *bgp.CapMultiProtocol, *bgp.CapRouteRefresh:
				default:
					t.Fatalf("capability %T", got)
				}
			}
		}
		back, err := wire.ParseOpen(msg[wire.HeaderLen:])
		if err != nil || back.ASN != o.ASN {
			t.Fatalf("%+v, %v", back, err)
		}
	})
}

// What GoBGP writes, we read.
func TestCodecTheirMessages(t *testing.T) {
	open, err := bgp.NewBGPOpenMessage(23456, 90, netip.MustParseAddr("10.0.0.9"), []bgp.OptionParameterInterface{
		bgp.NewOptionParameterCapability([]bgp.ParameterCapabilityInterface{
			bgp.NewCapMultiProtocol(bgp.RF_IPv4_UC), bgp.NewCapMultiProtocol(bgp.RF_EVPN), bgp.NewCapFourOctetASNumber(4200000009),
			bgp.NewCapGracefulRestart(true, true, 77, []*bgp.CapGracefulRestartTuple{bgp.NewCapGracefulRestartTuple(bgp.RF_IPv4_UC, true)}),
			bgp.NewCapFQDN("router", "example.net"), bgp.NewCapEnhancedRouteRefresh(),
		}),
	})
	if err != nil {
		t.Fatal(err)
	}
	b, err := open.Serialize()
	if err != nil {
		t.Fatal(err)
	}
	got, err := wire.ParseOpen(b[wire.HeaderLen:])
	if err != nil {
		t.Fatal(err)
	}
	gr := got.Capabilities.GracefulRestart
	if got.ASN != 4200000009 || !got.Capabilities.HasFamily(wire.IPv4Unicast) || got.Capabilities.HasFamily(wire.IPv6Unicast) ||
		gr.Time != 77*time.Second || !gr.Restarting || !gr.Notification || !gr.Families[0].Forwarding || len(got.Capabilities.Unknown) != 2 {
		t.Errorf("got %+v", got)
	}
	for code := range uint8(9) {
		for sub := range uint8(12) {
			b, err := bgp.NewBGPNotificationMessage(code, sub, []byte("data")).Serialize()
			if err != nil {
				t.Fatal(err)
			}
			typ, n, err := wire.ParseHeader(b)
			if err != nil || typ != wire.TypeNotification {
				t.Fatal(typ, err)
			}
			got, err := wire.ParseNotification(b[wire.HeaderLen:][:n])
			if err != nil || uint8(got.Code) != code || got.Subcode != sub || string(got.Data) != "data" {
				t.Errorf("%d/%d: %+v, %v", code, sub, got, err)
			}
		}
	}
	rr, _ := bgp.NewBGPRouteRefreshMessage(2, 1, 1).Serialize()
	if got, err := wire.ParseRouteRefresh(rr[wire.HeaderLen:]); err != nil || got != (wire.RouteRefresh{Family: wire.IPv6Unicast, Subtype: 1}) {
		t.Errorf("%+v, %v", got, err)
	}
}
