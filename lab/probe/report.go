package probe

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// Report is what a Probe saw. Durations without another name are offsets from
// Began; in JSON they are nanoseconds.
type Report struct {
	URL      string        `json:"url"`
	Began    time.Time     `json:"began"`
	Lasted   time.Duration `json:"lasted_ns"`
	Interval time.Duration `json:"interval_ns"`
	Timeout  time.Duration `json:"timeout_ns"`

	// Control is for how long the control reading took. It is shorter than
	// asked for if the probe was stopped in it.
	Control time.Duration `json:"control_ns"`

	// Tainted tells why the report proves nothing. Empty is good.
	Tainted []string `json:"tainted,omitempty"`

	Attempts int `json:"attempts"`
	OK       int `json:"ok"`

	// Skipped are attempts that were not made because the prober was late or
	// had too many under way. Lag is the most that it was late.
	Skipped int           `json:"skipped"`
	Lag     time.Duration `json:"lag_ns"`

	Latency Latency `json:"latency"`

	// Backends counts the successes by who answered.
	Backends map[string]int `json:"backends"`

	Marks  []Mark  `json:"marks,omitempty"`
	Gaps   []Gap   `json:"gaps,omitempty"`
	Breaks []Break `json:"breaks,omitempty"`

	// Failures are the attempts that failed, in order of their start.
	Failures []Attempt `json:"failures,omitempty"`
}

// Latency is how long successes took, from the SYN to the last byte.
type Latency struct {
	P50 time.Duration `json:"p50_ns"`
	P99 time.Duration `json:"p99_ns"`
	Max time.Duration `json:"max_ns"`
}

// Mark is a moment that somebody wanted to find again.
type Mark struct {
	Name string        `json:"name"`
	At   time.Duration `json:"at_ns"`
}

// Gap is a time without success: a run of failed attempts.
type Gap struct {
	// From is the start of the last success before, or 0 if there was none; To
	// is the start of the first success after, or the end of the probe if there
	// was none, in which case the gap is Open. Length is the time between, so
	// it is at most two intervals too long.
	From   time.Duration `json:"from_ns"`
	To     time.Duration `json:"to_ns"`
	Length time.Duration `json:"length_ns"`
	Open   bool          `json:"open,omitempty"`

	// FirstFailure and LastFailure are the starts of the failed attempts.
	FirstFailure time.Duration `json:"first_failure_ns"`
	LastFailure  time.Duration `json:"last_failure_ns"`
	Failures     int           `json:"failures"`

	// Control is whether the gap began in the control reading.
	Control bool `json:"control,omitempty"`

	// Fault is the address if any of the attempts blames it, and the backend
	// if all blame only that.
	Fault   Fault          `json:"fault"`
	Reasons map[Reason]int `json:"reasons"`

	// Neighbor is what the client's kernel knew about the address at the last
	// failed attempt which looked.
	Neighbor string `json:"neighbor,omitempty"`

	// Before and After name who answered the last few successes before and
	// the first few after.
	Before []string `json:"before,omitempty"`
	After  []string `json:"after,omitempty"`

	// Mark is the last mark before the first failed attempt ended, if any, and
	// SinceMark the time from the mark to the start of that attempt, or 0 if it
	// was under way at the mark.
	Mark      string        `json:"mark,omitempty"`
	SinceMark time.Duration `json:"since_mark_ns,omitempty"`
}

// Break is the end of a held connection that the prober did not want.
type Break struct {
	Connection int    `json:"connection"`
	Backend    string `json:"backend,omitempty"`

	// Opened is when the connection was open, LastByte when the last byte came
	// out of it, and Noticed when the prober knew it to be broken.
	Opened   time.Duration `json:"opened_ns"`
	LastByte time.Duration `json:"last_byte_ns"`
	Noticed  time.Duration `json:"noticed_ns"`

	Reason Reason `json:"reason"`
	Error  string `json:"error,omitempty"`

	// Mark is the last mark before Noticed, if any, and SinceMark the time
	// from the mark to it.
	Mark      string        `json:"mark,omitempty"`
	SinceMark time.Duration `json:"since_mark_ns,omitempty"`
}

// Failed is the number of attempts that failed.
func (r Report) Failed() int { return r.Attempts - r.OK }

// Longest returns the longest gap, or a zero Gap if there was none.
func (r Report) Longest() Gap {
	var longest Gap
	for _, g := range r.Gaps {
		if g.Length > longest.Length {
			longest = g
		}
	}
	return longest
}

// Lost counts the requests that failed, except for those that were under way in the very moment in
// which their packets went to another node, which does not know the connection and resets it: single
// resets, one for each of so many moves.
func (r Report) Lost(moves int) (n int) {
	for _, g := range r.Gaps {
		if moves > 0 && g.Failures == 1 && g.Reasons[ReasonReset] == 1 {
			moves--
			continue
		}
		n += g.Failures
	}
	return n
}

// GapsSince returns the gaps whose last mark is called mark.
func (r Report) GapsSince(mark string) []Gap {
	var out []Gap
	for _, g := range r.Gaps {
		if g.Mark == mark {
			out = append(out, g)
		}
	}
	return out
}

// maxListed bounds how many gaps and breaks String tells of, the longest gaps
// and the first breaks.
const maxListed = 20

// String returns the report for people.
func (r Report) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s for %s: a connection every %v, timeout %v, control reading %v\n",
		r.URL, ms(r.Lasted), r.Interval, r.Timeout, ms(r.Control))
	for _, t := range r.Tainted {
		fmt.Fprintf(&b, "TAINTED: %s\n", t)
	}
	fmt.Fprintf(&b, "%d attempts: %d ok, %d failed", r.Attempts, r.OK, r.Failed())
	if r.Skipped > 0 {
		fmt.Fprintf(&b, ", %d skipped", r.Skipped)
	}
	if r.OK > 0 {
		fmt.Fprintf(&b, "; took %s, 99%% at most %s, longest %s", ms(r.Latency.P50), ms(r.Latency.P99), ms(r.Latency.Max))
	}
	b.WriteByte('\n')
	for _, name := range slices.Sorted(maps.Keys(r.Backends)) {
		fmt.Fprintf(&b, "  %6d from %s\n", r.Backends[name], orUnnamed(name))
	}
	for _, m := range r.Marks {
		fmt.Fprintf(&b, "mark %s at %s\n", m.Name, ms(m.At))
	}
	writeGaps(&b, r.Gaps)
	for i, k := range r.Breaks {
		if i == maxListed {
			fmt.Fprintf(&b, "and %d more broken connections\n", len(r.Breaks)-i)
			break
		}
		fmt.Fprintf(&b, "connection %d to %s broke at %s%s: %s; last byte at %s, opened at %s\n",
			k.Connection, orUnnamed(k.Backend), ms(k.Noticed), sinceMark(k.Mark, k.SinceMark), k.Reason, ms(k.LastByte), ms(k.Opened))
	}
	return b.String()
}

func writeGaps(b *strings.Builder, gaps []Gap) {
	if len(gaps) == 0 {
		b.WriteString("no gap\n")
		return
	}
	listed := slices.Clone(gaps)
	if len(listed) > maxListed {
		slices.SortStableFunc(listed, func(a, b Gap) int { return int(b.Length - a.Length) })
		listed = listed[:maxListed]
		slices.SortStableFunc(listed, func(a, b Gap) int { return int(a.From - b.From) })
	}
	for _, g := range listed {
		fmt.Fprintf(b, "gap of %s from %s to %s%s", ms(g.Length), ms(g.From), ms(g.To), sinceMark(g.Mark, g.SinceMark))
		if g.Open {
			b.WriteString(", not over at the end")
		}
		fmt.Fprintf(b, ": %s at fault (%s)", g.Fault, reasons(g.Reasons))
		if g.Neighbor != "" {
			fmt.Fprintf(b, "; neighbour %s", g.Neighbor)
		}
		fmt.Fprintf(b, "; answered before: %s, after: %s\n", backends(g.Before), backends(g.After))
	}
	if more := len(gaps) - len(listed); more > 0 {
		fmt.Fprintf(b, "and %d shorter gaps\n", more)
	}
}

func reasons(counts map[Reason]int) string {
	var parts []string
	for _, r := range slices.Sorted(maps.Keys(counts)) {
		parts = append(parts, fmt.Sprintf("%d x %s", counts[r], r))
	}
	return strings.Join(parts, ", ")
}

func backends(names []string) string {
	if len(names) == 0 {
		return "nobody"
	}
	out := slices.Clone(names)
	for i := range out {
		out[i] = orUnnamed(out[i])
	}
	return strings.Join(out, " ")
}

func orUnnamed(backend string) string {
	if backend == "" {
		return "(unnamed)"
	}
	return backend
}

func sinceMark(mark string, since time.Duration) string {
	if mark == "" {
		return ""
	}
	return fmt.Sprintf(", %s after %q", ms(since), mark)
}

// ms prints a duration for people: tenths of a millisecond are noise enough.
func ms(d time.Duration) string { return d.Round(100 * time.Microsecond).String() }
