//go:build netns && linux

package bfd

import (
	"net/netip"
	"testing"
	"time"
)

var (
	here4, there4 = netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2")
	here6, there6 = netip.MustParseAddr("2001:db8::1"), netip.MustParseAddr("2001:db8::2")
)

// oneLink joins two namespaces directly: here.eth0 and there.eth0.
func oneLink(t testing.TB) (here, there *space) {
	l := newLab(t)
	here, there = l.space(), l.space()
	l.pair(here, "eth0", []string{"192.0.2.1/24", "2001:db8::1/64"}, there, "eth0", []string{"192.0.2.2/24", "2001:db8::2/64"})
	return here, there
}

func set(t testing.TB, e *Engine, k Key, p Params) {
	t.Helper()
	if err := e.Set(map[Key]Params{k: p}); err != nil {
		t.Fatal(err)
	}
}

func TestFRROverIPv4(t *testing.T) {
	here, there := oneLink(t)
	f := there.frr("bfd\n peer 192.0.2.1 local-address 192.0.2.2 interface eth0\n  no shutdown\n")
	e, _ := here.engine(Options{})
	k := Key{Peer: there4, Local: here4, Interface: "eth0"}
	set(t, e, k, Params{})
	is(t, e, k, isUp)
	f.sees("192.0.2.1", frrUp)
	f.sees("192.0.2.1", func(p frrPeer) bool {
		return p.RemoteTransmitInterval == 300 && p.RemoteReceiveInterval == 300 && p.RemoteMultiplier == 3
	})
	is(t, e, k, func(s Status) bool {
		return s.DetectionTime == 900*time.Millisecond && s.TransmitInterval == 300*time.Millisecond && !s.Polling
	})
}
