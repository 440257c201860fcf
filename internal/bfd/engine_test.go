package bfd

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

var (
	addrA, addrB = netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2")
	keyA, keyB   = Key{Peer: addrB}, Key{Peer: addrA}
)

// side is an engine on a memNet with what it has told.
type side struct {
	*Engine
	host *memHost
	kill func()

	mu     sync.Mutex
	events []Event
}

func (s *side) told() []Event {
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.events
	s.events = nil
	return e
}

// start runs an engine inside the bubble of synctest; the test must call kill.
func start(t *testing.T, n *memNet, addr string) *side {
	t.Helper()
	s := &side{host: n.host(addr)}
	s.Engine = newEngine(Options{}, s.host)
	s.Subscribe(func(e Event) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.events = append(s.events, e)
	})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	s.kill = func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		done <- nil
	}
	return s
}

func (s *side) status(t *testing.T, k Key) Status {
	t.Helper()
	st, ok := s.Snapshot().Sessions[k]
	if !ok {
		t.Fatalf("no session %v", k)
	}
	return st
}

// both runs a test with two engines that have a session with each other.
func both(t *testing.T, a, b Params, f func(t *testing.T, n *memNet, a, b *side)) {
	synctest.Test(t, func(t *testing.T) {
		n := newMemNet()
		n.delay = ms
		x, y := start(t, n, "192.0.2.1"), start(t, n, "192.0.2.2")
		defer x.kill()
		defer y.kill()
		set1(t, x, keyA, a)
		set1(t, y, keyB, b)
		wait(3 * time.Second)
		f(t, n, x, y)
	})
}

func set1(t *testing.T, s *side, k Key, p Params) {
	t.Helper()
	if err := s.Set(map[Key]Params{k: p}); err != nil {
		t.Fatal(err)
	}
}

// wait lets time pass in the bubble.
func wait(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

func drop(netip.Addr, netip.Addr, []byte) bool { return false }

func TestEnginesComeUp(t *testing.T) {
	both(t, Params{}, Params{}, func(t *testing.T, n *memNet, a, b *side) {
		for _, s := range []Status{a.status(t, keyA), b.status(t, keyB)} {
			if s.State != Up || s.RemoteState != Up || s.Polling || s.DetectionTime != 900*ms ||
				s.TransmitInterval != 300*ms || s.UpEvents != 1 || s.DownEvents != 0 || s.Diagnostic != DiagNone {
				t.Errorf("%+v", s)
			}
		}
		if ev := a.told(); len(ev) == 0 || !ev[len(ev)-1].Up() {
			t.Errorf("events %+v", ev)
		}
	})
}

func TestNegotiationTakesTheSlower(t *testing.T) {
	both(t, Params{TransmitInterval: 50 * ms, ReceiveInterval: 100 * ms, DetectMultiplier: 5},
		Params{TransmitInterval: 20 * ms, ReceiveInterval: 400 * ms, DetectMultiplier: 2},
		func(t *testing.T, n *memNet, a, b *side) {
			sa, sb := a.status(t, keyA), b.status(t, keyB)
			if sa.TransmitInterval != 400*ms || sa.ReceiveInterval != 100*ms || sa.DetectionTime != 200*ms {
				t.Errorf("a: %+v", sa)
			}
			if sb.TransmitInterval != 100*ms || sb.ReceiveInterval != 400*ms || sb.DetectionTime != 2000*ms {
				t.Errorf("b: %+v", sb)
			}
		})
}

func TestSpacingOnTheWire(t *testing.T) {
	both(t, Params{}, Params{}, func(t *testing.T, n *memNet, a, b *side) {
		n.taken()
		wait(time.Minute)
		last := map[netip.Addr]time.Time{}
		count := 0
		for _, p := range n.taken() {
			if !last[p.from].IsZero() {
				count++
				if d := p.at.Sub(last[p.from]); d < 225*ms || d > 300*ms {
					t.Errorf("%v after %v", p.from, d)
				}
			}
			last[p.from] = p.at
		}
		if count < 2*200 {
			t.Errorf("%d packets in a minute", count)
		}
	})
}

func TestDownAtDetectionTime(t *testing.T) {
	both(t, Params{TransmitInterval: 50 * ms, ReceiveInterval: 50 * ms}, Params{TransmitInterval: 50 * ms, ReceiveInterval: 50 * ms},
		func(t *testing.T, n *memNet, a, b *side) {
			a.told()
			cut := time.Now()
			n.setPass(drop)
			wait(time.Second)
			ev := a.told()
			if len(ev) != 1 || !ev[0].Failed() || ev[0].Diagnostic != DiagDetectionTimeExpired {
				t.Fatalf("events %+v", ev)
			}
			if d := ev[0].At.Sub(cut); d < 100*ms || d > 151*ms {
				t.Errorf("down after %v, want 100 to 151 ms", d)
			}
			if s := a.status(t, keyA); s.LastDown != DiagDetectionTimeExpired || s.LastDownAt != ev[0].At || s.DownEvents != 1 ||
				s.RemoteDiscriminator != 0 || s.TransmitInterval != time.Second {
				t.Errorf("%+v", s)
			}
			n.setPass(nil)
			wait(3 * time.Second)
			if s := a.status(t, keyA); s.State != Up || s.UpEvents != 2 {
				t.Errorf("not up again: %+v", s)
			}
		})
}

// TestOneWayCut: the side that still hears learns it from the other.
func TestOneWayCut(t *testing.T) {
	both(t, Params{}, Params{}, func(t *testing.T, n *memNet, a, b *side) {
		a.told()
		b.told()
		n.setPass(func(from, _ netip.Addr, _ []byte) bool { return from == addrA })
		wait(1500 * ms)
		if ev := a.told(); len(ev) == 0 || ev[0].Diagnostic != DiagDetectionTimeExpired {
			t.Errorf("a: %+v", ev)
		}
		if ev := b.told(); len(ev) == 0 || ev[0].Diagnostic != DiagNeighborSignaledDown || !ev[0].Failed() ||
			ev[0].RemoteDiagnostic != DiagDetectionTimeExpired {
			t.Errorf("b: %+v", ev)
		}
	})
}

func TestParametersChangeInFlight(t *testing.T) {
	both(t, Params{}, Params{}, func(t *testing.T, n *memNet, a, b *side) {
		a.told()
		b.told()
		for _, p := range []Params{
			{TransmitInterval: 50 * ms, ReceiveInterval: 50 * ms, DetectMultiplier: 3},
			{TransmitInterval: 2 * time.Second, ReceiveInterval: time.Second, DetectMultiplier: 2},
			{TransmitInterval: 100 * ms, ReceiveInterval: 70 * ms, DetectMultiplier: 4},
			{},
		} {
			set1(t, a, keyA, p)
			set1(t, b, keyB, p)
			wait(8 * time.Second)
			p = p.withDefaults()
			for _, s := range []Status{a.status(t, keyA), b.status(t, keyB)} {
				want := max(p.TransmitInterval, p.ReceiveInterval)
				if s.State != Up || s.Polling || s.TransmitInterval != want || s.DetectionTime != want*time.Duration(p.DetectMultiplier) {
					t.Errorf("%+v: %+v", p, s)
				}
			}
		}
		if ev := append(a.told(), b.told()...); len(ev) != 0 {
			t.Errorf("state changed: %+v", ev)
		}
	})
}

func TestShutdownIsNoFailure(t *testing.T) {
	both(t, Params{}, Params{}, func(t *testing.T, n *memNet, a, b *side) {
		b.told()
		began := time.Now()
		if err := a.Shutdown(t.Context()); err != nil {
			t.Fatal(err)
		}
		if d := time.Since(began); d > 10*ms {
			t.Errorf("shutdown took %v with a peer that answers", d)
		}
		ev := b.told()
		if len(ev) != 1 || ev[0].To != Down || ev[0].Failed() || ev[0].RemoteState != AdminDown ||
			ev[0].RemoteDiagnostic != DiagAdministrativelyDown {
			t.Errorf("peer was told %+v", ev)
		}
		set1(t, a, keyA, Params{})
		wait(3 * time.Second)
		if s := b.status(t, keyB); s.State == Up {
			t.Error("set has an effect after shutdown")
		}
	})
}

func TestShutdownWithoutAnswer(t *testing.T) {
	both(t, Params{}, Params{}, func(t *testing.T, n *memNet, a, b *side) {
		n.setPass(drop)
		began := time.Now()
		if err := a.Shutdown(t.Context()); err != nil {
			t.Fatal(err)
		}
		if d := time.Since(began); d < 600*ms || d > 901*ms {
			t.Errorf("shutdown took %v, want about the detection time", d)
		}
		a.kill()
		if err := newEngine(Options{}, a.host).Shutdown(expired(t)); !errors.Is(err, context.Canceled) {
			t.Errorf("engine that does not run: %v", err)
		}
	})
}

func TestShutdownWithoutSessions(t *testing.T) {
	both(t, Params{}, Params{}, func(t *testing.T, n *memNet, a, b *side) {
		if err := a.Set(nil); err != nil {
			t.Fatal(err)
		}
		wait(3 * time.Second)
		if left := len(a.Snapshot().Sessions); left != 0 {
			t.Fatalf("%d sessions are left", left)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := a.Shutdown(ctx); err != nil {
			t.Error(err)
		}
	})
}

func expired(t *testing.T) context.Context {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	return ctx
}

func TestRemovedSessionTellsThePeer(t *testing.T) {
	both(t, Params{}, Params{}, func(t *testing.T, n *memNet, a, b *side) {
		a.told()
		b.told()
		if err := a.Set(nil); err != nil {
			t.Fatal(err)
		}
		wait(100 * ms)
		if ev := b.told(); len(ev) != 1 || ev[0].Failed() || ev[0].RemoteState != AdminDown {
			t.Errorf("peer was told %+v", ev)
		}
		if ev := a.told(); len(ev) != 1 || ev[0].To != AdminDown || ev[0].Failed() {
			t.Errorf("told %+v", ev)
		}
		if s := a.Snapshot(); len(s.Sessions) != 0 {
			t.Errorf("snapshot has %+v", s.Sessions)
		}
		n.mu.Lock()
		open := len(a.host.receivers)
		n.mu.Unlock()
		if open != 0 {
			t.Errorf("%d receivers open without a session", open)
		}
		set1(t, a, keyA, Params{})
		wait(3 * time.Second)
		if s := a.status(t, keyA); s.State != Up {
			t.Errorf("session does not come back: %+v", s)
		}
	})
}

func TestSessionThatComesBackWhileLeaving(t *testing.T) {
	both(t, Params{}, Params{}, func(t *testing.T, n *memNet, a, b *side) {
		n.setPass(drop) // so that the peer's answer does not end the leaving
		if err := a.Set(nil); err != nil {
			t.Fatal(err)
		}
		wait(100 * ms)
		set1(t, a, keyA, Params{})
		n.setPass(nil)
		wait(5 * time.Second)
		if s := a.status(t, keyA); s.State != Up || s.RemoteState != Up {
			t.Errorf("%+v", s)
		}
	})
}

func TestAdminDownBothWays(t *testing.T) {
	both(t, Params{}, Params{}, func(t *testing.T, n *memNet, a, b *side) {
		a.told()
		b.told()
		set1(t, a, keyA, Params{AdminDown: true})
		wait(10 * time.Second)
		if s := a.status(t, keyA); s.State != AdminDown || s.Diagnostic != DiagAdministrativelyDown {
			t.Errorf("a: %+v", s)
		}
		if s := b.status(t, keyB); s.State != Down || s.RemoteState != AdminDown || s.Diagnostic != DiagNeighborSignaledDown {
			t.Errorf("b: %+v", s)
		}
		for _, ev := range append(a.told(), b.told()...) {
			if ev.Failed() {
				t.Errorf("counted as failure: %+v", ev)
			}
		}
		set1(t, a, keyA, Params{})
		wait(3 * time.Second)
		if s := b.status(t, keyB); s.State != Up {
			t.Errorf("b: %+v", s)
		}
	})
}

func TestPassiveSides(t *testing.T) {
	both(t, Params{Passive: true}, Params{}, func(t *testing.T, n *memNet, a, b *side) {
		if s := a.status(t, keyA); s.State != Up {
			t.Errorf("one passive side: %+v", s)
		}
		n.taken()
	})
	both(t, Params{Passive: true}, Params{Passive: true}, func(t *testing.T, n *memNet, a, b *side) {
		wait(time.Minute)
		if sent := n.taken(); len(sent) != 0 {
			t.Errorf("two passive sides sent %+v", sent)
		}
	})
}

func TestRestartedPeer(t *testing.T) {
	both(t, Params{}, Params{}, func(t *testing.T, n *memNet, a, b *side) {
		b.told()
		a.kill()
		again := start(t, n, "192.0.2.1")
		defer again.kill()
		set1(t, again, keyA, Params{})
		wait(3 * time.Second)
		ev := b.told()
		if len(ev) != 2 || ev[0].Diagnostic != DiagNeighborSignaledDown || !ev[len(ev)-1].Up() {
			t.Errorf("events %+v", ev)
		}
	})
}

func TestAuthenticationKeepsStrangersOut(t *testing.T) {
	key := func(id uint8, secret string) Params {
		return Params{Auth: Auth{Type: AuthMeticulousKeyedSHA1, Keys: []AuthKey{{ID: id, Secret: secret}}}}
	}
	both(t, key(1, "same"), key(1, "same"), func(t *testing.T, n *memNet, a, b *side) {
		if s := a.status(t, keyA); s.State != Up || s.AuthFailures != 0 {
			t.Errorf("same key: %+v", s)
		}
		var seen [][]byte
		n.setPass(func(from, _ netip.Addr, p []byte) bool {
			if from == addrB {
				seen = append(seen, append([]byte(nil), p...))
			}
			return from == addrA
		})
		wait(500 * ms)
		// All that b said is said again by somebody else: a must not take it for life.
		n.mu.Lock()
		for range 20 {
			for _, p := range seen {
				r := a.host.receivers[listenKey{channel: singleHop}]
				r.queue = append(r.queue, memDatagram{addrB, p, time.Now(), maxTTL})
			}
		}
		n.mu.Unlock()
		a.host.poke()
		wait(time.Second)
		s := a.status(t, keyA)
		if s.State == Up || s.AuthFailures == 0 || a.Snapshot().Discards.Auth != s.AuthFailures {
			t.Errorf("replay: %+v", s)
		}
	})
	both(t, key(1, "one"), key(1, "two"), func(t *testing.T, n *memNet, a, b *side) {
		if s := a.status(t, keyA); s.State != Down || s.AuthFailures == 0 {
			t.Errorf("other key: %+v", s)
		}
	})
	both(t, key(1, "one"), Params{}, func(t *testing.T, n *memNet, a, b *side) {
		if s := b.status(t, keyB); s.State != Down || s.AuthFailures == 0 {
			t.Errorf("no key: %+v", s)
		}
	})
}

func TestTTLIsEnforced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newMemNet()
		a, b := start(t, n, "192.0.2.1"), start(t, n, "192.0.2.2")
		defer a.kill()
		defer b.kill()
		b.host.ttl = 254
		set1(t, a, keyA, Params{})
		set1(t, b, keyB, Params{})
		wait(5 * time.Second)
		if s := a.Snapshot(); s.Sessions[keyA].State != Down || s.Discards.TTL == 0 {
			t.Errorf("single hop with TTL 254: %+v", s)
		}
		farA, farB := keyA, keyB
		farA.MultiHop, farB.MultiHop = true, true
		set1(t, a, farA, Params{})
		set1(t, b, farB, Params{})
		wait(5 * time.Second)
		if s := a.status(t, farA); s.State != Up {
			t.Errorf("multihop with TTL 254: %+v", s)
		}
		set1(t, a, farA, Params{MinimumTTL: 255})
		wait(5 * time.Second)
		if s := a.status(t, farA); s.State == Up {
			t.Errorf("minimum TTL has no effect: %+v", s)
		}
	})
}

func TestEchoDetects(t *testing.T) {
	p := Params{EchoMode: true, EchoInterval: 50 * ms}
	both(t, p, p, func(t *testing.T, n *memNet, a, b *side) {
		s := a.status(t, keyA)
		if s.State != Up || s.Echo != EchoActive || s.EchoIn == 0 || s.EchoInterval != 50*ms {
			t.Fatalf("%+v", s)
		}
		a.told()
		cut := time.Now()
		n.setPass(func(from, _ netip.Addr, b []byte) bool { return from != addrA || len(b) != echoLen })
		wait(160 * ms)
		ev := a.told()
		if len(ev) == 0 || !ev[0].Failed() || ev[0].Diagnostic != DiagEchoFailed {
			t.Fatalf("events %+v", ev)
		}
		if d := ev[0].At.Sub(cut); d < 100*ms || d > 155*ms {
			t.Errorf("down after %v", d)
		}
	})
}

// TestEchoThatNeverReturns: a peer that does not forward must not take the session down.
func TestEchoThatNeverReturns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newMemNet()
		a, b := start(t, n, "192.0.2.1"), start(t, n, "192.0.2.2")
		defer a.kill()
		defer b.kill()
		n.setPass(func(_, _ netip.Addr, b []byte) bool { return len(b) != echoLen })
		set1(t, a, keyA, Params{EchoMode: true})
		set1(t, b, keyB, Params{EchoMode: true})
		wait(30 * time.Second)
		if s := a.status(t, keyA); s.State != Up || s.Echo != EchoUnanswered || s.EchoOut == 0 || s.DownEvents != 0 {
			t.Errorf("%+v", s)
		}
		set1(t, b, keyB, Params{})
		wait(time.Second)
		out := a.status(t, keyA).EchoOut
		wait(time.Second)
		if s := a.status(t, keyA); s.Echo != EchoRefused || s.EchoOut != out {
			t.Errorf("peer takes no echo: %+v", s)
		}
	})
}

func TestSocketTroubleIsToldAndHeals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newMemNet()
		a, b := start(t, n, "192.0.2.1"), start(t, n, "192.0.2.2")
		defer a.kill()
		defer b.kill()
		n.mu.Lock()
		a.host.refuse = errors.New("port is taken")
		n.mu.Unlock()
		set1(t, a, keyA, Params{})
		set1(t, b, keyB, Params{})
		wait(5 * time.Second)
		if s := a.status(t, keyA); s.State != Down || !strings.Contains(s.Error, "port is taken") {
			t.Errorf("%+v", s)
		}
		n.mu.Lock()
		a.host.refuse = nil
		n.mu.Unlock()
		wait(5 * time.Second)
		if s := a.status(t, keyA); s.State != Up || s.Error != "" {
			t.Errorf("%+v", s)
		}
	})
}

func TestSetRefusesOnlyTheBadOnes(t *testing.T) {
	e := newEngine(Options{}, newMemNet().host("192.0.2.1"))
	good := Key{Peer: addrB}
	for _, tt := range []struct {
		name string
		key  Key
		p    Params
		want string
	}{
		{"no peer", Key{}, Params{}, "not the address of one system"},
		{"unspecified", Key{Peer: netip.IPv4Unspecified()}, Params{}, "not the address of one system"},
		{"multicast", Key{Peer: netip.MustParseAddr("224.0.0.1")}, Params{}, "not the address of one system"},
		{"mapped", Key{Peer: netip.MustParseAddr("::ffff:192.0.2.9")}, Params{}, "IPv4-mapped"},
		{"families", Key{Peer: addrB, Local: netip.MustParseAddr("2001:db8::1")}, Params{}, "another family"},
		{"link-local", Key{Peer: netip.MustParseAddr("fe80::1")}, Params{}, "name the interface"},
		{"zones", Key{Peer: netip.MustParseAddr("fe80::1%eth0"), Interface: "eth1"}, Params{}, "zone and interface differ"},
		{"multihop on a device", Key{Peer: addrB, Interface: "eth0", MultiHop: true}, Params{}, "multihop"},
		{"local any", Key{Peer: addrB, Local: netip.IPv4Unspecified()}, Params{}, "leave it out"},
		{"interval", Key{Peer: addrB, Interface: "x"}, Params{TransmitInterval: time.Microsecond}, "transmit interval 1µs is out of range"},
		{"long interval", Key{Peer: addrB, Interface: "x"}, Params{ReceiveInterval: 2 * time.Hour}, "receive interval"},
		{"negative", Key{Peer: addrB, Interface: "x"}, Params{EchoInterval: -1}, "echo interval"},
		{"no key", Key{Peer: addrB, Interface: "x"}, Params{Auth: Auth{Type: AuthKeyedSHA1}}, "has no key"},
		{"long secret", Key{Peer: addrB, Interface: "x"}, Params{Auth: Auth{Type: AuthKeyedMD5, Keys: []AuthKey{{1, "seventeen octets!"}}}}, "takes 1 to 16"},
		{"key twice", Key{Peer: addrB, Interface: "x"}, Params{Auth: Auth{Type: AuthKeyedMD5, Keys: []AuthKey{{1, "a"}, {1, "b"}}}}, "given twice"},
		{"auth type", Key{Peer: addrB, Interface: "x"}, Params{Auth: Auth{Type: 1, Keys: []AuthKey{{1, "a"}}}}, "not supported"},
		{"keys only", Key{Peer: addrB, Interface: "x"}, Params{Auth: Auth{Keys: []AuthKey{{1, "a"}}}}, "no type"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			err := e.Set(map[Key]Params{tt.key: tt.p, good: {}})
			if !errors.Is(err, ErrParams) || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want %q", err, tt.want)
			}
			e.mu.Lock()
			defer e.mu.Unlock()
			if _, ok := e.desired[good]; !ok || len(e.desired) != 1 {
				t.Errorf("desired %+v", e.desired)
			}
		})
	}
}

func TestRunOnceOnly(t *testing.T) {
	e := newEngine(Options{}, newMemNet().host("192.0.2.1"))
	if err := e.Run(expired(t)); err != nil {
		t.Fatal(err)
	}
	if err := e.Run(expired(t)); !errors.Is(err, errRunning) {
		t.Errorf("second run: %v", err)
	}
	if err := e.Shutdown(t.Context()); !errors.Is(err, ErrStopped) {
		t.Errorf("shutdown of an engine that has ended: %v", err)
	}
}

func TestSubscriptionEnds(t *testing.T) {
	both(t, Params{}, Params{}, func(t *testing.T, n *memNet, a, b *side) {
		calls := 0
		cancel := a.Subscribe(func(Event) { calls++ })
		cancel()
		n.setPass(drop)
		wait(3 * time.Second)
		if calls != 0 || len(a.told()) == 0 {
			t.Errorf("%d calls after the end", calls)
		}
	})
}

// stall runs a test with an engine whose goroutine stands still for a time, while its peer, which has
// more patience, goes on.
func stall(t *testing.T, d time.Duration, during func(n *memNet), after func(t *testing.T, a *side)) {
	patient := Params{DetectMultiplier: 50}
	both(t, patient, Params{}, func(t *testing.T, n *memNet, a, b *side) {
		aside := Key{Peer: netip.MustParseAddr("192.0.2.77")}
		cancel := a.Subscribe(func(e Event) {
			if e.Key == aside {
				time.Sleep(d)
			}
		})
		defer cancel()
		during(n)
		if err := a.Set(map[Key]Params{keyA: patient, aside: {}}); err != nil {
			t.Fatal(err)
		}
		wait(ms)
		a.told()
		if err := a.Set(map[Key]Params{keyA: patient, aside: {AdminDown: true}}); err != nil {
			t.Fatal(err)
		}
		wait(d + 2*ms)
		after(t, a)
	})
}

// TestStalledEngineReadsBeforeItJudges: what the peer sent in the meantime lies in the socket.
func TestStalledEngineReadsBeforeItJudges(t *testing.T) {
	stall(t, 3*time.Second, func(*memNet) {}, func(t *testing.T, a *side) {
		wait(10 * time.Second)
		s := a.status(t, keyA)
		if s.State != Up || s.DownEvents != 0 || s.LateTimers == 0 || s.Reprieves != 0 {
			t.Errorf("%+v", s)
		}
		if l := a.Snapshot().MaxLateness; l < 2*time.Second {
			t.Errorf("latest timer %v", l)
		}
	})
}

// TestStalledEngineJudgesInTheEnd: the reprieve of a late timer is one interval, and only one.
func TestStalledEngineJudgesInTheEnd(t *testing.T) {
	stall(t, 3*time.Second, func(n *memNet) { n.setPass(drop) }, func(t *testing.T, a *side) {
		if s := a.status(t, keyA); s.State != Up || s.Reprieves != 1 {
			t.Errorf("at once: %+v", s)
		}
		wait(310 * ms)
		if s := a.status(t, keyA); s.State != Down || s.Diagnostic != DiagDetectionTimeExpired || s.Reprieves != 1 {
			t.Errorf("after the reprieve: %+v", s)
		}
	})
}

// blockedLog is a log that nobody reads.
type blockedLog struct{ slog.Handler }

func (blockedLog) Handle(context.Context, slog.Record) error { time.Sleep(time.Hour); return nil }

func TestBlockedLogDelaysNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newMemNet()
		b := start(t, n, "192.0.2.2")
		defer b.kill()
		e := newEngine(Options{Log: slog.New(blockedLog{slog.NewTextHandler(io.Discard, nil)})}, n.host("192.0.2.1"))
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan error, 1)
		go func() { done <- e.Run(ctx) }()
		defer func() { cancel(); <-done }()
		if err := e.Set(map[Key]Params{keyA: {}}); err != nil {
			t.Fatal(err)
		}
		set1(t, b, keyB, Params{})
		wait(3 * time.Second)
		for range 2 * journalLength {
			set1(t, b, keyB, Params{AdminDown: true})
			wait(10 * ms)
			set1(t, b, keyB, Params{})
			wait(10 * ms)
		}
		wait(3 * time.Second)
		if s := e.Snapshot().Sessions[keyA]; s.State != Up || s.DownEvents < 2*journalLength || e.log.lost.Load() == 0 {
			t.Errorf("%+v, lost %d", s, e.log.lost.Load())
		}
	})
}
