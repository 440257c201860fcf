package bgp

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/lintel-lb/lintel/lab"
)

const (
	// flips is how many changes of endpoints are made at once by so many writers.
	flips, writers = 10_000, 16
	// busy bounds what follows from changes of all Services at once.
	busy = 2 * time.Minute
)

// birdConfig takes sessions of all nodes and gives the routes to nobody.
const birdConfig = `
router id %s;
protocol device {}
protocol bgp nodes {
  local as %d;
  neighbor range %s as %d;
  ipv4 { import all; export none; };
}
`

// bird is BIRD on a host other than the router: a further peer.
type bird struct {
	l            *lab.Lab
	host, socket string
}

// startBIRD starts BIRD on a host until the test ends.
func startBIRD(b *testing.B, l *lab.Lab, host string) bird {
	b.Helper()
	h, err := l.Host(host)
	if err != nil {
		b.Fatal(err)
	}
	// Made by hand: sockets have short paths.
	dir, err := os.MkdirTemp("", "lab-bird-")
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { os.RemoveAll(dir) })
	x := bird{l, host, filepath.Join(dir, "ctl")}
	config := filepath.Join(dir, "conf")
	if err := os.WriteFile(config, fmt.Appendf(nil, birdConfig, h.V4(), routerASN, lab.NodeNet4, clusterASN), 0o600); err != nil {
		b.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.WithoutCancel(b.Context()))
	cmd, err := l.Command(ctx, host, "/usr/sbin/bird", "-f", "-c", config, "-s", x.socket)
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		stop()
		b.Fatal(err)
	}
	b.Cleanup(func() { stop(); _ = cmd.Wait() }) // it ends by a signal
	return x
}

// routes waits until BIRD has so many routes of each of so many nodes.
func (x bird) routes(t testing.TB, each, nodes int) {
	t.Helper()
	want := fmt.Sprintf("%d of %d routes for %d networks", each*nodes, each*nodes, each)
	eventually(t, fmt.Sprintf("BIRD on %s has %s", x.host, want), busy, func(ctx context.Context) error {
		out, err := x.l.Exec(ctx, x.host, "/usr/sbin/birdc", "-s", x.socket, "show", "route", "count")
		if err == nil && !strings.Contains(string(out), want) {
			err = fmt.Errorf("%s", out)
		}
		return err
	})
}

// BenchmarkThousandServices has 1,000 Services announced by three nodes to four peers: two
// sessions to FRR, and two BIRDs. It measures the memory of the speakers, how fast all routes are
// withdrawn and announced, from before the write to the API, and what 10,000 changes of endpoints
// do to sessions.
func BenchmarkThousandServices(b *testing.B) {
	for b.Loop() {
		s := newScene(b, over4(), over6().both())
		s.Client = unlimited(b, s.Lab)
		s.report(b, "idle")
		var birds []bird
		for _, host := range []string{"c1", lab.ControlPlaneName} {
			birds = append(birds, startBIRD(b, s.Lab, host))
			h, err := s.Lab.Host(host)
			if err != nil {
				b.Fatal(err)
			}
			s.peer(host, h.V4().String())
		}
		s.peer("four", router4)
		s.peer("six", router6, "dualStackAddressFamily: true")
		s.Apply(widePool, nil)
		s.Apply(wideAdvertisement, nil)
		before4, before6 := s.router.sessions(false, s.nodes()...), s.router.sessions(true, s.nodes()...)
		complete := func(n int) {
			s.prefixes(n)
			for _, x := range birds {
				x.routes(b, n, len(s.nodes()))
			}
		}
		prefixes := s.createMany(b)
		complete(many)
		s.report(b, "loaded")

		w := listen(b, s.Env)
		timed := func(name string, n int, change func()) {
			began := time.Now()
			change()
			s.prefixes(n)
			b.ReportMetric(ms(time.Since(began)), name+"-table-ms")
			b.ReportMetric(ms(w.quiet().Sub(began)), name+"-wire-ms")
			complete(n)
		}
		timed("withdraw", 0, func() { s.Delete(wideAdvertisement, nil) })
		timed("announce", many, func() { s.Apply(wideAdvertisement, nil) })

		took := s.flip(b, prefixes)
		complete(many)
		b.ReportMetric(flips/took.Seconds(), "changes/s")
		s.report(b, "changed")
		n := resets(before4, s.router.sessions(false, s.nodes()...)) + resets(before6, s.router.sessions(true, s.nodes()...))
		b.ReportMetric(float64(n), "resets")
		s.removeMany(b)
	}
	b.ReportMetric(0, "ns/op")
}

// resets counts the sessions that are others than before.
func resets(before, after map[string]neighbor) (n int) {
	for node, x := range after {
		if x.resetSince(before[node]) {
			n++
		}
	}
	return n
}

// report tells of the speakers' memory.
func (s *scene) report(b *testing.B, when string) {
	b.Helper()
	var sizes []float64
	for _, n := range s.nodes() {
		sizes = append(sizes, s.memory(b, n))
	}
	b.ReportMetric(slices.Max(sizes), when+"-rss-MiB")
	b.Logf("%s: resident of each speaker %.1f MiB; load %s", when, sizes, loadAverage())
}

// flip takes the endpoint of each Service away and gives it back, over and over, and returns how
// long that took.
func (s *scene) flip(b *testing.B, prefixes []netip.Prefix) time.Duration {
	b.Helper()
	began := time.Now()
	g, ctx := errgroup.WithContext(b.Context())
	for w := range writers {
		g.Go(func() error {
			// The Services of a writer are its own, and each ends up ready.
			for round := 0; round < flips/len(prefixes); round++ {
				for i := w; i < len(prefixes); i += writers {
					if err := s.patchReady(ctx, i, round%2 == 1); err != nil {
						return err
					}
				}
			}
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		b.Fatal(err)
	}
	return time.Since(began)
}
