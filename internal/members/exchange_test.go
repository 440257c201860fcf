package members

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

// script formats deliveries as "dest<-request(a b)" and "dest<-states(a b)".
func script(t *testing.T, list []delivery) string {
	t.Helper()
	var out []string
	for _, d := range list {
		for _, raw := range d.messages {
			m, err := unmarshal(raw)
			if err != nil {
				t.Fatal(err)
			}
			var nodes []string
			for _, e := range m.entries {
				nodes = append(nodes, e.node)
			}
			slices.Sort(nodes)
			name := map[kind]string{kindRequest: "request", kindStates: "states"}[m.kind]
			out = append(out, fmt.Sprintf("%s<-%s(%s)", d.dest, name, strings.Join(nodes, " ")))
		}
	}
	return strings.Join(out, "; ")
}

func TestExchange(t *testing.T) {
	s := newStore("self", 1)
	x := newExchange("self")
	now := time.Unix(1000, 0)
	dead := map[string]bool{}
	next := func(want string) {
		t.Helper()
		got := x.next(2, s, func(n string) bool { return !dead[n] }, now)
		if text := script(t, got); text != want {
			t.Errorf("want %q, have %q", want, text)
		}
	}

	x.offered("a", stamp{1, 1}, "h", now)
	x.offered("b", stamp{1, 1}, "h", now)
	next("h<-request(a b)")
	next("")
	x.offered("c", stamp{1, 1}, "h", now)
	next("") // h is busy
	x.sent("h")
	next("h<-request(c)")
	x.sent("h")

	s.merge(entry{node: "a", stamp: stamp{1, 1}, content: []byte("x")})
	x.have("a", stamp{1, 1}, now)
	s.merge(entry{node: "b", stamp: stamp{1, 1}, content: []byte("y")})
	x.offered("b", stamp{1, 3}, "i", now)
	next("") // b's answer is awaited
	x.have("b", stamp{1, 1}, now)
	next("i<-request(b)") // it came but something newer is known
	x.have("b", stamp{1, 3}, now)
	x.sent("i")

	now = now.Add(pullPatience)
	next("c<-request(c)") // no answer from h, so from the node itself
	x.offered("c", stamp{1, 1}, "i", now)
	x.sent("c")
	now = now.Add(pullPatience)
	next("i<-request(c)") // an alternative turned up meanwhile
	x.sent("i")
	now = now.Add(pullPatience)
	next("c<-request(c)")
	x.sent("c")
	now = now.Add(pullPatience)
	next("") // enough
	if d := x.wait(2, now); d != forever {
		t.Errorf("nothing to do, but wait says %s", d)
	}

	x.asked("p", []entry{{node: "a"}, {node: "unknown"}}, now)
	x.asked("p", []entry{{node: "b"}}, now)
	x.asked("q", []entry{{node: "a"}}, now)
	x.asked("r", []entry{{node: "a"}}, now)
	next("p<-states(a b); q<-states(a)") // no more than two at once
	x.sent("q")
	x.asked("p", []entry{{node: "a"}}, now)
	next("r<-states(a)")
	dead["p"] = true // or not yet known to be a member
	x.sent("p")
	x.sent("r")
	next("")
	dead["p"] = false
	next("p<-states(a)")
	x.sent("p")
	dead["p"] = true
	x.asked("p", []entry{{node: "a"}}, now)
	now = now.Add(pullPatience + 1)
	next("")
	dead["p"] = false
	next("") // too late

	x.joined("d", now)
	next("")
	if d := x.wait(2, now); d != pullGrace {
		t.Errorf("wait %s, want %s", d, pullGrace)
	}
	now = now.Add(pullGrace)
	next("d<-request(d)")
	if d := x.wait(2, now.Add(time.Minute)); d != forever {
		t.Errorf("d is busy, but wait says %s", d)
	}
	x.sent("d")
	dead["d"] = true
	now = now.Add(pullPatience)
	next("")
	if len(x.wants)+len(x.owes)+len(x.busy) != 0 {
		t.Errorf("left over: %+v", x)
	}
}

func TestBatches(t *testing.T) {
	s, names := newStore("self", 1), map[string]struct{}{}
	for i := range 7 {
		e := entry{node: fmt.Sprint(i), stamp: stamp{1, 1}, content: make([]byte, MaxState)}
		s.merge(e)
		names[e.node] = struct{}{}
	}
	got := batches(s, names)
	if text := script(t, []delivery{{"x", got}}); text != "x<-states(0 1); x<-states(2 3); x<-states(4 5); x<-states(6)" {
		t.Errorf("have %s", text)
	}
}
