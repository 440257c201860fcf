package probe

import (
	"fmt"
	"slices"
	"time"
)

// answeredWindow is how many successes on each side of a gap say who answered.
const answeredWindow = 20

// reading is everything a Probe recorded.
type reading struct {
	url               string
	began             time.Time
	ended             time.Duration
	interval, timeout time.Duration
	control           time.Duration // as asked for
	attempts          []Attempt     // in the order in which they ended
	marks             []Mark
	breaks            []Break
	skipped           int
	lag               time.Duration
}

// analyse turns a reading into a report. It is pure.
func analyse(r reading) Report {
	attempts := slices.Clone(r.attempts)
	slices.SortStableFunc(attempts, func(a, b Attempt) int { return int(a.Start - b.Start) })
	marks := slices.Clone(r.marks)
	slices.SortStableFunc(marks, func(a, b Mark) int { return int(a.At - b.At) })

	out := Report{
		URL: r.url, Began: r.began, Lasted: r.ended, Interval: r.interval, Timeout: r.timeout,
		Control: min(r.control, r.ended), Attempts: len(attempts), Skipped: r.skipped, Lag: r.lag,
		Backends: make(map[string]int), Marks: marks, Breaks: slices.Clone(r.breaks),
	}
	var took []time.Duration
	for _, a := range attempts {
		if !a.OK() {
			out.Failures = append(out.Failures, a)
			continue
		}
		out.OK++
		out.Backends[a.Backend]++
		took = append(took, a.End-a.Start)
	}
	out.Latency = latency(took)
	out.Gaps = gaps(attempts, marks, r.ended, r.control)
	slices.SortStableFunc(out.Breaks, func(a, b Break) int { return int(a.Noticed - b.Noticed) })
	for i := range out.Breaks {
		out.Breaks[i].Mark, out.Breaks[i].SinceMark = lastMark(marks, out.Breaks[i].Noticed)
	}
	out.Tainted = taints(r, out)
	return out
}

// gaps finds the runs of failures in attempts, which are in order of start.
func gaps(attempts []Attempt, marks []Mark, ended, control time.Duration) []Gap {
	var out []Gap
	for i := 0; i < len(attempts); {
		if attempts[i].OK() {
			i++
			continue
		}
		end := i
		for end < len(attempts) && !attempts[end].OK() {
			end++
		}
		out = append(out, gap(attempts, i, end, marks, ended, control))
		i = end
	}
	return out
}

// gap describes the run of failures attempts[from:to].
func gap(attempts []Attempt, from, to int, marks []Mark, ended, control time.Duration) Gap {
	run := attempts[from:to]
	g := Gap{
		To: ended, Open: to == len(attempts),
		FirstFailure: run[0].Start, LastFailure: run[len(run)-1].Start, Failures: len(run),
		Fault: fault(run), Reasons: make(map[Reason]int),
		Before: answered(attempts[:from], true), After: answered(attempts[to:], false),
	}
	if from > 0 {
		g.From = attempts[from-1].Start
	}
	if !g.Open {
		g.To = attempts[to].Start
	}
	g.Length = g.To - g.From
	g.Control = g.FirstFailure < control
	for _, a := range run {
		g.Reasons[a.Reason]++
		if a.Neighbor != "" {
			g.Neighbor = a.Neighbor
		}
	}
	// What was done at a mark may hit an attempt that was already under way.
	g.Mark, g.SinceMark = lastMark(marks, run[0].End)
	g.SinceMark = max(0, g.SinceMark-(run[0].End-run[0].Start))
	return g
}

// fault returns the weightiest fault of a run of failures: one attempt that
// found nobody at the address means that not only a backend is broken.
func fault(run []Attempt) Fault {
	worst := FaultProber
	for _, a := range run {
		switch a.Reason.Fault() {
		case FaultAddress:
			return FaultAddress
		case FaultBackend:
			worst = FaultBackend
		}
	}
	return worst
}

// answered returns the backends of the successes nearest to a gap, each once,
// in order of name.
func answered(attempts []Attempt, before bool) []string {
	var names []string
	for i := range attempts {
		a := attempts[i]
		if before {
			a = attempts[len(attempts)-1-i]
		}
		if !a.OK() {
			continue
		}
		if names = append(names, a.Backend); len(names) == answeredWindow {
			break
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// lastMark returns the last mark at or before t and the time since it.
func lastMark(marks []Mark, t time.Duration) (string, time.Duration) {
	for _, m := range slices.Backward(marks) {
		if m.At <= t {
			return m.Name, t - m.At
		}
	}
	return "", 0
}

// latency sorts took in place.
func latency(took []time.Duration) Latency {
	if len(took) == 0 {
		return Latency{}
	}
	slices.Sort(took)
	return Latency{
		P50: took[(len(took)-1)/2],
		P99: took[(len(took)*99+99)/100-1],
		Max: took[len(took)-1],
	}
}

// taints lists what makes a report worthless as a proof.
func taints(r reading, out Report) []string {
	var why []string
	failed, local := 0, 0
	var first string
	for _, a := range out.Failures {
		if a.Start < r.control {
			failed++
			if first == "" {
				first = string(a.Reason)
			}
		}
		if a.Reason.Fault() == FaultProber {
			local++
		}
	}
	if failed > 0 {
		why = append(why, fmt.Sprintf("%d attempts of the control reading failed, the first with %q", failed, first))
	}
	for _, b := range out.Breaks {
		if b.Noticed < r.control {
			why = append(why, fmt.Sprintf("connection %d broke in the control reading", b.Connection))
			break
		}
	}
	if r.ended < r.control {
		why = append(why, fmt.Sprintf("stopped after %s of a control reading of %s", ms(r.ended), ms(r.control)))
	}
	for _, m := range out.Marks {
		if m.At < r.control {
			why = append(why, fmt.Sprintf("mark %q is in the control reading", m.Name))
			break
		}
	}
	if local > 0 {
		why = append(why, fmt.Sprintf("%d attempts could not be made: see the failures", local))
	}
	if r.lag >= r.timeout {
		why = append(why, fmt.Sprintf("the prober itself was stopped for %s", ms(r.lag)))
	}
	if out.Attempts == 0 {
		why = append(why, "no attempt was made")
	}
	return why
}
