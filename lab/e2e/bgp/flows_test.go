package bgp

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/lintel-lb/lintel/lab"
)

// flows follows which node the router sends the connections to an address to.
type flows struct {
	address netip.Addr
	nodes   map[[6]byte]string
	stop    func()

	mu   sync.Mutex
	seen map[uint16]*flow // by the client's port
}

type flow struct {
	first, last time.Time
	hops        []string // each change is one more
}

// longLived is how old a connection must be at least to be one that is held: the others last
// milliseconds.
const longLived = time.Second

func followFlows(t testing.TB, s *scene, p netip.Prefix) *flows {
	t.Helper()
	f := &flows{address: p.Addr(), nodes: map[[6]byte]string{}, seen: map[uint16]*flow{}}
	for _, h := range s.Lab.Hosts(lab.RoleNode) {
		f.nodes[[6]byte(h.Ports[0].MAC)] = h.Name
	}
	f.stop = sniff(t, s.Env, f.packet)
	return f
}

func (f *flows) packet(p packet) {
	if !p.Sent || p.Protocol != protocolTCP || p.To != f.address {
		return
	}
	node := f.nodes[p.Station]
	f.mu.Lock()
	defer f.mu.Unlock()
	x := f.seen[p.SourcePort]
	// A port is used again after a while only.
	if x == nil || p.At.Sub(x.last) > longLived*5 {
		x = &flow{first: p.At}
		f.seen[p.SourcePort] = x
	}
	x.last = p.At
	if len(x.hops) == 0 || x.hops[len(x.hops)-1] != node {
		x.hops = append(x.hops, node)
	}
}

// since tells, of the connections that were held at a moment, by the node that they took then,
// how many there were and how many were sent to another node afterwards.
func (f *flows) since(at time.Time) (held, moved map[string]int) {
	held, moved = map[string]int{}, map[string]int{}
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, x := range f.seen {
		if at.Sub(x.first) < longLived || x.last.Before(at.Add(-longLived)) {
			continue
		}
		held[x.hops[0]]++
		if len(x.hops) > 1 {
			moved[x.hops[0]]++
		}
	}
	return held, moved
}

// resilient makes the router use a resilient next-hop group for a prefix, in front of what FRR
// does, as routers with consistent or resilient hashing do: a bucket of connections stays with its
// next hop for as long as this is there and the bucket is in use. The function returned changes
// the nodes.
func resilient(t testing.TB, s *scene, p netip.Prefix) (change func(nodes ...string)) {
	t.Helper()
	const group, first = 9000, 9001
	run := func(ctx context.Context, argv ...string) {
		t.Helper()
		if out, err := s.Lab.Exec(ctx, lab.RouterName, append([]string{"ip"}, argv...)...); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
	}
	router, err := s.Lab.Host(lab.RouterName)
	if err != nil {
		t.Fatal(err)
	}
	id := func(node string) int { return first + slices.Index(s.nodes(), node) }
	for _, n := range s.nodes() {
		run(t.Context(), "nexthop", "replace", "id", strconv.Itoa(id(n)), "via", s.host(n).String(), "dev", router.Ports[0].Name)
	}
	change = func(nodes ...string) {
		t.Helper()
		members := ""
		for _, n := range nodes {
			members += fmt.Sprintf("/%d", id(n))
		}
		run(t.Context(), "nexthop", "replace", "id", strconv.Itoa(group), "group", members[1:], "type", "resilient", "buckets", "128", "idle_timer", "120")
	}
	change(s.nodes()...)
	// FRR's own route has a larger metric.
	run(t.Context(), "route", "add", p.String(), "nhid", strconv.Itoa(group))
	t.Cleanup(func() {
		ctx := context.WithoutCancel(t.Context())
		run(ctx, "route", "del", p.String(), "nhid", strconv.Itoa(group))
		run(ctx, "nexthop", "del", "id", strconv.Itoa(group))
		for _, n := range s.nodes() {
			run(ctx, "nexthop", "del", "id", strconv.Itoa(id(n)))
		}
	})
	return change
}
