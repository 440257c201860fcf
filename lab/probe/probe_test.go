package probe

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// answerOn answers one request on c after a wait, as package page would.
func answerOn(c net.Conn, wait time.Duration) {
	defer c.Close()
	if _, err := http.ReadRequest(bufio.NewReader(c)); err != nil {
		return
	}
	time.Sleep(wait)
	fmt.Fprint(c, "HTTP/1.1 200 OK\r\nX-Lab-Pod: p\r\nX-Lab-Node: n\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok")
}

// pipeTo is a DialFunc that reaches a server which takes wait for an answer.
func pipeTo(wait time.Duration) DialFunc {
	return func(context.Context, string, string) (net.Conn, error) {
		ours, theirs := net.Pipe()
		go answerOn(theirs, wait)
		return ours, nil
	}
}

func run(t *testing.T, opts Options, d time.Duration) Report {
	t.Helper()
	opts.URL = "http://192.0.2.1/"
	p, err := Start(t.Context(), opts)
	if err != nil {
		t.Fatal(err)
	}
	time.Sleep(d)
	return p.Stop()
}

func TestScheduleIsFixed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		// An answer takes 15 intervals, and the stop waits for those under way.
		r := run(t, Options{Dial: pipeTo(150 * time.Millisecond), Control: -1}, 995*time.Millisecond)
		if r.OK != 100 || r.Failed() != 0 || r.Skipped != 0 {
			t.Errorf("%d ok, %d failed, %d skipped; want 100 ok\n%v", r.OK, r.Failed(), r.Skipped, r)
		}
		if r.Backends["p@n"] != 100 {
			t.Errorf("backends %v", r.Backends)
		}
		if r.Latency.P50 != 150*time.Millisecond {
			t.Errorf("latency %v", r.Latency)
		}
	})
}

func TestTimeouts(t *testing.T) {
	for name, tc := range map[string]struct {
		dial DialFunc
		want Reason
	}{
		"no SYN back": {func(ctx context.Context, _, _ string) (net.Conn, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		}, ReasonSYNTimeout},
		"no answer": {pipeTo(time.Second), ReasonAnswerTimeout},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := run(t, Options{Dial: tc.dial, Control: -1}, 995*time.Millisecond)
				if len(r.Gaps) != 1 || r.Gaps[0].Reasons[tc.want] != 100 || !r.Gaps[0].Open {
					t.Errorf("want 100 times %q:\n%v", tc.want, r)
				}
				for _, a := range r.Failures {
					if a.End-a.Start != DefaultTimeout {
						t.Fatalf("attempt took %v", a.End-a.Start)
					}
				}
				// pipeTo's servers outlast the probe.
				time.Sleep(time.Second)
			})
		})
	}
}

func TestInFlightIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var flying, most atomic.Int64
		// A dialer that does not keep to its deadline.
		dial := func(context.Context, string, string) (net.Conn, error) {
			most.Store(max(most.Load(), flying.Add(1)))
			defer flying.Add(-1)
			time.Sleep(10 * time.Second)
			return nil, context.DeadlineExceeded
		}
		r := run(t, Options{Dial: dial, Control: -1}, 1995*time.Millisecond)
		limit := int(DefaultTimeout/DefaultInterval) + extraInFlight
		if int(most.Load()) != limit || r.Attempts != limit || r.Skipped != 200-limit {
			t.Errorf("%d at once, %d made, %d skipped; want %d at once", most.Load(), r.Attempts, r.Skipped, limit)
		}
	})
}

func TestControlReading(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, err := Start(t.Context(), Options{URL: "http://192.0.2.1/", Dial: pipeTo(30 * time.Millisecond)})
		if err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		if err := p.Ready(t.Context()); err != nil {
			t.Error(err)
		}
		// The last attempt of the reading starts 10ms before its end.
		if took := time.Since(began); took != DefaultControl+20*time.Millisecond {
			t.Errorf("ready after %v", took)
		}
		p.Mark("fault")
		time.Sleep(100 * time.Millisecond)
		if got := p.Progress(); got.Control || got.OK < 200 || got.Backend != "p@n" {
			t.Errorf("progress %+v", got)
		}
		r := p.Stop()
		if len(r.Tainted) > 0 || len(r.Marks) != 1 || r.Control != DefaultControl {
			t.Errorf("report:\n%v", r)
		}
		if again := p.Stop(); again.Attempts != r.Attempts {
			t.Errorf("the second stop gave another report:\n%v", again)
		}
	})
}

func TestControlReadingFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var n atomic.Int64
		good := pipeTo(0)
		dial := func(ctx context.Context, network, address string) (net.Conn, error) {
			if n.Add(1) == 50 {
				return nil, fmt.Errorf("broken")
			}
			return good(ctx, network, address)
		}
		p, err := Start(t.Context(), Options{URL: "http://192.0.2.1/", Dial: dial})
		if err != nil {
			t.Fatal(err)
		}
		if err := p.Ready(t.Context()); err == nil || !strings.Contains(err.Error(), "broken") {
			t.Errorf("ready: %v", err)
		}
		r := p.Stop()
		if len(r.Tainted) == 0 || len(r.Gaps) != 1 || !r.Gaps[0].Control {
			t.Errorf("report:\n%v", r)
		}
	})
}

func TestStopDuringControlReading(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, err := Start(t.Context(), Options{URL: "http://192.0.2.1/", Dial: pipeTo(0)})
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		r := p.Stop()
		if len(r.Tainted) == 0 {
			t.Errorf("not tainted:\n%v", r)
		}
		if err := p.Ready(t.Context()); err == nil {
			t.Error("ready after a stop during the control reading")
		}
		p.Mark("too late") // must not hang
	})
}

func TestOptionsAreChecked(t *testing.T) {
	for name, tc := range map[string]struct {
		opts Options
		want string
	}{
		"https":     {Options{URL: "https://192.0.2.1/"}, "want http://ADDRESS"},
		"name":      {Options{URL: "http://example.org/"}, "host must be an IP address"},
		"nothing":   {Options{}, "want http://ADDRESS"},
		"interval":  {Options{URL: "http://192.0.2.1/", Interval: time.Microsecond}, "interval 1µs"},
		"timeout":   {Options{URL: "http://192.0.2.1/", Timeout: -1}, "timeout -1ns"},
		"hold":      {Options{URL: "http://192.0.2.1/", Hold: -1}, "-1 connections"},
		"namespace": {Options{URL: "http://192.0.2.1/", Namespace: "lintel-probe-none"}, "network namespace lintel-probe-none"},
	} {
		t.Run(name, func(t *testing.T) {
			p, err := Start(t.Context(), tc.opts)
			if err == nil {
				p.Stop()
			}
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("error %v, want one with %q", err, tc.want)
			}
		})
	}
}

func TestParseURL(t *testing.T) {
	for raw, want := range map[string]target{
		"http://192.0.2.1":            {host: "192.0.2.1", path: "/"},
		"http://192.0.2.1:8080/a?b=c": {host: "192.0.2.1:8080", path: "/a?b=c"},
		"http://[2001:db8::1]/x":      {host: "[2001:db8::1]", path: "/x"},
	} {
		got, err := parseURL(raw)
		if err != nil || got.host != want.host || got.path != want.path || !got.addr.IsValid() {
			t.Errorf("%s: %+v, %v", raw, got, err)
		}
	}
}
