package wire_test

import (
	"errors"
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/lintel-lb/lintel/internal/bgp/wire"
)

var addrCmp = cmp.Comparer(func(a, b netip.Addr) bool { return a == b })

func fullOpen() *wire.Open {
	return &wire.Open{
		ASN:      4200000001,
		HoldTime: 90 * time.Second,
		RouterID: netip.MustParseAddr("192.0.2.1"),
		Capabilities: wire.Capabilities{
			Families:        []wire.Family{wire.IPv4Unicast, wire.IPv6Unicast},
			RouteRefresh:    true,
			ExtendedNextHop: []wire.Family{wire.IPv4Unicast},
			FourOctetAS:     4200000001,
			GracefulRestart: wire.GracefulRestart{
				Present: true, Restarting: true, Notification: true, Time: 30 * time.Second,
				Families: []wire.RestartFamily{{Family: wire.IPv4Unicast, Forwarding: true}, {Family: wire.IPv6Unicast}},
			},
			LongLived: []wire.LongLivedFamily{{Family: wire.IPv4Unicast, Forwarding: true, StaleTime: 3600 * time.Second}},
		},
	}
}

// body checks the header of a single message and returns what follows it.
func body(t testing.TB, msg []byte, want wire.MessageType) []byte {
	t.Helper()
	typ, n, err := wire.ParseHeader(msg)
	if err != nil {
		t.Fatal(err)
	}
	if typ != want || n != len(msg)-wire.HeaderLen {
		t.Fatalf("header says %v with %d octets of body, message is %d long", typ, n, len(msg))
	}
	return msg[wire.HeaderLen:]
}

func TestOpenRoundTrip(t *testing.T) {
	for name, o := range map[string]*wire.Open{
		"everything": fullOpen(),
		"bare":       {ASN: 64512, HoldTime: 0, RouterID: netip.MustParseAddr("10.0.0.1")},
		"two octets": {ASN: 65001, HoldTime: 3 * time.Second, RouterID: netip.MustParseAddr("10.0.0.1"),
			Capabilities: wire.Capabilities{FourOctetAS: 65001}},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := wire.ParseOpen(body(t, o.Append(nil), wire.TypeOpen))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(o, got, addrCmp); diff != "" {
				t.Errorf("open (-want +got):\n%s", diff)
			}
		})
	}
}

// open builds the body of an OPEN by hand.
func open(version byte, as uint16, hold uint16, id string, params ...byte) []byte {
	b := []byte{version, byte(as >> 8), byte(as), byte(hold >> 8), byte(hold)}
	b = append(b, netip.MustParseAddr(id).AsSlice()...)
	return append(b, params...)
}

func TestParseOpenErrors(t *testing.T) {
	tests := map[string]struct {
		body    []byte
		code    wire.Code
		subcode uint8
	}{
		"short":                   {[]byte{4, 0, 1}, wire.CodeHeader, wire.HeaderBadLength},
		"version 3":               {open(3, 65000, 90, "10.0.0.1", 0), wire.CodeOpen, wire.OpenBadVersion},
		"hold time 1":             {open(4, 65000, 1, "10.0.0.1", 0), wire.CodeOpen, wire.OpenBadHoldTime},
		"hold time 2":             {open(4, 65000, 2, "10.0.0.1", 0), wire.CodeOpen, wire.OpenBadHoldTime},
		"router ID 0":             {open(4, 65000, 90, "0.0.0.0", 0), wire.CodeOpen, wire.OpenBadIdentifier},
		"AS 0":                    {open(4, 0, 90, "10.0.0.1", 0), wire.CodeOpen, wire.OpenBadPeerAS},
		"AS differs":              {open(4, 65000, 90, "10.0.0.1", 8, 2, 6, 65, 4, 0, 0, 0, 1), wire.CodeOpen, wire.OpenBadPeerAS},
		"parameter 1":             {open(4, 65000, 90, "10.0.0.1", 3, 1, 1, 0), wire.CodeOpen, wire.OpenBadParameter},
		"length of parameters":    {open(4, 65000, 90, "10.0.0.1", 9, 2, 0), wire.CodeOpen, wire.OpenUnspecific},
		"parameter too long":      {open(4, 65000, 90, "10.0.0.1", 2, 2, 9), wire.CodeOpen, wire.OpenUnspecific},
		"capability too long":     {open(4, 65000, 90, "10.0.0.1", 4, 2, 2, 65, 9), wire.CodeOpen, wire.OpenUnspecific},
		"four-octet AS of 3":      {open(4, 65000, 90, "10.0.0.1", 7, 2, 5, 65, 3, 0, 0, 1), wire.CodeOpen, wire.OpenUnspecific},
		"graceful restart of 1":   {open(4, 65000, 90, "10.0.0.1", 5, 2, 3, 64, 1, 0), wire.CodeOpen, wire.OpenUnspecific},
		"multiprotocol of 0":      {open(4, 65000, 90, "10.0.0.1", 4, 2, 2, 1, 0), wire.CodeOpen, wire.OpenUnspecific},
		"long-lived of 1":         {open(4, 65000, 90, "10.0.0.1", 5, 2, 3, 71, 1, 0), wire.CodeOpen, wire.OpenUnspecific},
		"extended next hop of 5":  {open(4, 65000, 90, "10.0.0.1", 9, 2, 7, 5, 5, 0, 1, 0, 1, 0), wire.CodeOpen, wire.OpenUnspecific},
		"extended length missing": {open(4, 65000, 90, "10.0.0.1", 255, 255, 0), wire.CodeOpen, wire.OpenUnspecific},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := wire.ParseOpen(tt.body)
			var e *wire.Error
			if !errors.As(err, &e) {
				t.Fatalf("error is %v", err)
			}
			if e.Notification.Code != tt.code || e.Notification.Subcode != tt.subcode {
				t.Errorf("got %v, want %d/%d", e.Notification, tt.code, tt.subcode)
			}
		})
	}
}

func TestParseOpenTolerates(t *testing.T) {
	tests := map[string]struct {
		body []byte
		want wire.Capabilities
	}{
		"unknown capabilities": {
			open(4, 65000, 90, "10.0.0.1", 9, 2, 7, 200, 1, 7, 2, 0, 201, 0),
			wire.Capabilities{RouteRefresh: true, Unknown: []uint8{200, 201}},
		},
		"several parameters": {
			open(4, 65000, 90, "10.0.0.1", 14, 2, 6, 1, 4, 0, 1, 0, 1, 2, 4, 2, 0, 2, 0),
			wire.Capabilities{RouteRefresh: true, Families: []wire.Family{wire.IPv4Unicast}},
		},
		"extended parameter length": {
			open(4, 65000, 90, "10.0.0.1", 255, 255, 0, 5, 2, 0, 2, 2, 0),
			wire.Capabilities{RouteRefresh: true},
		},
		"graceful restart without families": {
			open(4, 65000, 90, "10.0.0.1", 6, 2, 4, 64, 2, 0x80, 120),
			wire.Capabilities{GracefulRestart: wire.GracefulRestart{Present: true, Restarting: true, Time: 120 * time.Second}},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := wire.ParseOpen(tt.body)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, got.Capabilities); diff != "" {
				t.Errorf("capabilities (-want +got):\n%s", diff)
			}
		})
	}
}

func TestParseHeaderErrors(t *testing.T) {
	header := func(length uint16, typ byte) []byte {
		b := wire.AppendKeepalive(nil)
		b[16], b[17], b[18] = byte(length>>8), byte(length), typ
		return b
	}
	unsynchronized := header(19, 4)
	unsynchronized[3] = 0
	tests := map[string]struct {
		b       []byte
		subcode uint8
	}{
		"short":                {header(19, 4)[:18], wire.HeaderBadLength},
		"marker":               {unsynchronized, wire.HeaderNotSynchronized},
		"type 0":               {header(19, 0), wire.HeaderBadType},
		"type 6":               {header(19, 6), wire.HeaderBadType},
		"length 18":            {header(18, 4), wire.HeaderBadLength},
		"KEEPALIVE of 20":      {header(20, 4), wire.HeaderBadLength},
		"OPEN of 28":           {header(28, 1), wire.HeaderBadLength},
		"UPDATE of 22":         {header(22, 2), wire.HeaderBadLength},
		"UPDATE of 4097":       {header(4097, 2), wire.HeaderBadLength},
		"NOTIFICATION of 20":   {header(20, 3), wire.HeaderBadLength},
		"ROUTE-REFRESH of 22":  {header(22, 5), wire.HeaderBadLength},
		"UPDATE of 65535":      {header(65535, 2), wire.HeaderBadLength},
		"NOTIFICATION of 5000": {header(5000, 3), wire.HeaderBadLength},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			_, _, err := wire.ParseHeader(tt.b)
			var e *wire.Error
			if !errors.As(err, &e) {
				t.Fatalf("error is %v", err)
			}
			if e.Notification.Code != wire.CodeHeader || e.Notification.Subcode != tt.subcode {
				t.Errorf("got %v, want 1/%d", e.Notification, tt.subcode)
			}
		})
	}
}
