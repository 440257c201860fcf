package speaker

import (
	"net/netip"
	"testing"
	"time"
)

func TestWeightsAreHeldBack(t *testing.T) {
	start := time.Unix(1000, 0)
	route := weighted{"tor", netip.MustParsePrefix("192.0.2.1/32")}
	other := weighted{"tor", netip.MustParsePrefix("192.0.2.2/32")}
	var b bandwidthPace
	for _, step := range []struct {
		name       string
		at         time.Duration
		want       uint64 // of route; 0 is without
		gone       bool
		pass       uint64
		due        time.Duration // 0 is never
		other, got uint64
	}{
		{name: "a new route has its weight at once", at: 0, want: 1, pass: 1},
		{name: "an early change waits", at: time.Second, want: 3, pass: 1, due: 10 * time.Second},
		{name: "and takes the newest value", at: 9 * time.Second, want: 4, pass: 1, due: 10 * time.Second},
		{name: "when it is due", at: 10 * time.Second, want: 4, pass: 4},
		{name: "a change that is taken back costs nothing", at: 12 * time.Second, want: 2, pass: 4, due: 20 * time.Second},
		{name: "and nothing is due", at: 13 * time.Second, want: 4, pass: 4},
		{name: "routes wait apart from each other", at: 14 * time.Second, want: 8, pass: 4, due: 20 * time.Second, other: 7, got: 7},
		{name: "a weight that is lost is lost at once", at: 15 * time.Second, want: 0, pass: 0, other: 7, got: 7},
		{name: "and a route that comes back is new", at: 16 * time.Second, want: 6, pass: 6, other: 9, got: 7, due: 24 * time.Second},
		{name: "gone", at: 17 * time.Second, gone: true, other: 9, got: 7, due: 24 * time.Second},
		{name: "and announced again", at: 18 * time.Second, want: 2, pass: 2, other: 9, got: 7, due: 24 * time.Second},
	} {
		now := start.Add(step.at)
		if !step.gone {
			if got := b.pass(now, route, step.want); got != step.pass {
				t.Errorf("%s: %d, want %d", step.name, got, step.pass)
			}
		}
		if step.other != 0 {
			if got := b.pass(now, other, step.other); got != step.got {
				t.Errorf("%s: the other route has %d, want %d", step.name, got, step.got)
			}
		}
		b.keep(func(r weighted) bool { return r == route && !step.gone || r == other && step.other != 0 })
		due := b.due()
		if step.due == 0 && !due.IsZero() || step.due != 0 && !due.Equal(start.Add(step.due)) {
			t.Errorf("%s: the next is due %v after the start, want %v", step.name, due.Sub(start), step.due)
		}
	}
}
