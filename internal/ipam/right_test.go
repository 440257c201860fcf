package ipam_test

import (
	"math"
	"strings"
	"testing"
)

// The tests of this file state what is right where MetalLB 0.16 is known to go wrong, or
// where its users depend on what looks wrong.

func TestPreferDualStackWithOneClusterIPGetsOneAddress(t *testing.T) {
	s := play(t, `pool a addresses=1.0.0.0/30,fc00::/126
		config
		service d/a families=4 policy=prefer
		sync d/a
		sync d/a
		sync d/a`)
	if n := strings.Count(s.out.String(), "changed"); n != 1 {
		t.Errorf("changed %d times, want 1:\n%s", n, s.out.String())
	}
	if got := text(s.last[key("d/a")].Addresses); got != "1.0.0.0" {
		t.Errorf("has %s", got)
	}
}

func TestNoPoolsAtStartKeepsAddresses(t *testing.T) {
	for _, loaded := range []string{"", "config"} {
		s := play(t, loaded+`
			service d/a status=1.0.0.2 from=a
			service d/new
			adopt
			sync d/a d/new
			pool a addresses=1.0.0.0/30
			config
			service d/b ips=1.0.0.2
			sync d/b d/new d/a`)
		if got := text(s.last[key("d/a")].Addresses); got != "1.0.0.2" || strings.Contains(s.out.String(), "released") {
			t.Errorf("config %q: has %s:\n%s", loaded, got, s.out.String())
		}
		if got := text(s.last[key("d/new")].Addresses); got != "1.0.0.0" {
			t.Errorf("config %q: the new Service has %s", loaded, got)
		}
	}
}

func TestDeletingTheLastPoolClearsServices(t *testing.T) {
	s := play(t, `pool a addresses=1.0.0.0/30
		config
		service d/a status=1.0.0.2 from=a
		adopt
		unpool a
		config
		sync d/a
		pool b addresses=2.0.0.0/30
		config
		sync d/a`)
	if got := text(s.last[key("d/a")].Addresses); got != "2.0.0.0" {
		t.Errorf("has %s", got)
	}
	for _, want := range []string{"d/a - NoPool changed", "retry d/a"} {
		if !strings.Contains(s.out.String(), want) {
			t.Errorf("does not print %q:\n%s", want, s.out.String())
		}
	}
}

func TestSelectorsThatMatchNoNamespaceAdmitNobody(t *testing.T) {
	check(t, []rule{{
		name: "automatic, by annotation, by request, with Service selectors",
		script: `pool a addresses=1.0.0.0/30 namespace-selector=team:none
			pool b addresses=2.0.0.0/30 namespace-selector=team:none service-selector=app:web
			config
			service d/auto label=app:web
			service d/named pool=a
			service d/asks ips=1.0.0.1
			service d/web label=app:web pool=b
			sync d/auto d/named d/asks d/web`,
		want: `d/auto - NotAllowedByPool
			d/named - NotAllowedByPool
			d/asks - NotAllowedByPool
			d/web - NotAllowedByPool`,
	}})
}

func TestStatusOrderIsStable(t *testing.T) {
	s := play(t, `pool a addresses=1.2.3.0/24,fc00::/64
		config
		service d/a families=4,6 policy=prefer ips=fc00::5,1.2.3.5
		sync d/a
		sync d/a
		service d/a ips=1.2.3.5,fc00::5
		sync d/a`)
	if n := strings.Count(s.out.String(), "d/a fc00::5,1.2.3.5 pool=a Assigned"); n != 3 {
		t.Errorf("in order %d times, want 3:\n%s", n, s.out.String())
	}
	if n := strings.Count(s.out.String(), "changed"); n != 1 {
		t.Errorf("changed %d times, want 1:\n%s", n, s.out.String())
	}
}

func TestCapacityNeverOverflows(t *testing.T) {
	for addresses, want := range map[string][2]int64{
		"fc00::/64,1.2.3.0/24":                    {256, math.MaxInt64},
		"1.2.3.0/24,fc00::/64":                    {256, math.MaxInt64},
		"fc00::/64,fd00::/64":                     {0, math.MaxInt64},
		"fc00::/66":                               {0, math.MaxInt64},
		"fc00::/67":                               {0, 1 << 61},
		"fc00::/67,fc01::/67,fc02::/67":           {0, 3 << 61},
		"fc00::/67,fc01::/67,fc02::/67,fc03::/67": {0, math.MaxInt64},
		"0.0.0.0/0":                               {1 << 32, 0},
		"::/0":                                    {0, math.MaxInt64},
	} {
		s := play(t, "pool a addresses="+addresses+"\nconfig")
		c, _ := s.alloc.Counts("a")
		if got := [2]int64{c.AvailableIPv4, c.AvailableIPv6}; got != want {
			t.Errorf("%s: %d, want %d", addresses, got, want)
		}
	}
}

func TestCapacityWithoutBuggyAddresses(t *testing.T) {
	for addresses, want := range map[string]int64{
		"1.2.3.0/24":        254,
		"1.2.0.0/16":        256 * 254,
		"1.2.3.0/25":        127,
		"1.2.3.128/25":      127,
		"1.2.3.64/26":       64,
		"1.2.3.0/32":        0,
		"1.2.3.255/32":      0,
		"1.2.3.7/32":        1,
		"1.2.3.255-1.2.5.0": 254,
		"1.2.3.1-1.2.3.254": 254,
	} {
		s := play(t, "pool a avoid-buggy addresses="+addresses+"\nconfig")
		if c, _ := s.alloc.Counts("a"); c.AvailableIPv4 != want {
			t.Errorf("%s: %d, want %d", addresses, c.AvailableIPv4, want)
		}
	}
}

func TestTwoClaimsOfOneAddressHaveOneWinner(t *testing.T) {
	check(t, []rule{{
		name: "the annotation that is right wins",
		script: `pool a addresses=1.0.0.0/30
			config
			service d/a status=1.0.0.1
			service d/b status=1.0.0.1 from=a
			adopt
			sync d/a d/b`,
		want: `d/a 1.0.0.0 Assigned
			d/b 1.0.0.1 Assigned`,
		prints: []string{"conflict d/a 1.0.0.1: address 1.0.0.1 is claimed by d/a and kept by d/b"},
	}, {
		name: "then those that can share win",
		script: `pool a addresses=1.0.0.0/30
			config
			service d/a status=1.0.0.1 from=a
			service d/b status=1.0.0.1 from=a share=k ports=TCP/80
			service d/c status=1.0.0.1 from=a share=k ports=TCP/81
			adopt
			sync d/a d/b d/c`,
		want: `d/a 1.0.0.0 Assigned
			d/b 1.0.0.1 Assigned
			d/c 1.0.0.1 Assigned`,
	}, {
		name: "then the lower key wins",
		script: `pool a addresses=1.0.0.0/30
			config
			service d/b status=1.0.0.1 from=a
			service d/a status=1.0.0.1 from=a
			adopt
			sync d/b d/a`,
		want: `d/a 1.0.0.1 Assigned
			d/b 1.0.0.0 Assigned`,
	}, {
		name: "the loser keeps its address of the other family",
		script: `pool a addresses=1.0.0.0/30,fc00::/126
			config
			service d/a status=1.0.0.1 from=a
			service d/b status=1.0.0.1,fc00::2 from=a families=4,6 policy=prefer
			adopt
			sync d/b d/a`,
		want: `d/a 1.0.0.1 Assigned
			d/b fc00::2,1.0.0.0 Assigned`,
	}})
}

func TestWhatIsNotWrittenHoldsUpNobody(t *testing.T) {
	// The status of d/a is never written: its Sync gives the same answer each time, and
	// others get theirs.
	s := play(t, `pool a addresses=1.0.0.0/30
		config
		service d/a
		service d/b
		sync d/a
		service d/a status= from=
		sync d/b
		sync d/a
		service d/a status= from=
		sync d/a`)
	if got := text(s.last[key("d/a")].Addresses) + " " + text(s.last[key("d/b")].Addresses); got != "1.0.0.0 1.0.0.1" {
		t.Errorf("have %s", got)
	}
	if n := strings.Count(s.out.String(), "IPAllocated"); n != 2 {
		t.Errorf("%d allocations, want 2:\n%s", n, s.out.String())
	}
}

func TestChoiceDoesNotDependOnMapOrder(t *testing.T) {
	const source = `pool c addresses=3.0.0.0/30
		pool a addresses=1.0.0.0/30
		pool b addresses=2.0.0.0/30
		pool q addresses=4.0.0.0/32 namespaces=d
		pool p addresses=5.0.0.0/32 namespaces=d
		config
		service d/a
		service d/b
		service d/c
		sync d/a d/b d/c`
	first := play(t, source).out.String()
	for range 20 {
		if again := play(t, source).out.String(); again != first {
			t.Fatalf("first:\n%s\nthen:\n%s", first, again)
		}
	}
	if !strings.Contains(first, "d/a 5.0.0.0") || !strings.Contains(first, "d/c 1.0.0.0") {
		t.Errorf("not by name:\n%s", first)
	}
}
