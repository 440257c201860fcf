package probe

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

const tick = 10 * time.Millisecond

// attempts makes one attempt a tick out of letters: a and b are successes of
// backends of that name; the others are failures.
func attempts(t *testing.T, letters string) []Attempt {
	t.Helper()
	var out []Attempt
	for i, l := range letters {
		start := time.Duration(i) * tick
		a := Attempt{Start: start, End: start + time.Millisecond}
		switch l {
		case 'a', 'b':
			a.Backend = string(l)
		case 'S':
			a.Reason = ReasonSYNTimeout
		case 'N':
			a.Reason, a.Neighbor = ReasonNeighbor, "192.0.2.1 failed"
		case 'R':
			a.Reason = ReasonRefused
		case 'T':
			a.Reason = ReasonAnswerTimeout
		case 'L':
			a.Reason = ReasonLocal
		default:
			t.Fatalf("letter %q", l)
		}
		out = append(out, a)
	}
	return out
}

func TestGaps(t *testing.T) {
	for name, tc := range map[string]struct {
		letters string
		marks   []Mark
		control time.Duration
		want    []Gap
	}{
		"none": {letters: "aaaa"},
		"address": {
			letters: "aaSSSba",
			want: []Gap{{
				From: 1 * tick, To: 5 * tick, Length: 4 * tick, FirstFailure: 2 * tick, LastFailure: 4 * tick, Failures: 3,
				Fault: FaultAddress, Reasons: map[Reason]int{ReasonSYNTimeout: 3},
				Before: []string{"a"}, After: []string{"a", "b"},
			}},
		},
		"only the backend": {
			letters: "abRTRb",
			want: []Gap{{
				From: 1 * tick, To: 5 * tick, Length: 4 * tick, FirstFailure: 2 * tick, LastFailure: 4 * tick, Failures: 3,
				Fault: FaultBackend, Reasons: map[Reason]int{ReasonRefused: 2, ReasonAnswerTimeout: 1},
				Before: []string{"a", "b"}, After: []string{"b"},
			}},
		},
		"connections under way at a cut blame the backend, yet the address is at fault": {
			letters: "aTNNa",
			want: []Gap{{
				From: 0, To: 4 * tick, Length: 4 * tick, FirstFailure: 1 * tick, LastFailure: 3 * tick, Failures: 3,
				Fault: FaultAddress, Reasons: map[Reason]int{ReasonAnswerTimeout: 1, ReasonNeighbor: 2},
				Neighbor: "192.0.2.1 failed", Before: []string{"a"}, After: []string{"a"},
			}},
		},
		"the prober only": {
			letters: "aLa",
			want: []Gap{{
				From: 0, To: 2 * tick, Length: 2 * tick, FirstFailure: 1 * tick, LastFailure: 1 * tick, Failures: 1,
				Fault: FaultProber, Reasons: map[Reason]int{ReasonLocal: 1}, Before: []string{"a"}, After: []string{"a"},
			}},
		},
		"never a success": {
			letters: "SS",
			want: []Gap{{
				From: 0, To: 2 * tick, Length: 2 * tick, Open: true, FirstFailure: 0, LastFailure: 1 * tick, Failures: 2,
				Fault: FaultAddress, Reasons: map[Reason]int{ReasonSYNTimeout: 2},
			}},
		},
		"not over at the end": {
			letters: "aaR",
			want: []Gap{{
				From: 1 * tick, To: 3 * tick, Length: 2 * tick, Open: true, FirstFailure: 2 * tick, LastFailure: 2 * tick, Failures: 1,
				Fault: FaultBackend, Reasons: map[Reason]int{ReasonRefused: 1}, Before: []string{"a"},
			}},
		},
		"two, with control reading and marks": {
			letters: "aRaaaSa",
			control: 2 * tick,
			marks:   []Mark{{Name: "late", At: 6 * tick}, {Name: "cut", At: 4 * tick}, {Name: "early", At: 3 * tick}},
			want: []Gap{
				{
					From: 0, To: 2 * tick, Length: 2 * tick, FirstFailure: 1 * tick, LastFailure: 1 * tick, Failures: 1, Control: true,
					Fault: FaultBackend, Reasons: map[Reason]int{ReasonRefused: 1}, Before: []string{"a"}, After: []string{"a"},
				},
				{
					From: 4 * tick, To: 6 * tick, Length: 2 * tick, FirstFailure: 5 * tick, LastFailure: 5 * tick, Failures: 1,
					Fault: FaultAddress, Reasons: map[Reason]int{ReasonSYNTimeout: 1}, Before: []string{"a"}, After: []string{"a"},
					Mark: "cut", SinceMark: 1 * tick,
				},
			},
		},
		"under way at the mark": {
			letters: "aSa",
			marks:   []Mark{{Name: "cut", At: tick + time.Millisecond/2}},
			want: []Gap{{
				From: 0, To: 2 * tick, Length: 2 * tick, FirstFailure: 1 * tick, LastFailure: 1 * tick, Failures: 1,
				Fault: FaultAddress, Reasons: map[Reason]int{ReasonSYNTimeout: 1}, Before: []string{"a"}, After: []string{"a"},
				Mark: "cut",
			}},
		},
		"only the nearest successes tell who answered": {
			letters: "b" + strings.Repeat("a", answeredWindow) + "S" + strings.Repeat("a", answeredWindow) + "b",
			want: []Gap{{
				From: answeredWindow * tick, To: (answeredWindow + 2) * tick, Length: 2 * tick,
				FirstFailure: (answeredWindow + 1) * tick, LastFailure: (answeredWindow + 1) * tick, Failures: 1,
				Fault: FaultAddress, Reasons: map[Reason]int{ReasonSYNTimeout: 1}, Before: []string{"a"}, After: []string{"a"},
			}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := reading{
				attempts: attempts(t, tc.letters), ended: time.Duration(len(tc.letters)) * tick,
				marks: tc.marks, control: tc.control, timeout: time.Second,
			}
			if diff := cmp.Diff(tc.want, analyse(r).Gaps); diff != "" {
				t.Errorf("gaps (-want +got):\n%s", diff)
			}
			// The order in which attempts end must not matter.
			for i, j := 0, len(r.attempts)-1; i < j; i, j = i+1, j-1 {
				r.attempts[i], r.attempts[j] = r.attempts[j], r.attempts[i]
			}
			if diff := cmp.Diff(tc.want, analyse(r).Gaps); diff != "" {
				t.Errorf("gaps of the reversed reading (-want +got):\n%s", diff)
			}
		})
	}
}

func TestCounts(t *testing.T) {
	r := reading{attempts: attempts(t, "abRaS"), ended: 5 * tick, timeout: time.Second}
	r.attempts[3].End = r.attempts[3].Start + 7*time.Millisecond
	got := analyse(r)
	if got.Attempts != 5 || got.OK != 3 || got.Failed() != 2 || len(got.Failures) != 2 {
		t.Errorf("%d attempts, %d ok, %d failed, failures %v", got.Attempts, got.OK, got.Failed(), got.Failures)
	}
	if diff := cmp.Diff(map[string]int{"a": 2, "b": 1}, got.Backends); diff != "" {
		t.Errorf("backends (-want +got):\n%s", diff)
	}
	if want := (Latency{P50: time.Millisecond, P99: 7 * time.Millisecond, Max: 7 * time.Millisecond}); got.Latency != want {
		t.Errorf("latency %v, want %v", got.Latency, want)
	}
}

func TestTaints(t *testing.T) {
	for name, tc := range map[string]struct {
		r    reading
		want string // empty: not tainted
	}{
		"clean":                        {reading{attempts: attempts(t, "aaaS"), marks: []Mark{{Name: "x", At: 3 * tick}}}, ""},
		"a failure in the control":     {reading{attempts: attempts(t, "aRaa")}, `1 attempts of the control reading failed, the first with "refused"`},
		"a break in the control":       {reading{attempts: attempts(t, "aaaa"), breaks: []Break{{Connection: 3, Noticed: tick}}}, "connection 3 broke in the control reading"},
		"stopped in the control":       {reading{attempts: attempts(t, "a")}, "stopped after 10ms of a control reading of 20ms"},
		"a mark in the control":        {reading{attempts: attempts(t, "aaaa"), marks: []Mark{{Name: "x", At: tick}}}, `mark "x" is in the control reading`},
		"attempts that were not made":  {reading{attempts: attempts(t, "aaaL")}, "1 attempts could not be made"},
		"the prober was stopped":       {reading{attempts: attempts(t, "aaaa"), lag: time.Second}, "the prober itself was stopped for 1s"},
		"the prober was a little late": {reading{attempts: attempts(t, "aaaa"), lag: time.Millisecond}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			tc.r.control, tc.r.timeout, tc.r.ended = 2*tick, 100*time.Millisecond, time.Duration(len(tc.r.attempts))*tick
			got := analyse(tc.r).Tainted
			switch {
			case tc.want == "" && len(got) > 0:
				t.Errorf("tainted: %q", got)
			case tc.want != "" && (len(got) != 1 || !strings.Contains(got[0], tc.want)):
				t.Errorf("tainted: %q, want %q", got, tc.want)
			}
		})
	}
}

func TestReportForPeople(t *testing.T) {
	r := analyse(reading{
		url: "http://192.0.2.1/", attempts: attempts(t, "aaNNb"), ended: 5 * tick, interval: tick,
		timeout: 200 * time.Millisecond, control: 2 * tick, skipped: 1,
		marks:  []Mark{{Name: "cut n1", At: 2 * tick}},
		breaks: []Break{{Connection: 2, Backend: "a", Opened: time.Millisecond, LastByte: 2 * tick, Noticed: 3 * tick, Reason: ReasonReset}},
	})
	want := `http://192.0.2.1/ for 50ms: a connection every 10ms, timeout 200ms, control reading 20ms
5 attempts: 3 ok, 2 failed, 1 skipped; took 1ms, 99% at most 1ms, longest 1ms
       2 from a
       1 from b
mark cut n1 at 20ms
gap of 30ms from 10ms to 40ms, 0s after "cut n1": address at fault (2 x no neighbour); neighbour 192.0.2.1 failed; answered before: a, after: b
connection 2 to a broke at 30ms, 10ms after "cut n1": reset; last byte at 20ms, opened at 1ms
`
	if diff := cmp.Diff(want, r.String()); diff != "" {
		t.Errorf("report (-want +got):\n%s", diff)
	}
}

func TestReportNamesTheLongestGaps(t *testing.T) {
	var letters strings.Builder
	for range maxListed + 4 {
		letters.WriteString("aS")
	}
	letters.WriteString("aSSSa")
	r := analyse(reading{attempts: attempts(t, letters.String()), ended: time.Minute, timeout: time.Second})
	if got, want := r.Longest().Length, 4*tick; got != want {
		t.Errorf("longest gap %v, want %v", got, want)
	}
	text := r.String()
	if !strings.Contains(text, "gap of 40ms") || strings.Count(text, "gap of") != maxListed || !strings.Contains(text, "and 5 shorter gaps") {
		t.Errorf("report:\n%s", text)
	}
}

func TestLostLeavesOutWhatMovesReset(t *testing.T) {
	reset := Gap{Failures: 1, Reasons: map[Reason]int{ReasonReset: 1}}
	for _, tt := range []struct {
		gaps        []Gap
		moves, want int
	}{
		{nil, 2, 0},
		{[]Gap{reset}, 0, 1},
		{[]Gap{reset, reset}, 2, 0},
		{[]Gap{reset, reset, reset}, 2, 1},
		{[]Gap{{Failures: 2, Reasons: map[Reason]int{ReasonReset: 2}}}, 2, 2},
		{[]Gap{{Failures: 1, Reasons: map[Reason]int{ReasonSYNTimeout: 1}}, reset}, 2, 1},
	} {
		if got := (Report{Gaps: tt.gaps}).Lost(tt.moves); got != tt.want {
			t.Errorf("%+v with %d moves: lost %d, want %d", tt.gaps, tt.moves, got, tt.want)
		}
	}
}
