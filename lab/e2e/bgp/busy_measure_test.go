package bgp

import (
	"context"
	"maps"
	"net/netip"
	"os/exec"
	"runtime"
	"sync"
	"testing"
	"time"
)

// slowProfile is a second profile, with the defaults.
const slowProfile = `
apiVersion: metallb.io/v1beta1
kind: BFDProfile
metadata: {name: '{{.Name}}-slow', namespace: metallb-system}
spec: {transmitInterval: 300, receiveInterval: 300, detectMultiplier: 3}
`

// BenchmarkFalseDowns counts BFD sessions that go down though nothing is wrong but that all
// processors are busy twice over, at 3 x 50 ms over IPv4 and 3 x 300 ms over IPv6, three nodes
// each. Each iteration is a minute: -benchtime=10x is for ten.
func BenchmarkFalseDowns(b *testing.B) {
	s := newScene(b, over4("bfd profile fast"), over6("bfd"))
	s.Apply(profile, map[string]any{"Interval": 50})
	s.Apply(slowProfile, nil)
	s.peer("four", router4, "bfdProfile: '"+s.Name+"'")
	s.peer("six", router6, "bfdProfile: '"+s.Name+"-slow'")
	var all []string
	for _, n := range s.nodes() {
		all = append(all, s.host(n).String(), s.host6(n).String())
	}
	s.router.bfdUp(all...)
	s.router.sessions(false, s.nodes()...)
	s.router.sessions(true, s.nodes()...)

	d := &downs{was: map[direction]byte{}, found: map[string]int{}}
	sniff(b, s.Env, d.packet)
	for b.Loop() {
		burn(b, 2*runtime.NumCPU(), time.Minute)
		b.Logf("load %s: %v", loadAverage(), d.counts())
	}
	counts := d.counts()
	for _, name := range []string{"3x50ms", "3x300ms"} {
		b.ReportMetric(float64(counts[name+" found by a node"]), name+"-by-nodes")
		b.ReportMetric(float64(counts[name+" found by FRR"]), name+"-by-FRR")
	}
	b.ReportMetric(0, "ns/op")
}

// downs counts BFD sessions that one end takes down because it has heard nothing.
type downs struct {
	mu    sync.Mutex
	was   map[direction]byte
	found map[string]int
}

type direction struct{ from, to netip.Addr }

func (d *downs) packet(p packet) {
	x, ok := parseBFD(p)
	if !ok {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	way := direction{p.From, p.To}
	if d.was[way] == bfdUp && x.state == bfdDown && x.diagnostic == bfdExpired {
		name := "3x300ms"
		if p.From.Is4() {
			name = "3x50ms"
		}
		if p.Sent {
			name += " found by FRR"
		} else {
			name += " found by a node"
		}
		d.found[name]++
	}
	d.was[way] = x.state
}

func (d *downs) counts() map[string]int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return maps.Clone(d.found)
}

// burn keeps processors busy with programs for a time.
func burn(b *testing.B, programs int, d time.Duration) {
	b.Helper()
	ctx, cancel := context.WithTimeout(b.Context(), d)
	defer cancel()
	var wg sync.WaitGroup
	for range programs {
		cmd := exec.CommandContext(ctx, "sh", "-c", "while :; do :; done")
		if err := cmd.Start(); err != nil {
			b.Fatal(err)
		}
		wg.Go(func() { _ = cmd.Wait() }) // it ends by a signal
	}
	wg.Wait()
}
