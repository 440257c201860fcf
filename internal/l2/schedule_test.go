package l2

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

func steady() float64 { return 1 }

func testRhythm() rhythm { return rhythm{gaps: burst(), refresh: time.Minute, spread: steady} }

// sent records rounds with the time since the start.
type sent struct {
	start time.Time

	mu    sync.Mutex
	order []string
	times map[string][]time.Duration
}

func newSent() *sent { return &sent{start: time.Now(), times: map[string][]time.Duration{}} }

func (s *sent) send(frames int) func(string) int {
	return func(k string) int {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.order = append(s.order, k)
		s.times[k] = append(s.times[k], time.Since(s.start))
		return frames
	}
}

// keys lists the rounds in their order, at those of one key.
func (s *sent) keys() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.order)
}

func (s *sent) at(k string) []time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.times[k])
}

// pace runs a pacer in a bubble of its own time.
func pace(t *testing.T, r rhythm, rate, frames int, script func(ctx context.Context, p *pacer[string], s *sent)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		s := newSent()
		p := newPacer(r, rate, s.send(frames))
		done := make(chan struct{})
		go func() { p.run(ctx); close(done) }()
		script(ctx, p, s)
		cancel()
		<-done
	})
}

func TestPacerBurstAndRefresh(t *testing.T) {
	pace(t, testRhythm(), 1000, 2, func(_ context.Context, p *pacer[string], s *sent) {
		p.changes <- change[string]{add: []string{"a"}}
		time.Sleep(3*time.Minute + 10*time.Second)
		synctest.Wait()
		ms := time.Millisecond
		want := []time.Duration{
			0, 100 * ms, 300 * ms, 700 * ms, 1500 * ms, 3100 * ms,
			63100 * ms, 123100 * ms, 183100 * ms,
		}
		if d := cmp.Diff(want, s.at("a")); d != "" {
			t.Errorf("rounds (-want +got):\n%s", d)
		}
	})
}

func TestPacerEndsAtWithdrawal(t *testing.T) {
	pace(t, testRhythm(), 1000, 2, func(_ context.Context, p *pacer[string], s *sent) {
		p.changes <- change[string]{add: []string{"a", "b"}}
		time.Sleep(150 * time.Millisecond)
		p.changes <- change[string]{remove: []string{"a", "never added"}}
		time.Sleep(time.Hour)
		synctest.Wait()
		if n := len(s.at("a")); n != 2 {
			t.Errorf("%d rounds of a withdrawn address, want 2", n)
		}
		if n := len(s.at("b")); n < 60 {
			t.Errorf("%d rounds of the other within an hour", n)
		}
	})
}

func TestPacerBeginsAfresh(t *testing.T) {
	pace(t, testRhythm(), 1000, 2, func(_ context.Context, p *pacer[string], s *sent) {
		p.changes <- change[string]{add: []string{"a"}}
		time.Sleep(10 * time.Second)
		p.changes <- change[string]{add: []string{"a"}}
		time.Sleep(10 * time.Second)
		synctest.Wait()
		if n := len(s.at("a")); n != 12 {
			t.Errorf("%d rounds, want two bursts of 6", n)
		}
	})
}

// Ten thousand addresses at once keep within the rate, all first rounds come before any
// second one, and a latecomer does not wait for the others' repeats.
func TestPacerKeepsRate(t *testing.T) {
	const rate, n = 2000, 10000
	pace(t, testRhythm(), rate, 2, func(_ context.Context, p *pacer[string], s *sent) {
		var keys []string
		for i := range n {
			keys = append(keys, fmt.Sprint(i))
		}
		p.changes <- change[string]{add: keys}
		synctest.Wait()
		if got := len(s.keys()); got != rate/8/2 {
			t.Errorf("%d rounds without delay, want %d", got, rate/8/2)
		}
		time.Sleep(time.Duration(n*2/rate)*time.Second + time.Second)
		synctest.Wait()
		for _, k := range keys {
			if len(s.at(k)) == 0 {
				t.Fatalf("%s has not been announced after %s", k, time.Since(s.start))
			}
		}
		firsts := map[string]bool{}
		for _, k := range s.keys()[:n] {
			firsts[k] = true
		}
		if len(firsts) != n {
			t.Errorf("the first %d rounds are of %d addresses", n, len(firsts))
		}
		p.changes <- change[string]{add: []string{"late"}}
		time.Sleep(2 * pause)
		synctest.Wait()
		if len(s.at("late")) == 0 {
			t.Error("a new address waits for the repeats of others")
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		if got, limit := 2*len(s.keys()), int(time.Since(s.start).Seconds()*rate)+rate/8; got > limit {
			t.Errorf("%d frames in %s, limit %d", got, time.Since(s.start), limit)
		}
	})
}

// Refreshing many addresses that came at once spreads out instead of coming in waves.
func TestRefreshSpreads(t *testing.T) {
	r := testRhythm()
	turn := 0
	r.spread = func() float64 { turn++; return 0.9 + 0.2*float64(turn%100)/100 }
	pace(t, r, 2000, 2, func(_ context.Context, p *pacer[string], s *sent) {
		var keys []string
		for i := range 1000 {
			keys = append(keys, fmt.Sprint(i))
		}
		p.changes <- change[string]{add: keys}
		time.Sleep(40 * time.Minute)
		synctest.Wait()
		perSecond := map[int]int{}
		for _, k := range keys {
			for _, d := range s.at(k) {
				if d > 30*time.Minute {
					perSecond[int(d.Seconds())]++
				}
			}
		}
		for sec, n := range perSecond {
			if n > 60 {
				t.Errorf("second %d has %d of 1000 addresses", sec, n)
			}
		}
	})
}

func TestPacerSleepsWithoutAddresses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPacer(testRhythm(), 1000, func(string) int { return 1 })
		if _, ok := p.work(time.Now()); ok {
			t.Error("a pacer without addresses wants to be woken")
		}
	})
}
