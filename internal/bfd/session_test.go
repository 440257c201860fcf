package bfd

import (
	"math/rand/v2"
	"testing"
	"time"
)

var epoch = time.Unix(1_700_000_000, 0)

const ms = time.Millisecond

// bench is one session with a clock that the test moves.
type bench struct {
	t   *testing.T
	s   *session
	now time.Time
}

func newBench(t *testing.T, p Params) *bench {
	return &bench{t: t, s: newSession(p.withDefaults(), 1, true, rand.New(rand.NewPCG(1, 2)), epoch), now: epoch}
}

// peerPacket is what a peer with 300 ms and multiplier 3 says in a state.
func peerPacket(s State) Packet {
	return Packet{State: s, DetectMultiplier: 3, MyDiscriminator: 77, YourDiscriminator: 1,
		DesiredMinTx: 300 * ms, RequiredMinRx: 300 * ms}
}

func (b *bench) receive(p Packet) output {
	b.t.Helper()
	out, ok := b.s.receive(&p, p.append(nil), b.now, b.now)
	if !ok {
		b.t.Fatal("packet refused")
	}
	return out
}

// send has the session send now.
func (b *bench) send(final bool) (p Packet, ok bool) {
	ok = b.s.transmit(&p, final, b.now)
	return p, ok
}

func (b *bench) up() *bench {
	b.t.Helper()
	b.receive(peerPacket(Down))
	b.receive(peerPacket(Up))
	b.receive(Packet{State: Up, Final: true, DetectMultiplier: 3, MyDiscriminator: 77, YourDiscriminator: 1,
		DesiredMinTx: 300 * ms, RequiredMinRx: 300 * ms})
	if b.s.state != Up || b.s.polling {
		b.t.Fatalf("state %v, polling %v", b.s.state, b.s.polling)
	}
	return b
}

func TestSlowUntilUp(t *testing.T) {
	b := newBench(t, Params{TransmitInterval: 50 * ms})
	p, _ := b.send(false)
	if p.DesiredMinTx != time.Second || b.s.transmitInterval() != time.Second {
		t.Errorf("Down: desired %v, interval %v", p.DesiredMinTx, b.s.transmitInterval())
	}
	b.receive(peerPacket(Down))
	if p, _ = b.send(false); p.State != Init || p.DesiredMinTx != time.Second {
		t.Errorf("Init: %+v", p)
	}
	out := b.receive(peerPacket(Init))
	p, _ = b.send(out.final)
	if !out.send || p.State != Up || p.DesiredMinTx != 50*ms || !p.Poll {
		t.Errorf("Up: %+v %+v", out, p)
	}
	if got := b.s.transmitInterval(); got != 300*ms {
		t.Errorf("interval %v, want that of the peer's receive interval", got)
	}
}

func TestJitter(t *testing.T) {
	for _, tt := range []struct {
		mult     uint8
		min, max time.Duration
	}{{3, 225 * ms, 300 * ms}, {2, 225 * ms, 300 * ms}, {1, 225 * ms, 270 * ms}} {
		b := newBench(t, Params{DetectMultiplier: tt.mult}).up()
		low, high := time.Hour, time.Duration(0)
		for range 5000 {
			b.send(false)
			d := b.s.nextTx.Sub(b.now)
			low, high = min(low, d), max(high, d)
			b.now = b.s.nextTx
		}
		if low < tt.min || high > tt.max {
			t.Errorf("multiplier %d: %v to %v, allowed %v to %v", tt.mult, low, high, tt.min, tt.max)
		}
		if spread := (tt.max - tt.min) / 20; low > tt.min+spread || high < tt.max-spread {
			t.Errorf("multiplier %d: %v to %v does not use the range", tt.mult, low, high)
		}
	}
}

func TestReceivingDoesNotMoveTheTransmitTimer(t *testing.T) {
	b := newBench(t, Params{}).up()
	b.send(false)
	due := b.s.nextTx
	for range 100 {
		b.now = b.now.Add(ms)
		b.receive(peerPacket(Up))
		if b.s.nextTx != due {
			t.Fatalf("moved from %v to %v", due, b.s.nextTx)
		}
	}
}

func TestPollIsAnsweredAtOnce(t *testing.T) {
	b := newBench(t, Params{}).up()
	poll := peerPacket(Up)
	poll.Poll = true
	out := b.receive(poll)
	p, _ := b.send(out.final)
	if !out.send || !p.Final || p.Poll {
		t.Errorf("output %+v, packet %+v", out, p)
	}
}

func TestFinalNeverCarriesPoll(t *testing.T) {
	b := newBench(t, Params{}).up()
	b.s.update(Params{TransmitInterval: 100 * ms}.withDefaults(), b.now)
	if p, _ := b.send(true); p.Poll || !p.Final {
		t.Errorf("%+v", p)
	}
	if p, _ := b.send(false); !p.Poll || p.Final {
		t.Errorf("%+v", p)
	}
}

// TestChangeInFlight is RFC 5880 section 6.8.3: a longer transmit interval and a shorter receive
// interval wait for the end of the Poll Sequence, their opposites do not.
func TestChangeInFlight(t *testing.T) {
	for _, tt := range []struct {
		name                     string
		change                   Params
		txBefore, detectBefore   time.Duration
		txAfter, detectAfter     time.Duration
		toldTx, toldRx, peersMin time.Duration
	}{
		{"slower transmit", Params{TransmitInterval: 700 * ms}, 300 * ms, 900 * ms, 700 * ms, 900 * ms, 700 * ms, 300 * ms, 10 * ms},
		{"faster transmit", Params{TransmitInterval: 100 * ms}, 100 * ms, 900 * ms, 100 * ms, 900 * ms, 100 * ms, 300 * ms, 10 * ms},
		{"slower receive", Params{ReceiveInterval: 700 * ms}, 300 * ms, 2100 * ms, 300 * ms, 2100 * ms, 300 * ms, 700 * ms, 10 * ms},
		{"faster receive", Params{ReceiveInterval: 100 * ms}, 300 * ms, 900 * ms, 300 * ms, 300 * ms, 300 * ms, 100 * ms, 10 * ms},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := newBench(t, Params{}).up()
			peer := peerPacket(Up)
			peer.RequiredMinRx, peer.DesiredMinTx = tt.peersMin, tt.peersMin
			b.receive(peer)
			out := b.s.update(tt.change.withDefaults(), b.now)
			p, _ := b.send(false)
			if !out.send || !p.Poll || p.DesiredMinTx != tt.toldTx || p.RequiredMinRx != tt.toldRx {
				t.Errorf("told %+v", p)
			}
			if out.changed() {
				t.Error("state changed")
			}
			if tx, d := b.s.transmitInterval(), b.s.detectionTime(); tx != tt.txBefore || d != tt.detectBefore {
				t.Errorf("before the answer: transmit %v, detection %v", tx, d)
			}
			if p, _ = b.send(false); !p.Poll {
				t.Error("poll is not repeated")
			}
			peer.Final = true
			b.receive(peer)
			if tx, d := b.s.transmitInterval(), b.s.detectionTime(); tx != tt.txAfter || d != tt.detectAfter {
				t.Errorf("after the answer: transmit %v, detection %v", tx, d)
			}
			if got := b.s.detectAt.Sub(b.now); got != tt.detectAfter {
				t.Errorf("detection timer in %v, want %v", got, tt.detectAfter)
			}
			if p, _ = b.send(false); p.Poll {
				t.Error("poll goes on")
			}
		})
	}
}

// TestChangeDuringPoll: the answer may be to the old values, so it does not confirm the new ones.
func TestChangeDuringPoll(t *testing.T) {
	b := newBench(t, Params{}).up()
	b.s.update(Params{TransmitInterval: 700 * ms}.withDefaults(), b.now)
	b.s.update(Params{TransmitInterval: 900 * ms}.withDefaults(), b.now)
	final := peerPacket(Up)
	final.Final = true
	out := b.receive(final)
	if got := b.s.transmitInterval(); !out.send || got != 300*ms {
		t.Errorf("after the first answer: interval %v, %+v", got, out)
	}
	if p, _ := b.send(false); !p.Poll || p.DesiredMinTx != 900*ms {
		t.Errorf("second poll: %+v", p)
	}
	b.receive(final)
	if got := b.s.transmitInterval(); got != 900*ms {
		t.Errorf("after the second answer: interval %v", got)
	}
}

func TestDetection(t *testing.T) {
	b := newBench(t, Params{}).up()
	last := b.now
	b.now = last.Add(900*ms - 1)
	b.s.nextTx = time.Time{}
	if out := b.s.expire(10*ms, b.now); out != (output{from: Up, to: Up}) {
		t.Errorf("before the detection time: %+v", out)
	}
	b.now = last.Add(900 * ms)
	out := b.s.expire(10*ms, b.now)
	if out.to != Down || !out.send || b.s.diag != DiagDetectionTimeExpired {
		t.Errorf("at the detection time: %+v, %v", out, b.s.diag)
	}
	p, _ := b.send(false)
	if p.State != Down || p.YourDiscriminator != 0 || p.DesiredMinTx != time.Second || p.Poll || p.Diagnostic != DiagDetectionTimeExpired {
		t.Errorf("packet %+v", p)
	}
}

// TestDetectionFollowsThePeer: multiplier and desired interval are the peer's.
func TestDetectionFollowsThePeer(t *testing.T) {
	b := newBench(t, Params{}).up()
	p := peerPacket(Up)
	p.DetectMultiplier, p.DesiredMinTx = 5, 400*ms
	b.receive(p)
	if got := b.s.detectAt.Sub(b.now); got != 2*time.Second {
		t.Errorf("detection in %v, want 2s", got)
	}
}

// TestDetectionCountsFromTheKernelsTime: a packet that waited in the socket is as old as it is.
func TestDetectionCountsFromTheKernelsTime(t *testing.T) {
	b := newBench(t, Params{}).up()
	b.now = b.now.Add(500 * ms)
	at := b.now.Add(-200 * ms)
	p := peerPacket(Up)
	if _, ok := b.s.receive(&p, p.append(nil), at, b.now); !ok || b.s.detectAt != at.Add(900*ms) {
		t.Errorf("detection %v after the packet", b.s.detectAt.Sub(at))
	}
}

func TestLateTimerMayNotJudge(t *testing.T) {
	b := newBench(t, Params{}).up()
	b.now = b.now.Add(900*ms + 11*ms)
	out := b.s.expire(10*ms, b.now)
	if out.changed() || !out.reprieve || out.late < 11*ms || b.s.state != Up {
		t.Fatalf("late timer judged: %+v", out)
	}
	if got := b.s.detectAt.Sub(b.now); got != 300*ms {
		t.Fatalf("reprieve of %v, want one interval", got)
	}
	// A poll of this system's parameters must not prolong it.
	b.s.update(Params{TransmitInterval: 200 * ms}.withDefaults(), b.now)
	b.now = b.now.Add(300 * ms)
	if out = b.s.expire(10*ms, b.now); out.to != Down {
		t.Fatalf("not down after the reprieve: %+v", out)
	}

	b = newBench(t, Params{}).up()
	b.now = b.now.Add(911 * ms)
	b.s.expire(10*ms, b.now)
	b.now = b.now.Add(350 * ms) // late again, and no second reprieve
	if out = b.s.expire(10*ms, b.now); out.to != Down {
		t.Fatalf("second reprieve: %+v", out)
	}
}

func TestPassiveWaits(t *testing.T) {
	b := newBench(t, Params{Passive: true})
	if _, ok := b.send(false); ok || !b.s.nextTx.IsZero() {
		t.Error("sends before the peer is heard")
	}
	out := b.receive(peerPacket(Down))
	if p, ok := b.send(out.final); !out.send || !ok || p.State != Init {
		t.Errorf("does not answer: %+v %+v", out, p)
	}
	b.up()
	b.now = b.now.Add(900 * ms)
	b.s.expire(10*ms, b.now)
	if _, ok := b.send(false); ok {
		t.Error("sends after the peer has gone")
	}
}

func TestPeerThatWantsNoPackets(t *testing.T) {
	b := newBench(t, Params{}).up()
	p := peerPacket(Up)
	p.RequiredMinRx = 0
	b.receive(p)
	if !b.s.nextTx.IsZero() {
		t.Error("required minimum receive interval 0 is ignored")
	}
	p.Poll = true
	if out := b.receive(p); !out.final {
		t.Error("poll is not answered")
	}
}

func TestPeerInDemandMode(t *testing.T) {
	b := newBench(t, Params{}).up()
	p := peerPacket(Up)
	p.Demand = true
	b.receive(p)
	if !b.s.nextTx.IsZero() {
		t.Error("sends periodically to a peer in demand mode")
	}
	p.Poll = true
	if out := b.receive(p); !out.final || !out.send {
		t.Error("poll is not answered")
	}
	b.s.update(Params{TransmitInterval: 200 * ms}.withDefaults(), b.now)
	if b.s.nextTx.IsZero() {
		t.Error("poll of this system is not repeated in demand mode")
	}
}

func TestAdminDownIgnoresThePeer(t *testing.T) {
	b := newBench(t, Params{}).up()
	out := b.s.update(Params{AdminDown: true}.withDefaults(), b.now)
	p, _ := b.send(false)
	if out.to != AdminDown || !out.send || p.State != AdminDown || p.Diagnostic != DiagAdministrativelyDown {
		t.Fatalf("%+v %+v", out, p)
	}
	for _, s := range []State{Down, Init, Up, AdminDown} {
		if out = b.receive(peerPacket(s)); out.changed() || out.send {
			t.Errorf("reacts to %v: %+v", s, out)
		}
	}
	if out = b.s.update(Params{}.withDefaults(), b.now); out.to != Down || !out.send {
		t.Errorf("enable: %+v", out)
	}
}

func TestAuthenticatedSession(t *testing.T) {
	old, fresh := AuthKey{ID: 1, Secret: "old"}, AuthKey{ID: 2, Secret: "new"}
	b := newBench(t, Params{Auth: Auth{Type: AuthMeticulousKeyedSHA1, Keys: []AuthKey{fresh, old}}})
	try := func(k AuthKey, kind AuthType, seq uint32) bool {
		p := peerPacket(Down)
		raw := p.append(nil)
		if kind != AuthNone {
			raw = k.sign(raw, kind, seq)
		}
		var got Packet
		if err := got.decode(raw); err != nil {
			t.Fatal(err)
		}
		_, ok := b.s.receive(&got, raw, b.now, b.now)
		return ok
	}
	for _, tt := range []struct {
		name string
		key  AuthKey
		kind AuthType
		seq  uint32
		wait time.Duration
		want bool
	}{
		{"no authentication", old, AuthNone, 0, 0, false},
		{"other type", old, AuthKeyedSHA1, 10, 0, false},
		{"unknown key", AuthKey{ID: 3, Secret: "old"}, AuthMeticulousKeyedSHA1, 10, 0, false},
		{"wrong secret", AuthKey{ID: 1, Secret: "nil"}, AuthMeticulousKeyedSHA1, 10, 0, false},
		{"first packet", old, AuthMeticulousKeyedSHA1, 10, 0, true},
		{"replay", old, AuthMeticulousKeyedSHA1, 10, 0, false},
		{"next, with the other key", fresh, AuthMeticulousKeyedSHA1, 11, 0, true},
		{"older", old, AuthMeticulousKeyedSHA1, 10, 0, false},
		{"beyond the window", old, AuthMeticulousKeyedSHA1, 21, 0, false},
		{"replay before two detection times", old, AuthMeticulousKeyedSHA1, 10, 1799 * ms, false},
		{"restarted peer after two detection times", old, AuthMeticulousKeyedSHA1, 5, ms, true},
	} {
		b.now = b.now.Add(tt.wait)
		if got := try(tt.key, tt.kind, tt.seq); got != tt.want {
			t.Errorf("%s: accepted %v, want %v", tt.name, got, tt.want)
		}
	}
}

func TestRefusedPacketChangesNothing(t *testing.T) {
	b := newBench(t, Params{Auth: Auth{Type: AuthKeyedSHA1, Keys: []AuthKey{{ID: 1, Secret: "x"}}}})
	before := *b.s
	p := peerPacket(Down)
	if _, ok := b.s.receive(&p, p.append(nil), b.now, b.now); ok {
		t.Fatal("unauthenticated packet accepted")
	}
	if b.s.remote != before.remote || b.s.state != before.state || b.s.detectAt != before.detectAt || b.s.auth != before.auth {
		t.Error("a refused packet changed the session")
	}
}
