package members

import (
	"fmt"
	"maps"
	"testing"

	"pgregory.net/rapid"
)

func texts(list [][]byte) (out []string) {
	for _, b := range list {
		out = append(out, string(b))
	}
	return out
}

func TestNotices(t *testing.T) {
	n := notices{mult: 2}
	steps := []struct {
		put   [][2]string
		limit int
		want  []string
	}{
		{put: [][2]string{{"a", "a1"}, {"b", "b1"}, {"a", "a2"}}, limit: 100, want: []string{"a2", "b1"}}, // the newest first
		{put: [][2]string{{"c", "c1"}}, limit: 100, want: []string{"c1", "a2", "b1"}},                     // what was never sent first
		{limit: 100, want: []string{"c1"}}, // the others were sent twice
		{limit: 100, want: nil},
		{put: [][2]string{{"a", "long one"}, {"b", "b2"}}, limit: 8, want: []string{"b2"}}, // what does not fit waits
		{limit: 11, want: []string{"long one"}},
		{limit: 100, want: []string{"b2", "long one"}},
		{limit: 100, want: nil},
	}
	for i, s := range steps {
		for _, p := range s.put {
			n.put(p[0], []byte(p[1]))
		}
		// With 2 members each message goes out twice.
		if got := texts(n.take(3, s.limit, 2)); fmt.Sprint(got) != fmt.Sprint(s.want) {
			t.Errorf("step %d: %v, want %v", i, got, s.want)
		}
	}
}

// Whatever is put and taken in whatever order, the newest about every node goes out as often as it
// must, and nothing goes out after something newer about its node was put.
func TestNoNoticeIsLost(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		mult, members := rapid.IntRange(1, 3).Draw(t, "mult"), rapid.IntRange(1, 20).Draw(t, "members")
		enough := mult
		if members >= 10 {
			enough = 2 * mult
		}
		n := notices{mult: mult}
		newest, sent := map[string]string{}, map[string]int{}
		take := func(limit int) int {
			got := texts(n.take(1, limit, members))
			for _, text := range got {
				if node := text[:1]; newest[node] != text {
					t.Fatalf("%q goes out, the newest is %q", text, newest[node])
				}
				sent[text]++
			}
			return len(got)
		}
		for i := range rapid.IntRange(1, 30).Draw(t, "steps") {
			if rapid.Bool().Draw(t, "put") {
				node := rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, "node")
				newest[node] = fmt.Sprintf("%s%02d", node, i)
				n.put(node, []byte(newest[node]))
			} else {
				take(rapid.SampledFrom([]int{4, 8, 100}).Draw(t, "limit"))
			}
		}
		for take(100) > 0 {
		}
		for text := range maps.Values(newest) {
			if sent[text] != enough {
				t.Fatalf("%q went out %d times, want %d", text, sent[text], enough)
			}
		}
	})
}
