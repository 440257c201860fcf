//go:build netns && linux

package bfd

import (
	"context"
	"encoding/json"
	"fmt"
	"net/netip"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
)

// bridged joins two namespaces by a bridge in a third. cut takes there's port out of the bridge, so
// that nothing passes while both ends keep their carrier; it returns when that is done.
func bridged(t testing.TB) (here, there *space, cut, mend func()) {
	l := newLab(t)
	here, there = l.space(), l.space()
	middle := l.space()
	l.pair(here, "eth0", []string{here4 + "/24", here6 + "/64"}, middle, "veth0", nil)
	l.pair(there, "eth0", []string{there4 + "/24", there6 + "/64"}, middle, "veth1", nil)
	middle.ip("link add br0 type bridge stp_state 0 mcast_snooping 0")
	middle.ip("link set br0 up")
	middle.ip("link set veth0 master br0")
	middle.ip("link set veth1 master br0")
	ns, err := netns.GetFromName(middle.name)
	if err != nil {
		t.Fatal(err)
	}
	defer ns.Close()
	h, err := netlink.NewHandleAt(ns)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(h.Close)
	find := func(name string) netlink.Link {
		link, err := h.LinkByName(name)
		if err != nil {
			t.Fatal(err)
		}
		return link
	}
	port, bridge := find("veth1"), find("br0")
	do := func(f func() error) func() {
		return func() {
			t.Helper()
			if err := f(); err != nil {
				t.Fatal(err)
			}
		}
	}
	return here, there, do(func() error { return h.LinkSetNoMaster(port) }), do(func() error { return h.LinkSetMaster(port, bridge) })
}

// BenchmarkMeasureDetection prints how long a dead path to FRR goes unnoticed, in 20 runs.
func BenchmarkMeasureDetection(b *testing.B) {
	for _, interval := range []time.Duration{50 * ms, 300 * ms} {
		b.Run(fmt.Sprintf("3x%v", interval), func(t *testing.B) {
			here, there, cut, mend := bridged(t)
			f := there.frr(frr4 + fmt.Sprintf("  transmit-interval %d\n  receive-interval %d\n", interval/ms, interval/ms))
			e, _ := here.engine(Options{})
			j := follow(e)
			set(t, e, key4, Params{TransmitInterval: interval, ReceiveInterval: interval})
			var times []time.Duration
			for range 20 {
				f.sees(here4, frrUp)
				is(t, e, key4, func(s Status) bool { return s.State == Up && s.DetectionTime == 3*interval && !s.Polling })
				start := time.Now()
				cut()
				ev := j.leftUp(t, start)
				if ev.Diagnostic != DiagDetectionTimeExpired {
					t.Fatalf("%+v", ev)
				}
				times = append(times, ev.At.Sub(start))
				mend()
			}
			slices.Sort(times)
			median, most := (times[9]+times[10])/2, times[19]
			s := e.Snapshot()
			report(t, metric{median, "median-ms"}, metric{most, "max-ms"})
			t.Logf("detection 3 x %v against FRR: median %v, max %v of 20; latest timer %v, reprieves %d",
				interval, median, most, s.MaxLateness, s.Sessions[key4].Reprieves)
			if limit := 3*interval + 100*ms; most > limit {
				t.Errorf("max %v, limit %v", most, limit)
			}
		})
	}
}

// BenchmarkMeasureFalseDowns prints how sessions with FRR fare for a minute while all cores are busy twice
// over.
func BenchmarkMeasureFalseDowns(b *testing.B) {
	b.Run("programs", func(b *testing.B) { measureFalseDowns(b, 0) })
	// The engine's thread is preferred by the kernel, but needs Go's scheduler to run as well.
	b.Run("programs-and-goroutines", func(b *testing.B) { measureFalseDowns(b, runtime.GOMAXPROCS(0)) })
}

func measureFalseDowns(t *testing.B, goroutines int) {
	here, there := oneLink(t)
	f := there.frr("bfd\n peer 192.0.2.1 local-address 192.0.2.2 interface eth0\n  transmit-interval 50\n  receive-interval 50\n !\n" +
		" peer 2001:db8::1 local-address 2001:db8::2 interface eth0\n")
	e, _ := here.engine(Options{})
	k6 := Key{Peer: netip.MustParseAddr(there6), Local: netip.MustParseAddr(here6), Interface: "eth0"}
	if err := e.Set(map[Key]Params{key4: {TransmitInterval: 50 * ms, ReceiveInterval: 50 * ms}, k6: {}}); err != nil {
		t.Fatal(err)
	}
	f.sees(here4, frrUp)
	f.sees(here6, frrUp)
	is(t, e, key4, func(s Status) bool { return s.State == Up && s.DetectionTime == 150*ms })
	is(t, e, k6, func(s Status) bool { return s.State == Up && s.DetectionTime == 900*ms })
	j := follow(e)
	load(t, 2*runtime.NumCPU(), goroutines, time.Minute)

	s := e.Snapshot()
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, m := range []struct {
		name, addr string
		key        Key
	}{{"3 x 300 ms", here6, k6}, {"3 x 50 ms", here4, key4}} {
		c, err := f.counters(m.addr)
		if err != nil {
			t.Fatal(err)
		}
		own := 0
		for _, ev := range j.events {
			if ev.Key == m.key && ev.Failed() && ev.Diagnostic == DiagDetectionTimeExpired {
				own++
			}
		}
		st := s.Sessions[m.key]
		t.ReportMetric(float64(st.DownEvents), strings.ReplaceAll(m.name, " ", "")+"-downs")
		t.Logf("one minute of full load: %s: %d downs (%d found by this end; FRR counts %d), late timers %d, reprieves %d",
			m.name, st.DownEvents, own, c.SessionDown, st.LateTimers, st.Reprieves)
		if m.key == k6 && (st.DownEvents != 0 || c.SessionDown != 0) {
			t.Errorf("false downs at %s", m.name)
		}
	}
	report(t, metric{s.MaxLateness, "latest-ms"})
	t.Logf("latest timer %v, real-time class %v", s.MaxLateness, s.Prioritized)
}

// load burns all processors for a time.
func load(t testing.TB, programs, goroutines int, d time.Duration) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	defer cancel()
	var wg sync.WaitGroup
	for range programs {
		cmd := exec.CommandContext(ctx, "sh", "-c", "while :; do :; done")
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		wg.Go(func() { _ = cmd.Wait() }) // it ends by a signal
	}
	for range goroutines {
		wg.Go(func() {
			for n := 0; ctx.Err() == nil; n++ {
			}
		})
	}
	wg.Wait()
}

// BenchmarkMeasureManySessions prints what 500 sessions at 300 ms cost; the other ends are in another
// process. On one processor of Go the engine can have to wait for a goroutine of another thread.
func BenchmarkMeasureManySessions(b *testing.B) {
	for _, processors := range []int{1, 2} {
		b.Run(fmt.Sprintf("GOMAXPROCS=%d", processors), func(b *testing.B) { measureManySessions(b, processors) })
	}
}

func measureManySessions(t *testing.B, processors int) {
	const sessions = 500
	here, there := oneLink(t)
	here.ip("addr add 10.9.0.1/16 dev eth0")
	local := []netip.Addr{netip.MustParseAddr("10.9.0.1")}
	var peers []netip.Addr
	for i := range sessions {
		peer := netip.AddrFrom4([4]byte{10, 9, byte(1 + i/250), byte(1 + i%250)})
		there.ip("addr add " + peer.String() + "/16 dev eth0")
		peers = append(peers, peer)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	other := there.child(ctx, childPlan{Peers: local, Locals: peers, Interval: 300 * ms})
	if err := other.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { cancel(); _ = other.Wait() }() // it ends by a signal
	out, err := here.child(ctx, childPlan{Peers: peers, Locals: local, Interval: 300 * ms, Measure: 30 * time.Second}, fmt.Sprintf("GOMAXPROCS=%d", processors)).Output()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	var r childReport
	if err := json.Unmarshal(out, &r); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	share := func(d time.Duration) float64 { return 100 * float64(d) / float64(r.Wall) }
	report(t, metric{r.MaxLateness, "latest-ms"})
	t.ReportMetric(share(r.User+r.Sys), "%core")
	t.ReportMetric(float64(r.Late), "late-timers")
	t.Logf("%d sessions at 300 ms: up in %v, %.1f %% of one core (%.1f user, %.1f system), %d packets in, %d out in %v, %d late timers, %d reprieves, latest %v, downs %d",
		r.Sessions, r.Took.Round(ms), share(r.User+r.Sys), share(r.User), share(r.Sys), r.In, r.Out, r.Wall.Round(ms), r.Late, r.Reprieves, r.MaxLateness, r.Downs)
	if r.Downs != 0 || r.Out < sessions*30*3 {
		t.Errorf("%+v", r)
	}
}

type metric struct {
	d    time.Duration
	unit string // in milliseconds
}

// report shows times instead of the time of the whole run, which says nothing.
func report(b *testing.B, metrics ...metric) {
	b.ReportMetric(0, "ns/op")
	for _, m := range metrics {
		b.ReportMetric(float64(m.d)/float64(ms), m.unit)
	}
}
