package announce

import (
	"testing"

	"pgregory.net/rapid"

	"github.com/lintel-lb/lintel/internal/lb"
)

func TestQuantized(t *testing.T) {
	for n, want := range map[int]uint64{-1: 0, 0: 0, 1: 1, 2: 2, 3: 3, 4: 4, 5: 4, 6: 6, 7: 6, 8: 8, 9: 8, 10: 8, 11: 12, 14: 12, 15: 16, 20: 16, 21: 24, 28: 24, 29: 32, 100: 96, 250: 256} {
		if got := quantized(n); got != want {
			t.Errorf("%d endpoints count as %d, want %d", n, got, want)
		}
	}
}

// More endpoints never weigh less, and the step is near.
func TestQuantizedIsMonotonous(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 100000).Draw(t, "n")
		got, more := quantized(n), quantized(n+1)
		if more < got || 5*got < 4*uint64(n) || 4*got > 5*uint64(n) {
			t.Errorf("%d counts as %d, and one more as %d", n, got, more)
		}
	})
}

func TestBandwidth(t *testing.T) {
	for _, r := range []struct {
		name   string
		change func(w *lb.World)
		want   uint64
	}{
		{name: "an endpoint", want: 1000},
		{name: "five endpoints", change: func(w *lb.World) { w.Endpoints[key("api")].ByNode["n1"] = 5 }, want: 4000},
		{name: "terminating ones do not count", change: func(w *lb.World) {
			e := w.Endpoints[key("api")]
			e.ByNode["n1"], e.Terminating = 5, map[string]int{"n1": 3}
			w.Endpoints[key("api")] = e
		}, want: 2000},
		{name: "unless there are no others", change: func(w *lb.World) {
			e := w.Endpoints[key("api")]
			e.ByNode["n1"], e.Terminating = 3, map[string]int{"n1": 3}
			w.Endpoints[key("api")] = e
		}, want: 3000},
		{name: "policy Cluster", change: func(w *lb.World) { w.Services[key("api")].TrafficPolicy = lb.Cluster }},
		{name: "not asked for", change: func(w *lb.World) { w.Config.BGP[0].Bandwidth = 0 }},
		{name: "aggregated", change: func(w *lb.World) { w.Config.BGP[0].AggregationLength = 24 }},
		{name: "shared", change: func(w *lb.World) { addService(w, "other", "198.51.100.7") }},
	} {
		t.Run(r.name, func(t *testing.T) {
			w := bgpWorld()
			w.Config.BGP[0].Bandwidth = 1000
			w.Services[key("api")].TrafficPolicy = lb.Local
			if r.change != nil {
				r.change(w)
			}
			routes, v := Decide(w).Routes(key("api"), addr("198.51.100.7"), "n1")
			if len(routes) != 1 || routes[0].Bandwidth != r.want {
				t.Errorf("got %+v, %v; want %d", routes, v.Reason, r.want)
			}
		})
	}
}

// A route loses its weight when another Service comes to share its address, and gets it back.
func TestBandwidthFollowsSharing(t *testing.T) {
	w := bgpWorld()
	w.Config.BGP[0].Bandwidth = 1000
	w.Services[key("api")].TrafficPolicy = lb.Local
	d := Decide(w)
	check := func(want uint64) {
		t.Helper()
		if routes, _ := d.Routes(key("api"), addr("198.51.100.7"), "n1"); len(routes) != 1 || routes[0].Bandwidth != want {
			t.Errorf("got %+v, want %d", routes, want)
		}
	}
	check(1000)
	d.SetService(key("other"), &lb.Service{Key: key("other"), Addresses: w.Services[key("api")].Addresses})
	if got := d.Flush(); len(got) != 1 {
		t.Errorf("changed: %v", got)
	}
	check(0)
	d.SetService(key("other"), nil)
	d.Flush()
	check(1000)
}
