package debian

import (
	"slices"
	"testing"
)

func TestMissing(t *testing.T) {
	have := []string{"/usr/sbin/a", "/sbin/b"}
	got := missing([]tool{{"/usr/sbin/a", "pa"}, {"/usr/sbin/b", "pb"}, {"/usr/bin/c", "pc"}, {"/usr/bin/d", "pc"}},
		func(path string) bool { return slices.Contains(have, path) })
	if want := []string{"pc"}; !slices.Equal(got, want) {
		t.Errorf("missing %v, want %v", got, want)
	}
}
