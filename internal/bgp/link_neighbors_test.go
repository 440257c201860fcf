package bgp

import (
	"context"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"
)

// The first router stays while it is heard; another one takes over when it falls silent.
func TestObserveRouters(t *testing.T) {
	w := &linkWatch{found: make(chan struct{})}
	a, b := netip.MustParseAddr("fe80::a"), netip.MustParseAddr("fe80::b")
	start := time.Unix(1000, 0)
	for _, step := range []struct {
		router  netip.Addr
		at      time.Duration
		changed bool
		want    netip.Addr
	}{
		{a, 0, true, a}, {b, time.Second, false, a}, {a, 10 * time.Second, false, a}, {b, 20 * time.Second, false, a},
		{b, 25 * time.Second, true, b}, {a, 26 * time.Second, false, b},
	} {
		if got := w.observe(step.router, start.Add(step.at)); got != step.changed || w.router != step.want {
			t.Errorf("%v at %v: changed %v, router %v", step.router, step.at, got, w.router)
		}
	}
}

// A router that was lost is replaced by the next one that is heard, and is no longer doubted
// when it is heard itself.
func TestDoubtRouters(t *testing.T) {
	a, b := netip.MustParseAddr("fe80::a"), netip.MustParseAddr("fe80::b")
	w := &linkWatch{found: make(chan struct{})}
	woken := 0
	w.wake = func() { woken++ }
	n := &LinkNeighbors{links: map[string]*linkWatch{"eth0": w}}
	start := time.Unix(1000, 0)
	w.observe(a, start)
	n.Doubt("eth1", a)
	n.Doubt("eth0", b)
	if w.searching() || woken != 0 {
		t.Error("a router that is not in use is doubted")
	}
	n.Doubt("eth0", a)
	if !w.searching() || woken != 1 {
		t.Error("nobody looks for another router")
	}
	w.observe(a, start.Add(time.Second))
	if w.searching() || n.Router("eth0") != a {
		t.Error("the router was heard and is doubted still")
	}
	n.Doubt("eth0", a)
	if !w.observe(b, start.Add(2*time.Second)) || w.searching() || n.Router("eth0") != b {
		t.Error("the other router does not take over")
	}
}

// fakeLinks is a Neighbors of one link.
type fakeLinks struct {
	router chan netip.Addr
	joined chan string
	left   chan string
}

func (l fakeLinks) Join(iface string) func() {
	l.joined <- iface
	return func() { l.left <- iface }
}

func (l fakeLinks) Neighbor(ctx context.Context, iface string) (netip.Addr, error) {
	select {
	case a := <-l.router:
		return a.WithZone(iface), nil
	case <-ctx.Done():
		return netip.Addr{}, ctx.Err()
	}
}

// An unnumbered session asks for the neighbour at every attempt.
func TestUnnumberedFindsNeighborAgain(t *testing.T) {
	var links fakeLinks
	bubble(t, func(o *Options) {
		links = fakeLinks{make(chan netip.Addr), make(chan string, 1), make(chan string, 1)}
		o.Neighbors = links
	}, func(t *testing.T, r *rig) {
		c := testConfig()
		c.PeerAddress, c.Interface, c.ExtendedNextHop = netip.Addr{}, "eth0", true
		r.Set(onePeer(c, nil))
		if got := <-links.joined; got != "eth0" {
			t.Fatalf("joined %q", got)
		}
		time.Sleep(20 * time.Second) // nobody there
		for _, a := range []string{"fe80::1", "fe80::2"} {
			links.router <- netip.MustParseAddr(a)
			p := r.up(peerOpen())
			p.expectEndOfRIB()
			synctest.Wait()
			if got := r.status().Remote.Addr().String(); got != a+"%eth0" {
				t.Errorf("session with %v", got)
			}
			p.c.Close()
		}
		r.Set(Desired{})
		if got := <-links.left; got != "eth0" {
			t.Errorf("left %q", got)
		}
	})
}
