package bfd

import (
	"math/rand/v2"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// world is two sessions, a clock, and a link that loses, delays and reorders.
type world struct {
	t      *rapid.T
	now    time.Time
	ends   [2]*session
	flight []flying
	loss   int // per cent
	rng    *rand.Rand

	sent   [2]time.Time // when the last packet left
	heard  [2]time.Time
	detect [2]time.Duration // detection time as of the last packet
}

type flying struct {
	to int
	at time.Time
	b  []byte
}

const lateness = 10 * time.Millisecond

func (w *world) settle(i int, out output, timer bool) {
	s := w.ends[i]
	if out.changed() && out.to == Down && s.diag == DiagDetectionTimeExpired {
		if d := w.now.Sub(w.heard[i]); d < w.detect[i] {
			w.t.Fatalf("end %d: down %v after a packet, detection time is %v", i, d, w.detect[i])
		}
	}
	if out.to == Up && s.remote.discriminator == 0 {
		w.t.Fatalf("end %d: Up without a peer", i)
	}
	if !out.send {
		return
	}
	var p Packet
	if timer && !out.changed() {
		// A periodic packet keeps its distance from the one before.
		if d, least := w.now.Sub(w.sent[i]), scale(s.transmitInterval(), 0.75); !w.sent[i].IsZero() && d < least {
			w.t.Fatalf("end %d: %v after the last packet, least is %v", i, d, least)
		}
	}
	if !s.transmit(&p, out.final, w.now) {
		return
	}
	if p.Poll && p.Final {
		w.t.Fatalf("end %d sends poll and final", i)
	}
	if p.State != Up && p.DesiredMinTx < slowInterval {
		w.t.Fatalf("end %d: %v with desired interval %v", i, p.State, p.DesiredMinTx)
	}
	if p.YourDiscriminator == 0 && p.State > Down {
		w.t.Fatalf("end %d: %v for nobody", i, p.State)
	}
	w.sent[i] = w.now
	if w.rng.IntN(100) >= w.loss {
		delay := time.Duration(w.rng.IntN(20)) * time.Millisecond
		w.flight = append(w.flight, flying{1 - i, w.now.Add(delay), p.append(nil)})
	}
}

// step moves to the next thing that happens, at most to the given time.
func (w *world) step(until time.Time) {
	next, arrival := until, -1
	for i, f := range w.flight {
		if f.at.Before(next) {
			next, arrival = f.at, i
		}
	}
	end := -1
	for i, s := range w.ends {
		if d := s.deadline(); !d.IsZero() && d.Before(next) {
			next, arrival, end = d, -1, i
		}
	}
	if next.After(w.now) {
		w.now = next
	}
	switch {
	case arrival >= 0:
		f := w.flight[arrival]
		w.flight = append(w.flight[:arrival], w.flight[arrival+1:]...)
		var p Packet
		if err := p.decode(f.b); err != nil {
			w.t.Fatalf("session sent %x: %v", f.b, err)
		}
		out, _ := w.ends[f.to].receive(&p, f.b, w.now, w.now)
		w.heard[f.to], w.detect[f.to] = w.now, w.ends[f.to].detectionTime()
		w.settle(f.to, out, false)
	case end >= 0:
		w.settle(end, w.ends[end].expire(lateness, w.now), true)
	}
}

func (w *world) run(d time.Duration) {
	for until := w.now.Add(d); w.now.Before(until); {
		w.step(until)
	}
}

func genParams(t *rapid.T) Params {
	interval := rapid.Custom(func(t *rapid.T) time.Duration {
		return time.Duration(rapid.IntRange(10, 2000).Draw(t, "ms")) * time.Millisecond
	})
	return Params{
		TransmitInterval: interval.Draw(t, "transmit"),
		ReceiveInterval:  interval.Draw(t, "receive"),
		DetectMultiplier: rapid.Uint8Range(2, 10).Draw(t, "multiplier"),
		Passive:          rapid.Bool().Draw(t, "passive"),
		AdminDown:        rapid.IntRange(0, 9).Draw(t, "admin") == 0,
	}.withDefaults()
}

// TestTwoSessionsOverABadLink: whatever is lost, delayed, reordered and changed, the rules hold; and
// when the link is good again and both ends want the session, it comes up with the negotiated values
// and stays.
func TestTwoSessionsOverABadLink(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		seed := rapid.Uint64().Draw(t, "seed")
		w := &world{t: t, now: epoch, rng: rand.New(rand.NewPCG(seed, 1))}
		for i := range w.ends {
			w.ends[i] = newSession(genParams(t), uint32(i+1), false, rand.New(rand.NewPCG(seed, uint64(i+2))), epoch)
		}
		for range rapid.IntRange(1, 8).Draw(t, "phases") {
			w.loss = rapid.SampledFrom([]int{0, 10, 50, 90, 100}).Draw(t, "loss")
			if rapid.Bool().Draw(t, "change") {
				i := rapid.IntRange(0, 1).Draw(t, "end")
				w.settle(i, w.ends[i].update(genParams(t), w.now), false)
				if d := w.ends[i].detectionTime(); d > 0 {
					w.detect[i] = min(w.detect[i], d) // its own receive interval is part of it
				}
			}
			w.run(time.Duration(rapid.IntRange(1, 20000).Draw(t, "ms")) * time.Millisecond)
		}

		w.loss = 0
		for i, s := range w.ends {
			p := genParams(t)
			p.AdminDown = false
			p.Passive = p.Passive && i == 0
			// No false alarm by the link's own delay of up to 20 ms either way.
			p.TransmitInterval, p.ReceiveInterval = max(p.TransmitInterval, 100*time.Millisecond), max(p.ReceiveInterval, 100*time.Millisecond)
			w.settle(i, s.update(p, w.now), false)
		}
		w.run(time.Minute)
		for i, s := range w.ends {
			o := w.ends[1-i]
			if s.state != Up || s.polling || s.remote.discriminator != o.local {
				t.Fatalf("end %d after a minute of good link: %v, polling %v", i, s.state, s.polling)
			}
			if want := max(s.params.TransmitInterval, o.params.ReceiveInterval); s.transmitInterval() != want || o.receiveInterval() != want {
				t.Fatalf("end %d sends every %v, the other expects %v, want %v", i, s.transmitInterval(), o.receiveInterval(), want)
			}
		}
	})
}
