//go:build netns && linux

package l2

import (
	"log/slog"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/lintel-lb/lintel/internal/l2/nstest"
	"github.com/lintel-lb/lintel/internal/links"
)

// An engine that is told one set after the other does what one would that was told the last only.
func TestEngineAfterManyChangesDoesWhatItsPlanSays(t *testing.T) {
	lab := nstest.New(t)
	node, client := lab.NS(), lab.NS()
	lab.Pair(node, "eth0", client, "eth0")
	lab.Pair(node, "eth1", client, "eth1")
	w := links.NewWatcher(slog.New(slog.DiscardHandler))
	node.Start(w.Run)
	e := New(Options{Log: slog.New(slog.DiscardHandler), Links: w})
	node.Start(e.Run)
	on := func(name string, ready bool) {
		nstest.Eventually(t, patience, func() (bool, string) {
			l, ok := w.Snapshot().ByName(name)
			return ok && l.ARP() && l.NDP() == ready, name
		})
	}
	on("eth0", true)
	on("eth1", true)

	rng := rand.New(rand.NewPCG(3, 4))
	scopes := []Scope{{All: true}, {Links: []string{"eth0"}}, {Links: []string{"eth1", "eth9"}}, {}}
	d := Desired{}
	for step := range 150 {
		next := map[netip.Addr]Scope{}
		for i := range 8 {
			for _, a := range []netip.Addr{netip.MustParseAddr(addr4(i)), netip.MustParseAddr(addr6(i))} {
				old, had := d.Addresses[a]
				switch rng.IntN(6) {
				case 0:
					next[a] = scopes[rng.IntN(len(scopes))]
				case 1:
				default:
					if had {
						next[a] = old
					}
				}
			}
		}
		d = Desired{Addresses: next}
		applied(t, e, e.Set(d))
		want := makePlan(d, candidatesOf(w.Snapshot(), nil))
		got := map[netip.Addr][]Problem{}
		for a, st := range e.Snapshot().Addresses {
			got[a] = st.Problems
			var at []string
			for k, addrs := range want.ports {
				if slices.Contains(addrs, a) {
					at = append(at, k.link)
				}
			}
			if slices.Sort(at); !slices.Equal(at, st.Links) {
				t.Fatalf("step %d: %s is answered on %v, want %v", step, a, st.Links, at)
			}
		}
		for _, problems := range want.problems {
			placed{problems: problems}.sorted()
		}
		if diff := cmp.Diff(want.problems, got, cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); diff != "" {
			t.Fatalf("step %d: problems (-want +got)\n%s", step, diff)
		}
	}
	// What is in force is what the wire sees as well.
	client.IP("addr add 10.0.0.254/24 dev eth0")
	version := e.Set(own(netip.MustParseAddr(addr4(1))))
	applied(t, e, version)
	poke(t, client, netip.MustParseAddr(addr4(1)))
	expectNeighbour(t, client, netip.MustParseAddr(addr4(1)), macOf(t, node, "eth0"), "REACHABLE", "DELAY", "STALE")
	if out, err := client.Try("arping", "-c", "2", "-W", "0.1", "-w", "1", "-i", "eth0", addr4(2)); err == nil {
		t.Errorf("an address that is not desired is answered for:\n%s", out)
	}
}
