package l2

import (
	"errors"
	"net/netip"
	"slices"
	"testing"
)

// fakeJoiner fails where the kernel would: on a second join, and on leaving what has not
// been joined.
type fakeJoiner struct {
	joined map[netip.Addr]bool
	fail   bool
}

func (f *fakeJoiner) join(g netip.Addr) error {
	if f.fail || f.joined[g] {
		return errors.New("join refused")
	}
	f.joined[g] = true
	return nil
}

func (f *fakeJoiner) leave(g netip.Addr) error {
	if !f.joined[g] {
		return errors.New("leave refused")
	}
	delete(f.joined, g)
	return nil
}

func (f *fakeJoiner) close() error { return nil }

func TestGroupsCountAddresses(t *testing.T) {
	j := &fakeJoiner{joined: map[netip.Addr]bool{}}
	g := newGroups(j)
	group := netip.MustParseAddr("ff02::1:ff00:100")
	follow := func(want int, addrs ...string) {
		t.Helper()
		more, failed := g.follow(testTable(addrs...), 100)
		if more || len(failed) > 0 {
			t.Errorf("%v: more %v, failed %v", addrs, more, failed)
		}
		if len(j.joined) != want || len(g.joined()) != want {
			t.Errorf("%v: joined %v and %v, want %d", addrs, j.joined, g.joined(), want)
		}
	}
	follow(1, "2001:db8::100", "2001:db8:1::100")
	follow(2, "2001:db8::100", "2001:db8:1::100", "2001:db8::200")
	follow(1, "2001:db8:1::100")
	if !j.joined[group] {
		t.Errorf("%s was left while an address is in it", group)
	}
	follow(0)
	follow(1, "2001:db8::100")
}

func TestGroupsGoOnInChunks(t *testing.T) {
	j := &fakeJoiner{joined: map[netip.Addr]bool{}}
	g := newGroups(j)
	tab := testTable("2001:db8::1", "2001:db8::2", "2001:db8::3")
	if more, _ := g.follow(tab, 2); !more || len(j.joined) != 2 {
		t.Errorf("after the first: more %v, joined %d", more, len(j.joined))
	}
	if more, _ := g.follow(tab, 2); more || len(j.joined) != 3 {
		t.Errorf("after the second: more %v, joined %d", more, len(j.joined))
	}
}

func TestGroupsTryAgain(t *testing.T) {
	j := &fakeJoiner{joined: map[netip.Addr]bool{}, fail: true}
	g := newGroups(j)
	tab := testTable("2001:db8::1")
	if _, failed := g.follow(tab, 2); failed[netip.MustParseAddr("2001:db8::1")] == nil {
		t.Error("a failed join is not told")
	}
	if _, failed := g.follow(testTable(), 2); len(failed) > 0 {
		t.Errorf("an address that never joined is left: %v", failed)
	}
	j.fail = false
	g.retry()
	if _, failed := g.follow(tab, 2); len(failed) > 0 || !slices.Equal(g.joined(), []netip.Addr{netip.MustParseAddr("ff02::1:ff00:1")}) {
		t.Errorf("not joined at the second try: %v", failed)
	}
}

// TestRefusedGroupsWaitForTheRetry has more groups refused than are joined at one go: they must
// not be asked for over and over without a pause.
func TestRefusedGroupsWaitForTheRetry(t *testing.T) {
	j := &fakeJoiner{joined: map[netip.Addr]bool{}, fail: true}
	g := newGroups(j)
	tab := testTable("2001:db8::1", "2001:db8::2", "2001:db8::3")
	more, failed := g.follow(tab, 2)
	for range 5 {
		if more {
			more, failed = g.follow(tab, 2)
		}
	}
	if more || len(failed) != 3 {
		t.Fatalf("refused groups are asked for without end: more %v, failed %v", more, failed)
	}
	j.fail = false
	g.retry()
	if more, _ = g.follow(tab, 2); !more {
		t.Error("nothing is left after the first two")
	}
	if more, failed = g.follow(tab, 2); more || len(failed) > 0 || len(j.joined) != 3 {
		t.Errorf("after the retry: more %v, failed %v, joined %d", more, failed, len(j.joined))
	}
}
