package migrator

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/lintel-lb/lintel/internal/announce"
	"github.com/lintel-lb/lintel/internal/kube/endpoint"
	"github.com/lintel-lb/lintel/internal/lb"
)

// A node is taken over when its speaker and all others of Lintel's count each other in, and not
// by what the new one alone says.
func TestSpeakersCountEachOtherIn(t *testing.T) {
	other := func(r *endpoint.SpeakerReport, node string) *endpoint.Other {
		return &r.Others[slices.IndexFunc(r.Others, func(o endpoint.Other) bool { return o.Node == node })]
	}
	without := func(r *endpoint.SpeakerReport, node string) {
		r.Others = slices.DeleteFunc(r.Others, func(o endpoint.Other) bool { return o.Node == node })
	}
	for _, row := range []struct {
		name, of string
		how      func(*endpoint.SpeakerReport)
		want     string
	}{
		{"all do", "n1", func(*endpoint.SpeakerReport) {}, ""},
		{"not seen", "n1", func(r *endpoint.SpeakerReport) { without(r, "n2") }, "the speaker on n1 does not see the one on n2"},
		{"links not learnt", "n1", func(r *endpoint.SpeakerReport) { *other(r, "n2") = endpoint.Other{Node: "n2", Gated: true} }, "the speaker on n1 has not learnt the links of n2"},
		{"not counted on", "n1", func(r *endpoint.SpeakerReport) { other(r, "n2").Gated = true }, "the speaker on n1 does not count on n2"},
		{"does not see", "n2", func(r *endpoint.SpeakerReport) { without(r, "n1") }, "the speaker on n2 does not see the one on n1"},
		{"has not learnt", "n2", func(r *endpoint.SpeakerReport) { other(r, "n1").Told = false }, "the speaker on n2 has not learnt the links of n1"},
		{"gated", "n2", func(r *endpoint.SpeakerReport) { r.Gated = true }, "check of the dataplane"},
		{"joining", "n2", func(r *endpoint.SpeakerReport) { r.Joining = true; r.Problems = []string{"no key"} }, "no key"},
		{"of before", "n1", func(r *endpoint.SpeakerReport) { r.Others = nil }, ""},
		{"of before, alone", "n1", func(r *endpoint.SpeakerReport) { r.Others, r.Members = nil, []string{"n1"} }, "the speaker on n1 does not see the one on n2"},
		{"about a node of MetalLB's", "n1", func(r *endpoint.SpeakerReport) { without(r, "n3") }, ""},
	} {
		t.Run(row.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m, sim := simulate(t, "n1", "n2", "n3")
				m.Nodes = []string{"n1"}
				forward(t, m)
				sim.report = func(r *endpoint.SpeakerReport) {
					if r.Node == row.of {
						row.how(r)
					}
				}
				m.Nodes = []string{"n2"}
				err := m.Forward(t.Context(), read(t, m))
				if row.want == "" && err != nil || row.want != "" && (err == nil || !strings.Contains(err.Error(), row.want)) {
					t.Errorf("got %v, want %q", err, row.want)
				}
			})
		})
	}
}

// Mixed membership does not end while two speakers know each other wrongly, since both would have
// an address then.
func TestUnmixWaitsUntilAllAreAcquainted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, sim := simulate(t, "n1", "n2")
		m.Nodes = []string{"n1"}
		forward(t, m)
		m.Nodes = []string{"n2"}
		say := m.Say
		m.Say = func(format string, args ...any) {
			if say(format, args...); len(args) > 2 && strings.HasPrefix(args[2].(string), "end mixed") {
				sim.report = func(r *endpoint.SpeakerReport) {
					if r.Node == "n1" {
						r.Others[0].Gated = true
					}
				}
			}
		}
		m.Nodes = nil
		err := m.Forward(t.Context(), read(t, m))
		if err == nil || !strings.Contains(err.Error(), "the speaker on n1 does not count on n2") {
			t.Errorf("got %v", err)
		}
		if r, err := sim.inspect(t.Context(), m.Client, pod("speaker", "n1", true)); err != nil || !r.Settings.Mixed {
			t.Errorf("membership is not mixed any more, %v", err)
		}
		sim.report, m.Say = nil, say
		forward(t, m)
	})
}

// A take-over is done when each address is announced by one node.
func TestEachAddressIsAnnouncedByOne(t *testing.T) {
	web := netip.MustParseAddr("192.0.2.10")
	owner, _ := announce.Decide(world("n1", "n2")).Owner(web)
	for _, row := range []struct {
		name string
		how  func(*endpoint.SpeakerReport)
		want string
	}{
		{"two", func(r *endpoint.SpeakerReport) {
			if r.Node != owner {
				r.Addresses = append(r.Addresses, endpoint.AnnouncedAddress{Address: web, Protocol: lb.Layer2})
			}
		}, "192.0.2.10 is announced by n1 and n2"},
		{"none", func(r *endpoint.SpeakerReport) {
			r.Addresses = slices.DeleteFunc(r.Addresses, func(a endpoint.AnnouncedAddress) bool { return a.Address == web })
		}, "192.0.2.10 is announced by no node, and " + owner + " should"},
		{"routes of two", func(r *endpoint.SpeakerReport) {
			r.Addresses = append(r.Addresses, endpoint.AnnouncedAddress{Address: web, Protocol: lb.BGP})
		}, ""},
	} {
		t.Run(row.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m, sim := simulate(t, "n1", "n2")
				sim.report = func(r *endpoint.SpeakerReport) {
					if !r.Settings.Mixed {
						row.how(r)
					}
				}
				err := m.Forward(t.Context(), read(t, m))
				if row.want == "" {
					if err != nil {
						t.Error(err)
					}
					return
				}
				if err == nil || !strings.Contains(err.Error(), row.want) {
					t.Errorf("got %v, want %q", err, row.want)
				}
				if s := read(t, m); s.Record.Has("unmix") {
					t.Error("the step is noted as done")
				}
				sim.report = nil
				forward(t, m)
			})
		})
	}
}
