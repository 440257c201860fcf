package bgp

import (
	"net/netip"
	"syscall"
	"testing"
	"time"

	"github.com/lintel-lb/lintel/lab"
	"github.com/lintel-lb/lintel/lab/e2e/install"
	"github.com/lintel-lb/lintel/lab/probe"
)

const (
	// held is how many long-lived connections there are.
	held = 60
	// aftermath is how long they are watched after a change: longer than the prober takes to
	// call a silent one broken.
	aftermath = 8 * time.Second
)

// BenchmarkConnections measures what becomes of long-lived connections when the router gets
// another set of nodes to balance over: with plain hashing and with resilient hashing in the
// router, for both policies. There are pages on all three nodes.
func BenchmarkConnections(b *testing.B) {
	for _, policy := range []string{"Cluster", "Local"} {
		for _, hashing := range []string{"plain", "resilient"} {
			b.Run(policy+"/"+hashing, func(b *testing.B) {
				for b.Loop() {
					measureConnections(b, policy, hashing == "resilient")
				}
				b.ReportMetric(0, "ns/op")
			})
		}
	}
}

func measureConnections(b *testing.B, policy string, sticky bool) {
	s := sessionsScene(b, 300)
	v4, _ := s.pages(policy, s.nodes()...)
	s.whole(v4, s.nodes()...)
	change := func(...string) {}
	if sticky {
		change = resilient(b, s, v4)
	}
	settled := func() {
		s.router.sessions(false, s.nodes()...)
		s.router.announced(v4, s.nodes()...)
		s.router.spread(v4, len(s.nodes()))
	}
	const node = "n3"
	others := []string{"n1", "n2"}
	var unlabel func()
	for _, e := range []struct {
		name string
		do   func()
	}{
		{"speaker-restarts", func() {
			before := s.speaker(node)
			s.kubectl("-n", install.Namespace, "delete", "pod", before.Name, "--wait=false")
			s.restarted(node, before)
			settled()
		}},
		{"node-drained", func() {
			unlabel = s.label(node, drainLabel, "true")
			s.router.spread(v4, len(others))
			change(others...)
			s.router.announced(v4, others...)
		}},
		{"node-returns", func() {
			unlabel()
			s.router.spread(v4, len(s.nodes()))
			change(s.nodes()...)
		}},
		{"speaker-killed", func() {
			before := s.speaker(node)
			if err := syscall.Kill(s.pid(node), syscall.SIGKILL); err != nil {
				b.Fatal(err)
			}
			s.restarted(node, before)
			settled()
		}},
		{"node-crashes", func() {
			s.Break(node, lab.FaultCrashed)
			s.router.spread(v4, len(others))
			change(others...)
		}},
	} {
		s.holdOver(b, v4, e.name, e.do)
	}
	s.Repair(node)
	change(s.nodes()...)
}

// holdOver holds connections while something happens, and reports what became of them.
func (s *scene) holdOver(b *testing.B, p netip.Prefix, name string, do func()) {
	b.Helper()
	f := followFlows(b, s, p)
	load := s.Probe(far, probe.Options{URL: url(p), Hold: held})
	at := time.Now()
	load.Mark(name)
	do()
	select {
	case <-time.After(aftermath):
	case <-b.Context().Done():
	}
	r := load.Stop()
	f.stop()
	before, moved := f.since(at)
	var noticed time.Duration
	why := map[probe.Reason]int{}
	for _, k := range r.Breaks {
		if k.Mark != name {
			continue
		}
		why[k.Reason]++
		noticed = max(noticed, k.Noticed-k.LastByte)
	}
	broken := 0
	for _, n := range why {
		broken += n
	}
	b.Logf("%s: %v connections by way of each node, sent elsewhere %v, broken %d %v, noticed after %v at most; new requests %d of %d failed; load %s",
		name, before, moved, broken, why, noticed.Round(time.Millisecond), r.Failed(), r.Attempts, loadAverage())
	b.ReportMetric(float64(broken), name+"-broken")
}
