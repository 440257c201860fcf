package speaker

import (
	"fmt"
	"maps"
	"net/netip"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/lintel-lb/lintel/internal/announce"
	"github.com/lintel-lb/lintel/internal/bgp"
	"github.com/lintel-lb/lintel/internal/lb"
)

// drawWanted makes what a holding may want: out of few prefixes and peers, so that holdings meet.
func drawWanted(t *rapid.T) []announce.Route {
	return rapid.SliceOfN(rapid.Custom(func(t *rapid.T) announce.Route {
		r := announce.Route{
			Prefix:    rapid.SampledFrom([]netip.Prefix{netip.MustParsePrefix("192.0.2.0/24"), netip.MustParsePrefix("192.0.2.1/32"), netip.MustParsePrefix("192.0.2.2/32")}).Draw(t, "prefix"),
			Peers:     rapid.SampledFrom([][]string{{"a"}, {"b"}, {"a", "b"}}).Draw(t, "peers"),
			Prepend:   rapid.Uint8Range(0, 2).Draw(t, "prepend"),
			Bandwidth: rapid.Uint64Range(0, 1).Draw(t, "bandwidth"),
		}
		if rapid.Bool().Draw(t, "has a preference") {
			r.LocalPref = new(rapid.Uint32Range(100, 102).Draw(t, "preference"))
		}
		for _, c := range rapid.SliceOfNDistinct(rapid.Uint32Range(1, 3), 0, 2, rapid.ID).Draw(t, "communities") {
			r.Communities = append(r.Communities, lb.Community{A: 65000, B: c})
		}
		return r
	}), 0, 3).Draw(t, "routes")
}

// Whatever changes step by step, the sessions have the routes that they had if all was made anew, and
// what the engine was given before is as it was.
func TestRoutesChangeAsIfMadeAnew(t *testing.T) {
	own := ownNode{node: &lb.Node{Name: "n1"}}
	targets := func() (out []target) {
		for _, name := range []string{"a", "b"} {
			out = append(out, target{name: name, peer: &lb.Peer{Name: name}, Peer: bgp.Peer{Routes: bgp.Routes{}}})
		}
		return out
	}
	now := time.Unix(1000, 0)
	rapid.Check(t, func(t *rapid.T) {
		state := newBGPState()
		state.targets = targets()
		for range rapid.IntRange(1, 12).Draw(t, "flushes") {
			for range rapid.IntRange(0, 3).Draw(t, "changes") {
				h := holding{address: netip.AddrFrom4([4]byte{192, 0, 2, rapid.Byte().Draw(t, "holding") % 3})}
				state.wanted.set(h, drawWanted(t))
			}
			var given, copies []bgp.Routes
			for i := range state.targets {
				state.targets[i].handed = true
				given, copies = append(given, state.targets[i].Routes), append(copies, maps.Clone(state.targets[i].Routes))
			}
			for prefix := range state.wanted.take() {
				state.bring(own, prefix, now)
			}
			anew := newBGPState()
			anew.targets = targets()
			for h, routes := range state.wanted.routes {
				anew.wanted.set(h, routes)
			}
			for prefix := range anew.wanted.holders {
				anew.bring(own, prefix, now)
			}
			for i := range state.targets {
				if got, want := state.targets[i].Routes, anew.targets[i].Routes; !maps.Equal(got, want) {
					t.Fatalf("%s has %v, want %v", state.targets[i].name, words(got), words(want))
				}
				if !maps.Equal(given[i], copies[i]) {
					t.Fatalf("what %s was given changed: %v, was %v", state.targets[i].name, words(given[i]), words(copies[i]))
				}
			}
		}
	})
}

func words(r bgp.Routes) map[netip.Prefix]string {
	out := map[netip.Prefix]string{}
	for p, a := range r {
		out[p] = fmt.Sprintf("%+v", a.Value())
	}
	return out
}
