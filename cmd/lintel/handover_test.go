package main

import (
	"net/netip"
	"testing"
	"time"

	"github.com/lintel-lb/lintel/internal/l2"
)

func TestAddressesAreGivenUpOneByOne(t *testing.T) {
	start := time.Unix(1000, 500)
	kept, taken, before := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2"), netip.MustParseAddr("192.0.2.3")
	rest, n := notTakenOver(l2.State{Addresses: map[netip.Addr]l2.AddressState{
		kept:   {Links: []string{"eth0"}},
		taken:  {Links: []string{"eth0"}, Conflict: &l2.Conflict{Last: time.Unix(1000, 0)}},
		before: {Links: []string{"eth0"}, Conflict: &l2.Conflict{Last: time.Unix(999, 0)}},
	}}, start)
	if n != 1 || len(rest.Addresses) != 2 {
		t.Fatalf("taken %d, rest %v", n, rest)
	}
	for _, a := range []netip.Addr{kept, before} {
		if s, ok := rest.Addresses[a]; !ok || !s.Selects("eth0") {
			t.Errorf("%s is given up", a)
		}
	}
}
