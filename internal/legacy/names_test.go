package legacy

import (
	"testing"

	"pgregory.net/rapid"
)

func TestNames(t *testing.T) {
	old := []string{"a", "My_Pool", "my_pool", "my-pool", "trailing-", "_leading", "1st", "a.b", "ends.", "ÄÖ", "", "pool", "sp ace"}
	want := []string{"a", "my-pool-2", "my-pool-3", "my-pool", "trailing", "leading", "1st", "a.b", "ends", "pool-2", "pool-3", "pool", "sp-ace"}
	got := newNames("pool", old)
	for i, name := range old {
		if got[name] != want[i] {
			t.Errorf("%q becomes %q, want %q", name, got[name], want[i])
		}
	}
}

func TestNamesNeverCollide(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		// Few letters, so that many names come close to one another; long ones meet the bound.
		short := rapid.StringMatching(`[aA_.2-]{0,4}`)
		long := rapid.StringMatching(`[aA]{61,63}(_|-|-2|-10)?[aA_]{0,2}`)
		names := rapid.SliceOfNDistinct(rapid.OneOf(short, long), 0, 40, func(s string) string { return s }).Draw(t, "names")
		taken := map[string]string{}
		for old, now := range newNames("pool", names) {
			if !valid(now) {
				t.Errorf("%q becomes %q, which is not valid", old, now)
			}
			if valid(old) && old != now {
				t.Errorf("%q becomes %q without need", old, now)
			}
			if other, twice := taken[now]; twice {
				t.Errorf("%q and %q both become %q", old, other, now)
			}
			taken[now] = old
		}
		if len(taken) != len(names) {
			t.Errorf("%d names became %d", len(names), len(taken))
		}
	})
}
