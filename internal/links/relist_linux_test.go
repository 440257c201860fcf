package links

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/vishvananda/netlink/nl"
)

// What is wrong with routes takes no link away, and is said once. The gateways stay.
func TestLinksWithoutRoutes(t *testing.T) {
	var said bytes.Buffer
	w := NewWatcher(slog.New(slog.NewTextHandler(&said, nil)))
	some := []Gateway{{Address: netip.MustParseAddr("192.0.2.1"), Link: "eth0"}}
	failure := error(nil)
	asked := 0
	w.gateways = func(names map[int]string) ([]Gateway, error) {
		asked++
		if !slices.Contains(slices.Collect(maps.Values(names)), "lo") {
			t.Errorf("names are %v", names)
		}
		return some, failure
	}
	step := func(name string, want []Gateway, next time.Duration, lines int) {
		t.Helper()
		said.Reset()
		if got := w.relist(t.Context()); got != next {
			t.Errorf("%s: listed again after %v, want %v", name, got, next)
		}
		s := w.Snapshot()
		if _, ok := s.ByName("lo"); !ok {
			t.Errorf("%s: there are no links", name)
		}
		if !slices.Equal(s.Gateways, want) {
			t.Errorf("%s: gateways %v, want %v", name, s.Gateways, want)
		}
		if n := strings.Count(said.String(), "\n"); n != lines {
			t.Errorf("%s: %d lines: %s", name, n, said.String())
		}
	}
	known := some
	some, failure = nil, errors.New("no table")
	step("no routes from the start", nil, retry, 1)
	some, failure = known, nil
	step("all is well", known, period, 0)
	some, failure = nil, errors.New("no routes")
	step("no routes", known, retry, 1)
	step("still none", known, retry, 0)
	failure = nl.ErrDumpInterrupted
	asked = 0
	step("interrupted", known, retry, 1)
	if asked != dumpAttempts {
		t.Errorf("an interrupted list was tried %d times", asked)
	}
	some, failure = known[:0], fmt.Errorf("%w: with an attribute", errOddRoute)
	step("one route is odd", nil, period, 1)
	some, failure = known, nil
	step("well again", known, period, 0)
	failure = fmt.Errorf("%w: with an attribute", errOddRoute)
	step("odd again", known, period, 1)

	asked = 0
	w.NeedGateways(false)
	step("nobody needs them", nil, period, 0)
	if asked != 0 {
		t.Error("routes are read for nobody")
	}
	w.NeedGateways(true)
	step("somebody does", known, period, 0)
}

// A message that makes no sense is an error, whatever it is.
func FuzzDecodeGateways(f *testing.F) {
	f.Add([]byte{})
	f.Add([]byte{8, 0, 5, 0, 192, 0, 2, 1, 8, 0, 4, 0, 2, 0, 0, 0})
	f.Add([]byte{20, 0, 9, 0, 16, 0, 0, 0, 2, 0, 0, 0, 8, 0, 5, 0, 192, 0, 2, 1})
	f.Add([]byte{20, 0, 9, 0, 99, 0, 0, 0, 2, 0, 0, 0, 8, 0, 5, 0, 192, 0, 2, 1})
	f.Add([]byte{5, 0, 4, 0, 1})
	f.Fuzz(func(t *testing.T, attrs []byte) {
		m := append(make([]byte, 12), attrs...)
		gs, err := decodeGateways(m, map[int]string{2: "eth0"})
		if err != nil && len(gs) > 0 {
			t.Errorf("%v and an error", gs)
		}
		for _, g := range gs {
			if !g.Address.IsValid() {
				t.Errorf("%+v", g)
			}
		}
	})
}

func TestDecodeGateways(t *testing.T) {
	for _, tt := range []struct {
		name  string
		attrs []byte
		want  []Gateway
		bad   bool
	}{
		{"one hop", []byte{8, 0, 5, 0, 192, 0, 2, 1, 8, 0, 4, 0, 2, 0, 0, 0, 8, 0, 6, 0, 100, 0, 0, 0},
			[]Gateway{{netip.MustParseAddr("192.0.2.1"), "eth0", 100}}, false},
		{"several, of which one is dead", []byte{36, 0, 9, 0,
			16, 0, 0, 0, 2, 0, 0, 0, 8, 0, 5, 0, 192, 0, 2, 1,
			16, 0, 1, 0, 2, 0, 0, 0, 8, 0, 5, 0, 192, 0, 2, 2},
			[]Gateway{{netip.MustParseAddr("192.0.2.1"), "eth0", 0}}, false},
		{"no gateway", []byte{8, 0, 4, 0, 2, 0, 0, 0}, nil, false},
		{"a short attribute", []byte{5, 0, 4, 0, 1, 0, 0, 0}, nil, true},
		{"an attribute longer than the message", []byte{99, 0, 5, 0, 192, 0, 2, 1}, nil, true},
		{"a hop longer than its list", []byte{20, 0, 9, 0, 99, 0, 0, 0, 2, 0, 0, 0, 8, 0, 5, 0, 192, 0, 2, 1}, nil, true},
	} {
		got, err := decodeGateways(append(make([]byte, 12), tt.attrs...), map[int]string{2: "eth0"})
		if !slices.Equal(got, tt.want) || (err != nil) != tt.bad {
			t.Errorf("%s: %v, %v", tt.name, got, err)
		}
	}
}
