package wire_test

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/lintel-lb/lintel/internal/bgp/wire"
)

func TestNotificationWords(t *testing.T) {
	tests := []struct {
		n    wire.Notification
		want string
	}{
		{wire.Notification{Code: 2, Subcode: 2, Data: []byte{0xfd, 0xe9}}, "OPEN message error: bad peer AS (2/2) with AS 65001"},
		{wire.Notification{Code: 4}, "hold timer expired (4/0)"},
		{wire.Notification{Code: 5, Subcode: 1}, "finite state machine error: unexpected message in OpenSent state (5/1)"},
		{wire.Notification{Code: 8}, "send hold timer expired (8/0)"},
		{wire.Notification{Code: 6, Subcode: 10}, "cease: BFD down (6/10)"},
		{wire.Notification{Code: 6, Subcode: 77}, "cease: subcode 77 (6/77)"},
		{wire.Notification{Code: 99, Subcode: 1, Data: []byte{1}}, "error code 99 subcode 1 (99/1) with data 01"},
		{wire.Shutdown("node is drained"), `cease: administrative shutdown (6/2) with the text "node is drained"`},
		{wire.Notification{Code: 6, Subcode: 2, Data: []byte{9, 'a'}}, "cease: administrative shutdown (6/2) with data 0961"},
		{wire.HardReset(wire.Shutdown("")), "cease: hard reset (6/9) because of cease: administrative shutdown (6/2)"},
		{wire.HardReset(wire.HardReset(wire.HardReset(wire.Shutdown("")))), "cease: hard reset (6/9)"},
		{wire.Notification{Code: 1, Subcode: 2, Data: []byte{0x10, 0x01}}, "message header error: bad message length (1/2) with data 1001"},
	}
	for _, tt := range tests {
		if got := tt.n.String(); got != tt.want {
			t.Errorf("%d/%d: got %q, want %q", tt.n.Code, tt.n.Subcode, got, tt.want)
		}
	}
}

func TestNotificationRoundTrip(t *testing.T) {
	for _, n := range []wire.Notification{
		{Code: wire.CodeHoldTimer},
		wire.Shutdown("maintenance"),
		wire.HardReset(wire.Shutdown("gone")),
		{Code: wire.CodeOpen, Subcode: wire.OpenUnsupportedCapability, Data: make([]byte, 4096-21)},
	} {
		got, err := wire.ParseNotification(body(t, n.Append(nil), wire.TypeNotification))
		if err != nil {
			t.Fatal(err)
		}
		want := n
		want.Data = append([]byte(nil), n.Data...)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("notification (-want +got):\n%s", diff)
		}
	}
}

func TestShutdownTextIsCutBetweenCharacters(t *testing.T) {
	n := wire.Shutdown("x" + strings.Repeat("ü", 200))
	if len(n.Data) > 256 || int(n.Data[0]) != len(n.Data)-1 {
		t.Fatalf("length octet %d in %d octets", n.Data[0], len(n.Data))
	}
	if !utf8.Valid(n.Data[1:]) || n.Data[0] != 255 {
		t.Errorf("text of %d octets, valid %v", n.Data[0], utf8.Valid(n.Data[1:]))
	}
}

func TestNotificationNeverTooLong(t *testing.T) {
	msg := wire.Notification{Code: 1, Data: make([]byte, 9000)}.Append(nil)
	if len(msg) != wire.MaxMessageLen {
		t.Errorf("message of %d octets", len(msg))
	}
	body(t, msg, wire.TypeNotification)
}

func TestRouteRefreshRoundTrip(t *testing.T) {
	want := wire.RouteRefresh{Family: wire.IPv6Unicast, Subtype: wire.RefreshBegin}
	got, err := wire.ParseRouteRefresh(body(t, want.Append(nil), wire.TypeRouteRefresh))
	if err != nil || got != want {
		t.Errorf("got %v, %v", got, err)
	}
}
