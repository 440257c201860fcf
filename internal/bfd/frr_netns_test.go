//go:build netns && linux

package bfd

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"
)

const (
	here4, there4 = "192.0.2.1", "192.0.2.2"
	here6, there6 = "2001:db8::1", "2001:db8::2"
)

// frr4 is the session at FRR's end of oneLink; lines of its configuration follow.
const frr4 = "bfd\n peer 192.0.2.1 local-address 192.0.2.2 interface eth0\n"

var key4 = Key{Peer: netip.MustParseAddr(there4), Local: netip.MustParseAddr(here4), Interface: "eth0"}

// oneLink joins two namespaces directly: here.eth0 and there.eth0.
func oneLink(t testing.TB) (here, there *space) {
	l := newLab(t)
	here, there = l.space(), l.space()
	l.pair(here, "eth0", []string{here4 + "/24", here6 + "/64"}, there, "eth0", []string{there4 + "/24", there6 + "/64"})
	return here, there
}

func set(t testing.TB, e *Engine, k Key, p Params) {
	t.Helper()
	if err := e.Set(map[Key]Params{k: p}); err != nil {
		t.Fatal(err)
	}
}

// diary keeps what an engine tells.
type diary struct {
	mu     sync.Mutex
	events []Event
}

func follow(e *Engine) *diary {
	j := &diary{}
	e.Subscribe(func(ev Event) {
		j.mu.Lock()
		defer j.mu.Unlock()
		j.events = append(j.events, ev)
	})
	return j
}

// leftUp waits for the end of Up after the given time.
func (j *diary) leftUp(t testing.TB, after time.Time) (ev Event) {
	t.Helper()
	eventually(t, func() error {
		j.mu.Lock()
		defer j.mu.Unlock()
		for _, ev = range j.events {
			if ev.From == Up && ev.At.After(after) {
				return nil
			}
		}
		return fmt.Errorf("still up: %+v", j.events)
	})
	return ev
}

func TestFRROverIPv4(t *testing.T) {
	here, there := oneLink(t)
	f := there.frr(frr4)
	e, _ := here.engine(Options{})
	set(t, e, key4, Params{})
	f.sees(here4, frrUp)
	f.sees(here4, func(p frrPeer) bool {
		return p.RemoteTransmitInterval == 300 && p.RemoteReceiveInterval == 300 && p.RemoteMultiplier == 3
	})
	is(t, e, key4, func(s Status) bool {
		return s.State == Up && s.DetectionTime == 900*ms && s.TransmitInterval == 300*ms && !s.Polling
	})
}

// TestFRRWithoutNames leaves local address and interface open.
func TestFRRWithoutNames(t *testing.T) {
	here, there := oneLink(t)
	f := there.frr("bfd\n peer 192.0.2.1\n !\n peer 2001:db8::1 local-address 2001:db8::2\n")
	e, _ := here.engine(Options{})
	if err := e.Set(map[Key]Params{{Peer: netip.MustParseAddr(there4)}: {}, {Peer: netip.MustParseAddr(there6)}: {}}); err != nil {
		t.Fatal(err)
	}
	f.sees(here4, frrUp)
	f.sees(here6, frrUp)
}

func TestFRROverIPv6(t *testing.T) {
	here, there := oneLink(t)
	f := there.frr("bfd\n peer 2001:db8::1 local-address 2001:db8::2 interface eth0\n")
	e, _ := here.engine(Options{})
	k := Key{Peer: netip.MustParseAddr(there6), Local: netip.MustParseAddr(here6), Interface: "eth0"}
	set(t, e, k, Params{TransmitInterval: 100 * ms, ReceiveInterval: 150 * ms, DetectMultiplier: 4})
	f.sees(here6, func(p frrPeer) bool {
		return frrUp(p) && p.RemoteTransmitInterval == 100 && p.RemoteReceiveInterval == 150 && p.RemoteMultiplier == 4
	})
	is(t, e, k, isUp)
}

// linkLocal returns the address that the kernel gave to eth0.
func (s *space) linkLocal() netip.Addr {
	s.lab.t.Helper()
	var addr netip.Addr
	eventually(s.lab.t, func() error {
		fields := strings.Fields(s.ip("-6 -o addr show dev eth0 scope link"))
		for i, f := range fields {
			if f == "inet6" {
				addr = netip.MustParsePrefix(fields[i+1]).Addr()
				return nil
			}
		}
		return fmt.Errorf("no link-local address: %v", fields)
	})
	return addr
}

func TestFRROverLinkLocal(t *testing.T) {
	here, there := oneLink(t)
	a, b := here.linkLocal(), there.linkLocal()
	f := there.frr(fmt.Sprintf("bfd\n peer %v local-address %v interface eth0\n", a, b))
	e, _ := here.engine(Options{})
	k := Key{Peer: b.WithZone("eth0"), Local: a}
	set(t, e, k, Params{})
	f.sees(a.String(), frrUp)
	is(t, e, k, isUp)
}

// twoHops puts a router between here and there.
func twoHops(t testing.TB) (here, there *space) {
	l := newLab(t)
	here, there = l.space(), l.space()
	router := l.space()
	l.pair(here, "eth0", []string{"198.51.100.1/25", "2001:db8:1::1/64"}, router, "eth0", []string{"198.51.100.2/25", "2001:db8:1::2/64"})
	l.pair(there, "eth0", []string{"198.51.100.129/25", "2001:db8:2::1/64"}, router, "eth1", []string{"198.51.100.130/25", "2001:db8:2::2/64"})
	here.ip("route add default via 198.51.100.2")
	there.ip("route add default via 198.51.100.130")
	here.ip("-6 route add default via 2001:db8:1::2")
	there.ip("-6 route add default via 2001:db8:2::2")
	return here, there
}

func TestFRROverTwoHops(t *testing.T) {
	here, there := twoHops(t)
	f := there.frr("bfd\n peer 198.51.100.1 multihop local-address 198.51.100.129\n !\n peer 2001:db8:1::1 multihop local-address 2001:db8:2::1\n")
	e, _ := here.engine(Options{})
	k4 := Key{Peer: netip.MustParseAddr("198.51.100.129"), Local: netip.MustParseAddr("198.51.100.1"), MultiHop: true}
	k6 := Key{Peer: netip.MustParseAddr("2001:db8:2::1"), Local: netip.MustParseAddr("2001:db8:1::1"), MultiHop: true}
	if err := e.Set(map[Key]Params{k4: {MinimumTTL: 255}, k6: {MinimumTTL: 255}}); err != nil {
		t.Fatal(err)
	}
	// Packets come with TTL 254 and are counted out.
	eventually(t, func() error {
		s := e.Snapshot()
		if s.Discards.TTL < 4 || s.Sessions[k4].State != Down || s.Sessions[k6].State != Down {
			return fmt.Errorf("%+v", s)
		}
		return nil
	})
	if err := e.Set(map[Key]Params{k4: {}, k6: {}}); err != nil {
		t.Fatal(err)
	}
	f.sees("198.51.100.1", frrUp)
	f.sees("2001:db8:1::1", frrUp)
	is(t, e, k4, isUp)
	is(t, e, k6, isUp)
}

func TestFRRTakesOurChanges(t *testing.T) {
	here, there := oneLink(t)
	f := there.frr(frr4)
	e, _ := here.engine(Options{})
	set(t, e, key4, Params{})
	f.sees(here4, frrUp)
	for _, p := range []Params{
		{TransmitInterval: 50 * ms, ReceiveInterval: 60 * ms, DetectMultiplier: 5},
		{TransmitInterval: 2000 * ms, ReceiveInterval: 1000 * ms, DetectMultiplier: 2},
		{},
	} {
		set(t, e, key4, p)
		p = p.withDefaults()
		f.sees(here4, func(r frrPeer) bool {
			return frrUp(r) && r.RemoteTransmitInterval == int(p.TransmitInterval/ms) &&
				r.RemoteReceiveInterval == int(p.ReceiveInterval/ms) && r.RemoteMultiplier == int(p.DetectMultiplier)
		})
		is(t, e, key4, func(s Status) bool {
			return !s.Polling && s.TransmitInterval == max(p.TransmitInterval, 300*ms)
		})
	}
	// The slowest of these intervals is longer than the fastest detection time: the sequences are
	// what kept the session up. One more detection time shows that it is.
	was := e.Snapshot().Sessions[key4].ControlIn
	is(t, e, key4, func(s Status) bool { return s.ControlIn >= was+6 })
	c, err := f.counters(here4)
	if err != nil || c.SessionDown != 0 || c.SessionUp != 1 {
		t.Errorf("FRR counted %+v, %v", c, err)
	}
	if s := e.Snapshot().Sessions[key4]; s.DownEvents != 0 {
		t.Errorf("%+v", s)
	}
}

func TestWeTakeFRRsChanges(t *testing.T) {
	here, there := oneLink(t)
	f := there.frr(frr4)
	e, _ := here.engine(Options{})
	set(t, e, key4, Params{TransmitInterval: 50 * ms, ReceiveInterval: 50 * ms})
	f.sees(here4, frrUp)
	is(t, e, key4, func(s Status) bool { return s.DetectionTime == 900*ms })
	for _, v := range []struct{ tx, rx, mult int }{{50, 70, 5}, {1000, 800, 2}, {100, 100, 3}} {
		f.configure("bfd", "peer 192.0.2.1 local-address 192.0.2.2 interface eth0",
			fmt.Sprintf("transmit-interval %d", v.tx), fmt.Sprintf("receive-interval %d", v.rx), fmt.Sprintf("detect-multiplier %d", v.mult))
		is(t, e, key4, func(s Status) bool {
			return s.State == Up && s.TransmitInterval == time.Duration(v.rx)*ms &&
				s.DetectionTime == time.Duration(v.tx*v.mult)*ms && s.RemoteMultiplier == uint8(v.mult)
		})
	}
	if s := e.Snapshot().Sessions[key4]; s.DownEvents != 0 || s.UpEvents != 1 {
		t.Errorf("%+v", s)
	}
}

func TestFRRKilled(t *testing.T) {
	here, there := oneLink(t)
	f := there.frr(frr4 + "  transmit-interval 100\n  receive-interval 100\n")
	e, _ := here.engine(Options{})
	j := follow(e)
	set(t, e, key4, Params{TransmitInterval: 100 * ms, ReceiveInterval: 100 * ms})
	f.sees(here4, frrUp)
	is(t, e, key4, func(s Status) bool { return s.DetectionTime == 300*ms })
	killed := time.Now()
	f.kill()
	ev := j.leftUp(t, killed)
	if d := ev.At.Sub(killed); !ev.Failed() || ev.Diagnostic != DiagDetectionTimeExpired || d > 300*ms+50*ms {
		t.Errorf("down after %v: %+v", d, ev)
	}
}

func TestWeAreKilled(t *testing.T) {
	here, there := oneLink(t)
	f := there.frr(frr4)
	e, kill := here.engine(Options{})
	set(t, e, key4, Params{})
	f.sees(here4, frrUp)
	kill()
	f.sees(here4, func(p frrPeer) bool { return p.Status == "down" && p.Diagnostic == "control detection time expired" })

	// The next life is taken for the same peer.
	e, _ = here.engine(Options{})
	set(t, e, key4, Params{})
	f.sees(here4, frrUp)
	is(t, e, key4, isUp)
}

func TestLinkCut(t *testing.T) {
	here, there := oneLink(t)
	f := there.frr(frr4)
	e, _ := here.engine(Options{})
	j := follow(e)
	set(t, e, key4, Params{})
	f.sees(here4, frrUp)
	is(t, e, key4, func(s Status) bool { return s.DetectionTime == 900*ms })
	cut := time.Now()
	there.ip("link set eth0 down")
	if ev := j.leftUp(t, cut); !ev.Failed() || ev.At.Sub(cut) > 950*ms {
		t.Errorf("down after %v: %+v", ev.At.Sub(cut), ev)
	}
	there.ip("link set eth0 up")
	f.sees(here4, frrUp)
	is(t, e, key4, isUp)
}

// TestInterfaceReplaced: the interface goes and comes back as another of the same name.
func TestInterfaceReplaced(t *testing.T) {
	here, there := oneLink(t)
	f := there.frr(frr4)
	e, _ := here.engine(Options{})
	set(t, e, key4, Params{})
	f.sees(here4, frrUp)
	here.ip("link del eth0")
	is(t, e, key4, func(s Status) bool { return s.State == Down && strings.Contains(s.Error, "interface eth0") })
	here.ip("link add eth9 type veth peer name eth8") // takes the next index
	here.lab.pair(here, "eth0", []string{here4 + "/24"}, there, "eth0", []string{there4 + "/24"})
	f.sees(here4, frrUp)
	is(t, e, key4, func(s Status) bool { return s.State == Up && s.Error == "" })
}

func TestFRRShutsDown(t *testing.T) {
	here, there := oneLink(t)
	f := there.frr(frr4)
	e, _ := here.engine(Options{})
	j := follow(e)
	set(t, e, key4, Params{})
	f.sees(here4, frrUp)
	is(t, e, key4, isUp)
	began := time.Now()
	f.configure("bfd", "peer 192.0.2.1 local-address 192.0.2.2 interface eth0", "shutdown")
	if ev := j.leftUp(t, began); ev.Failed() || ev.RemoteState != AdminDown || ev.Diagnostic != DiagNeighborSignaledDown {
		t.Errorf("taken for a failure: %+v", ev)
	}
	f.configure("bfd", "peer 192.0.2.1 local-address 192.0.2.2 interface eth0", "no shutdown")
	f.sees(here4, frrUp)
	is(t, e, key4, isUp)
}

func TestWeShutDown(t *testing.T) {
	here, there := oneLink(t)
	f := there.frr(frr4)
	e, _ := here.engine(Options{})
	set(t, e, key4, Params{})
	f.sees(here4, frrUp)
	is(t, e, key4, isUp)
	set(t, e, key4, Params{AdminDown: true})
	f.sees(here4, func(p frrPeer) bool {
		return p.Status == "down" && p.Diagnostic == "neighbor signaled session down" && p.RemoteDiagnostic == "administratively down"
	})
	set(t, e, key4, Params{})
	f.sees(here4, frrUp)
	is(t, e, key4, isUp)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	began := time.Now()
	if err := e.Shutdown(ctx); err != nil {
		t.Fatal(err)
	}
	t.Logf("shutdown with FRR's answer took %v", time.Since(began))
	f.sees(here4, func(p frrPeer) bool {
		return p.Status == "down" && p.Diagnostic == "neighbor signaled session down" && p.RemoteDiagnostic == "administratively down"
	})
}

func TestPassiveWithFRR(t *testing.T) {
	t.Run("ours", func(t *testing.T) {
		here, there := oneLink(t)
		e, _ := here.engine(Options{})
		set(t, e, key4, Params{Passive: true})
		f := there.frr(frr4)
		f.sees(here4, frrUp)
	})
	t.Run("FRR's", func(t *testing.T) {
		here, there := oneLink(t)
		f := there.frr(frr4 + "  passive-mode\n")
		e, _ := here.engine(Options{})
		set(t, e, key4, Params{})
		f.sees(here4, frrUp)
	})
	t.Run("both", func(t *testing.T) {
		here, there := oneLink(t)
		f := there.frr(frr4 + "  passive-mode\n")
		e, _ := here.engine(Options{})
		set(t, e, key4, Params{Passive: true})
		// A second, active session shows that time enough has passed.
		k6 := Key{Peer: netip.MustParseAddr(there6), Local: netip.MustParseAddr(here6), Interface: "eth0"}
		f.configure("bfd", "peer 2001:db8::1 local-address 2001:db8::2 interface eth0", "no shutdown")
		if err := e.Set(map[Key]Params{key4: {Passive: true}, k6: {}}); err != nil {
			t.Fatal(err)
		}
		f.sees(here6, frrUp)
		if s := e.Snapshot().Sessions[key4]; s.ControlOut != 0 || s.ControlIn != 0 {
			t.Errorf("two passive ends talk: %+v", s)
		}
	})
}

const frrEcho = "  echo-mode\n  echo transmit-interval 50\n  echo receive-interval 50\n"

// TestEchoWithFRR: each end's forwarding returns the other's packets.
func TestEchoWithFRR(t *testing.T) {
	here, there := oneLink(t)
	f := there.frr(frr4 + frrEcho)
	e, _ := here.engine(Options{})
	j := follow(e)
	set(t, e, key4, Params{EchoMode: true})
	f.sees(here4, func(p frrPeer) bool { return frrUp(p) && p.RemoteEchoInterval == 50 })
	is(t, e, key4, func(s Status) bool { return s.Echo == EchoActive && s.EchoIn > 20 && s.EchoOut > 20 })
	eventually(t, func() error {
		c, err := f.counters(here4)
		if err == nil && (c.EchoIn < 20 || c.EchoOut < 20) {
			err = fmt.Errorf("FRR counted %+v", c)
		}
		return err
	})
	if s := e.Snapshot().Sessions[key4]; s.DownEvents != 0 {
		t.Errorf("%+v", s)
	}
	// FRR's host stops to forward, and only that: its control packets go on.
	cut := time.Now()
	there.sysctl("net.ipv4.ip_forward=0")
	ev := j.leftUp(t, cut)
	if !ev.Failed() || ev.Diagnostic != DiagEchoFailed {
		t.Errorf("%+v", ev)
	}
	f.sees(here4, func(p frrPeer) bool { return p.RemoteDiagnostic == "echo function failed" })
}

// TestEchoWithAHostThatDoesNotForward: the session is up without, and says so.
func TestEchoWithAHostThatDoesNotForward(t *testing.T) {
	here, there := oneLink(t)
	there.sysctl("net.ipv4.ip_forward=0")
	f := there.frr(frr4 + "  echo receive-interval 50\n")
	e, _ := here.engine(Options{})
	set(t, e, key4, Params{EchoMode: true})
	f.sees(here4, frrUp)
	is(t, e, key4, func(s Status) bool { return s.State == Up && s.Echo == EchoUnanswered && s.EchoOut > 20 })
	if s := e.Snapshot().Sessions[key4]; s.DownEvents != 0 {
		t.Errorf("%+v", s)
	}
}

// TestNoEchoWithoutForwarding: a host that does not forward does not promise FRR to return its echo.
func TestNoEchoWithoutForwarding(t *testing.T) {
	here, there := oneLink(t)
	here.sysctl("net.ipv4.ip_forward=0", "net.ipv4.conf.eth0.forwarding=0")
	f := there.frr(frr4 + frrEcho)
	e, _ := here.engine(Options{})
	set(t, e, key4, Params{EchoMode: true})
	f.sees(here4, func(p frrPeer) bool { return frrUp(p) && p.RemoteEchoInterval == 0 })
	is(t, e, key4, func(s Status) bool { return s.Echo == EchoNoForward && s.EchoIn > 20 })
}

// TestAuthenticationWithFRR: FRR 8.4 has none, so the session cannot come up and says why.
func TestAuthenticationWithFRR(t *testing.T) {
	here, there := oneLink(t)
	f := there.frr(frr4)
	e, _ := here.engine(Options{})
	set(t, e, key4, Params{Auth: Auth{Type: AuthMeticulousKeyedSHA1, Keys: []AuthKey{{ID: 1, Secret: "secret"}}}})
	is(t, e, key4, func(s Status) bool { return s.State == Down && s.AuthFailures >= 2 })
	if p, err := f.peer(here4); err != nil || frrUp(p) {
		t.Errorf("FRR sees %+v, %v", p, err)
	}
}
