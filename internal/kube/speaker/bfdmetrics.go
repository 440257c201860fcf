package speaker

import (
	"cmp"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/lintel-lb/lintel/internal/bfd"
)

// bfdCollector reads the state of the BFD sessions when it is asked for.
type bfdCollector struct {
	sessions interface{ Snapshot() bfd.Snapshot }
}

// bfdSeries is one series for each session.
type bfdSeries struct {
	name, help string
	kind       prometheus.ValueType
	value      func(bfd.Status) float64
}

func bfdSeriesList() []bfdSeries {
	up := func(s bfd.Status) float64 {
		if s.State == bfd.Up {
			return 1
		}
		return 0
	}
	counter := func(name, help string, value func(bfd.Status) uint64) bfdSeries {
		return bfdSeries{name, help, prometheus.CounterValue, func(s bfd.Status) float64 { return float64(value(s)) }}
	}
	return []bfdSeries{
		{"session_up", "1 while the BFD session is Up.", prometheus.GaugeValue, up},
		counter("control_packet_input", "BFD control packets received.", func(s bfd.Status) uint64 { return s.ControlIn }),
		counter("control_packet_output", "BFD control packets sent.", func(s bfd.Status) uint64 { return s.ControlOut }),
		counter("echo_packet_input", "BFD echo packets that came back.", func(s bfd.Status) uint64 { return s.EchoIn }),
		counter("echo_packet_output", "BFD echo packets sent.", func(s bfd.Status) uint64 { return s.EchoOut }),
		counter("session_up_events", "Times that the BFD session came up.", func(s bfd.Status) uint64 { return s.UpEvents }),
		counter("session_down_events", "Times that the BFD session left Up.", func(s bfd.Status) uint64 { return s.DownEvents }),
		counter("zebra_notifications", "Times that BGP was told that the BFD session came up or left Up.", func(s bfd.Status) uint64 { return s.UpEvents + s.DownEvents }),
		counter("auth_failures", "BFD control packets dropped because their authentication was not right.", func(s bfd.Status) uint64 { return s.AuthFailures }),
		counter("late_timers", "Timers of the BFD session that fired more than 10 ms late.", func(s bfd.Status) uint64 { return s.LateTimers }),
	}
}

func (b bfdSeries) desc() *prometheus.Desc {
	return prometheus.NewDesc("metallb_bfd_"+b.name, b.help, []string{"peer", "vrf"}, nil)
}

// Describe implements prometheus.Collector.
func (c *bfdCollector) Describe(ch chan<- *prometheus.Desc) {
	for _, s := range bfdSeriesList() {
		ch <- s.desc()
	}
}

// Collect implements prometheus.Collector. A session is named by the address of the router, an
// unnumbered one by its interface.
func (c *bfdCollector) Collect(ch chan<- prometheus.Metric) {
	type labels struct{ peer, vrf string }
	sessions := map[labels]bfd.Status{}
	for key, st := range c.sessions.Snapshot().Sessions {
		sessions[labels{cmp.Or(key.Interface, key.Peer.String()), cmp.Or(key.VRF, "default")}] = st
	}
	for _, s := range bfdSeriesList() {
		for l, st := range sessions {
			ch <- prometheus.MustNewConstMetric(s.desc(), s.kind, s.value(st), l.peer, l.vrf)
		}
	}
}
