package wire_test

import (
	"errors"
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/lintel-lb/lintel/internal/bgp/wire"
)

func FuzzParseHeader(f *testing.F) {
	f.Add(wire.AppendKeepalive(nil))
	f.Add(fullOpen().Append(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		typ, n, err := wire.ParseHeader(b)
		if err != nil {
			var e *wire.Error
			if !errors.As(err, &e) || e.Notification.Code != wire.CodeHeader {
				t.Fatalf("error without its NOTIFICATION: %v", err)
			}
			return
		}
		if n < 0 || n > wire.MaxMessageLen-wire.HeaderLen || typ < wire.TypeOpen || typ > wire.TypeRouteRefresh {
			t.Fatalf("%v with %d octets", typ, n)
		}
	})
}

// Whatever ParseOpen accepts must survive being written and read again.
func FuzzParseOpen(f *testing.F) {
	f.Add(fullOpen().Append(nil)[wire.HeaderLen:])
	f.Add(open(4, 65000, 90, "10.0.0.1", 255, 255, 0, 5, 2, 0, 2, 2, 0))
	f.Add(open(4, 65000, 0, "10.0.0.1", 9, 2, 7, 200, 1, 7, 2, 0, 201, 0))
	f.Fuzz(func(t *testing.T, b []byte) {
		o, err := wire.ParseOpen(b)
		if err != nil {
			var e *wire.Error
			if !errors.As(err, &e) {
				t.Fatalf("error without its NOTIFICATION: %v", err)
			}
			return
		}
		o.Capabilities.Unknown = nil
		if c := o.Capabilities; 6*len(c.Families)+8*len(c.ExtendedNextHop)+4*len(c.GracefulRestart.Families)+7*len(c.LongLived) > 200 {
			return // more than this speaker would ever write
		}
		again, err := wire.ParseOpen(o.Append(nil)[wire.HeaderLen:])
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(o, again, addrCmp); diff != "" {
			t.Fatalf("(-want +got):\n%s", diff)
		}
	})
}

func FuzzParseNotification(f *testing.F) {
	f.Add(wire.Shutdown("text").Append(nil)[wire.HeaderLen:])
	f.Add(wire.HardReset(wire.Shutdown("text")).Append(nil)[wire.HeaderLen:])
	f.Add([]byte{2, 2, 1, 2})
	f.Fuzz(func(t *testing.T, b []byte) {
		n, err := wire.ParseNotification(b)
		if err != nil {
			return
		}
		if n.String() == "" {
			t.Fatal("no words")
		}
	})
}

func FuzzParseRouteRefresh(f *testing.F) {
	f.Add(wire.RouteRefresh{Family: wire.IPv4Unicast}.Append(nil)[wire.HeaderLen:])
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := wire.ParseRouteRefresh(b)
		if err != nil {
			return
		}
		if got, err := wire.ParseRouteRefresh(r.Append(nil)[wire.HeaderLen:]); err != nil || got != r {
			t.Fatalf("%v, %v, want %v", got, err, r)
		}
	})
}

func FuzzPrefixes(f *testing.F) {
	f.Add([]byte{10, 0, 0, 1}, uint8(24))
	f.Add(netip.MustParseAddr("2001:db8::1").AsSlice(), uint8(127))
	f.Fuzz(func(t *testing.T, raw []byte, bits uint8) {
		a, ok := netip.AddrFromSlice(raw)
		if !ok || a.Is4In6() {
			return
		}
		p, err := a.Prefix(int(bits))
		if err != nil {
			return
		}
		msg, _ := wire.AppendWithdrawal(nil, wire.FamilyOf(a), []netip.Prefix{p})
		if got := parse(t, msg, true).Withdrawn; len(got) != 1 || got[0] != p {
			t.Fatalf("got %v, want %v", got, p)
		}
	})
}
