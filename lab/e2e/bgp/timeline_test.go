package bgp

import (
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"

	"github.com/lintel-lb/lintel/lab"
	"github.com/lintel-lb/lintel/lab/probe"
)

// timeline tells what happened in between a fault and the end of its effect: without it, a long
// gap could be anybody's.
type timeline struct {
	node  netip.Addr // that is lost
	hops  int        // of its routes, when it is gone
	route netip.Prefix

	mu      sync.Mutex
	heard   time.Time   // the last BFD packet of the node
	down    []time.Time // BFD packets to the node that say Down
	changes []time.Time // when the kernel had the route without the node
}

// follow begins a timeline about a node that announces a prefix to FRR.
func follow(t testing.TB, s *scene, node string, p netip.Prefix, hops int) *timeline {
	t.Helper()
	l := &timeline{node: s.host(node), hops: hops, route: p}
	sniff(t, s.Env, l.packet)
	ns, err := netns.GetFromName(s.Lab.Namespace(lab.RouterName))
	if err != nil {
		t.Fatal(err)
	}
	defer ns.Close()
	updates, done := make(chan netlink.RouteUpdate, 64), make(chan struct{})
	if err := netlink.RouteSubscribeAt(ns, updates, done); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		for u := range updates {
			l.update(u, time.Now())
		}
	})
	t.Cleanup(func() {
		close(done)
		wg.Wait()
	})
	return l
}

// packet looks at the states of BFD.
func (l *timeline) packet(p packet) {
	b, ok := parseBFD(p)
	if !ok {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case p.From == l.node:
		l.heard = p.At
	case p.To == l.node && b.state == bfdDown:
		l.down = append(l.down, p.At)
	}
}

// bfdPacket is what a BFD control packet says (RFC 5880 section 4.1).
type bfdPacket struct {
	state, diagnostic byte
}

const (
	bfdDown, bfdUp = 1, 3
	// bfdExpired is the diagnostic of an end that has heard nothing in time.
	bfdExpired = 1
)

func parseBFD(p packet) (bfdPacket, bool) {
	if p.Protocol != protocolUDP || p.Port != portBFD || len(p.Payload) < 24 {
		return bfdPacket{}, false
	}
	return bfdPacket{state: p.Payload[1] >> 6, diagnostic: p.Payload[0] & 31}, true
}

func (l *timeline) update(u netlink.RouteUpdate, at time.Time) {
	if u.Dst == nil || u.Dst.String() != l.route.String() || max(len(u.MultiPath), 1) != l.hops {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.changes = append(l.changes, at)
}

// tell tells of everything since a mark of the probe's.
func (l *timeline) tell(r probe.Report, mark string) string {
	l.mu.Lock()
	defer l.mu.Unlock()
	i := slices.IndexFunc(r.Marks, func(m probe.Mark) bool { return m.Name == mark })
	from := r.Began.Add(r.Marks[i].At)
	first := func(times []time.Time) string {
		for _, at := range times {
			if at.After(from) {
				return fmt.Sprintf("at %.0f ms", ms(at.Sub(from)))
			}
		}
		return "never"
	}
	bfd := "no BFD"
	if !l.heard.IsZero() {
		bfd = fmt.Sprintf("last BFD packet of the node at %.0f ms, FRR says Down %s", ms(l.heard.Sub(from)), first(l.down))
	}
	return fmt.Sprintf("%s, route changed %s; the prober was %.0f ms late at most, load %s", bfd, first(l.changes), ms(r.Lag), loadAverage())
}

// loadAverage is that of the last minute: what else the machine does blurs every figure.
func loadAverage() string {
	b, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return "unknown"
	}
	one, _, _ := strings.Cut(string(b), " ")
	return one
}
