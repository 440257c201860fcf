package bgp

import (
	"fmt"
	"net/netip"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/lintel-lb/lintel/lab"
	"github.com/lintel-lb/lintel/lab/probe"
)

// holdTime is what speakers offer unless told otherwise. Without BFD it is how long a lost node
// is believed in.
const holdTime = 90 * time.Second

// lostScene has the Service web with policy Cluster and pages on n1 and n2 only, which all
// nodes announce: what is lost with n3 is a way to them.
func lostScene(b *testing.B, interval int, peerLines ...string) (*scene, netip.Prefix) {
	b.Helper()
	s := sessionsScene(b, interval, peerLines...)
	v4, _ := s.pages("Cluster", "n1", "n2")
	s.spread(v4)
	return s, v4
}

// spread waits until all nodes announce what pages on n1 and n2 serve.
func (s *scene) spread(p netip.Prefix) {
	s.t.Helper()
	s.router.sessions(false, s.nodes()...)
	s.router.announced(p, s.nodes()...)
	s.router.kernelHops(p, len(s.nodes()))
	s.served(p, "n1", "n2")
}

// BenchmarkNodeIsLost measures for how long requests fail when a node of three is lost, and
// tells of each time what happened when. Each iteration is a loss: -benchtime=20x is for 20.
func BenchmarkNodeIsLost(b *testing.B) {
	for _, interval := range []int{50, 300} {
		for _, fault := range []lab.Fault{lab.FaultBlackhole, lab.FaultCrashed} {
			b.Run(fmt.Sprintf("BFD=3x%dms/%s", interval, fault), func(b *testing.B) {
				s, v4 := lostScene(b, interval)
				line := follow(b, s, "n3", v4, len(s.nodes())-1)
				var lost []time.Duration
				for b.Loop() {
					r := s.lose(v4, "n3", fault, soon)
					gap := lostSince(r, "fault")
					lost = append(lost, gap)
					b.Logf("%d: %.0f ms; %s", len(lost), ms(gap), line.tell(r, "fault"))
					s.Repair("n3")
					if fault != lab.FaultCrashed {
						// The pauses between attempts grow with failures in a row.
						s.replace("n3")
					}
					s.watched()
					s.spread(v4)
				}
				slices.Sort(lost)
				n := len(lost)
				b.ReportMetric(ms((lost[(n-1)/2]+lost[n/2])/2), "median-ms")
				b.ReportMetric(ms(lost[n-1]), "max-ms")
				b.ReportMetric(0, "ns/op")
			})
		}
	}
}

// end is a way in which a speaker ends.
type end struct {
	name     string
	interval int
	graceful bool
}

func (e end) String() string {
	return fmt.Sprintf("%s/BFD=3x%dms/graceful=%t", e.name, e.interval, e.graceful)
}

func (e end) peerLines() []string {
	return []string{fmt.Sprintf("enableGracefulRestart: %t", e.graceful)}
}

func ends(names ...string) (out []end) {
	for _, name := range names {
		for _, interval := range []int{0, 50} {
			for _, graceful := range []bool{true, false} {
				out = append(out, end{name, interval, graceful})
			}
		}
	}
	return out
}

// BenchmarkSpeakerEnds is the table of what is lost when a speaker ends. In a restart it is the
// one of the only node that announces an address, and that node goes on forwarding. In a crash, and
// when a node is shut down, drained before or not, it is that of a node of three.
func BenchmarkSpeakerEnds(b *testing.B) {
	how := map[string]syscall.Signal{"SIGTERM": deletePod, "SIGKILL": syscall.SIGKILL}
	for _, e := range ends("SIGTERM", "SIGKILL") {
		b.Run(e.String(), func(b *testing.B) {
			for b.Loop() {
				s, v4 := watchedScene(b, e.interval, []string{"n2"}, e.peerLines()...)
				r, took := s.restart(v4, "n2", how[e.name])
				b.Logf("load %s", loadAverage())
				tell(b, r, "restart")
				b.ReportMetric(ms(took), "restart-ms")
			}
			b.ReportMetric(0, "ns/op")
		})
	}
	for _, e := range ends("shutdown", "drain") {
		b.Run(e.String(), func(b *testing.B) {
			for b.Loop() {
				s, v4 := lostScene(b, e.interval, e.peerLines()...)
				r := s.goOff(v4, e.name == "drain")
				b.Logf("load %s", loadAverage())
				tell(b, r, "end")
			}
			b.ReportMetric(0, "ns/op")
		})
	}
	for _, e := range ends("crash") {
		b.Run(e.String(), func(b *testing.B) {
			for b.Loop() {
				s, v4 := lostScene(b, e.interval, e.peerLines()...)
				line := follow(b, s, "n3", v4, len(s.nodes())-1)
				r := s.lose(v4, "n3", lab.FaultCrashed, 2*holdTime)
				b.Log(line.tell(r, "fault"))
				tell(b, r, "fault")
				s.Repair("n3")
				s.spread(v4)
			}
			b.ReportMetric(0, "ns/op")
		})
	}
}

// goOff takes n3 off the network in order under load, and returns what that lost. Drained, it has
// no routes any more when it is shut down.
func (s *scene) goOff(p netip.Prefix, drained bool) probe.Report {
	s.t.Helper()
	const node = "n3"
	load := s.Probe(far, probe.Options{URL: url(p), Timeout: patient})
	load.Mark("end")
	if drained {
		s.label(node, drainLabel, "true")
		s.router.announced(p, "n1", "n2")
	}
	s.shutDown(node)
	s.router.kernelHopsWithin(p, len(s.nodes())-1, 2*holdTime)
	s.again(load)
	return load.Stop()
}

// tell reports what a measurement lost since a mark.
func tell(b *testing.B, r probe.Report, mark string) {
	b.Helper()
	b.ReportMetric(float64(r.Failed()), "lost-requests")
	b.ReportMetric(ms(lostSince(r, mark)), "lost-ms")
	b.ReportMetric(float64(r.Attempts), "requests")
	if r.Failed() > 0 {
		b.Logf("%v", r)
	}
}
