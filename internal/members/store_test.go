package members

import (
	"math"
	"strconv"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func everyone(string) bool { return true }
func noone(string) bool    { return false }

// In whatever order and however often states arrive, the newest wins and none is ever replaced by an
// older one.
func TestStoreConverges(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := newStore("self", 1)
		newest := map[string]stamp{}
		for i := range rapid.IntRange(1, 60).Draw(t, "arrivals") {
			e := entry{node: rapid.SampledFrom([]string{"a", "b"}).Draw(t, "node")}
			e.stamp = stamp{rapid.Uint64Range(1, 3).Draw(t, "incarnation"), rapid.Uint64Range(1, 5).Draw(t, "version")}
			e.content = []byte(strconv.FormatUint(e.stamp.incarnation*10+e.stamp.version, 10))
			news := s.merge(e)
			if want := e.stamp.newerThan(newest[e.node]); news != want {
				t.Fatalf("arrival %d: %+v after %+v: news %t", i, e.stamp, newest[e.node], news)
			}
			if news {
				newest[e.node] = e.stamp
			}
			got, _ := s.get(e.node)
			if want := strconv.FormatUint(newest[e.node].incarnation*10+newest[e.node].version, 10); string(got.content) != want {
				t.Fatalf("arrival %d: have content %s, want %s", i, got.content, want)
			}
		}
	})
}

func TestStoreOwn(t *testing.T) {
	s := newStore("self", 100)
	if s.outbid(stamp{50, 9}) {
		t.Error("an earlier life made a node that told nothing announce")
	}
	if !s.setOwn([]byte("x")) || s.setOwn([]byte("x")) || !s.setOwn([]byte("y")) {
		t.Error("only a change is news")
	}
	if s.merge(entry{node: "self", stamp: stamp{math.MaxUint64, 1}}) {
		t.Error("another node told our own state")
	}
	if s.outbid(stamp{50, 9}) || s.outbid(stamp{100, 2}) {
		t.Error("a stamp that is not newer was outbid")
	}
	if !s.outbid(stamp{200, 7}) {
		t.Error("an earlier life with a clock ahead was not outbid")
	}
	if own, _ := s.get("self"); !own.stamp.newerThan(stamp{200, 7}) || string(own.content) != "y" {
		t.Errorf("after outbidding: %+v %s", own.stamp, own.content)
	}
	s.setOwn([]byte("z"))
	if own, _ := s.get("self"); own.stamp.incarnation != 201 {
		t.Errorf("a later change fell back: %+v", own.stamp)
	}

	late := newStore("self", 100)
	late.outbid(stamp{300, 1})
	late.setOwn([]byte("x"))
	if own, _ := late.get("self"); !own.stamp.newerThan(stamp{300, 1}) {
		t.Errorf("told after the earlier life was seen: %+v", own.stamp)
	}
	if late.outbid(stamp{math.MaxUint64, 1}) {
		t.Error("the end of the numbers cannot be outbid")
	}
}

func TestStoreExpires(t *testing.T) {
	s, now := newStore("self", 1), time.Unix(1000, 0)
	s.setOwn([]byte("own"))
	s.merge(entry{node: "a", stamp: stamp{1, 5}, content: []byte("x")})
	s.expire(noone, now)
	s.expire(noone, now.Add(retention))
	if s.merge(entry{node: "a", stamp: stamp{1, 4}}) {
		t.Error("a state older than that of a dead node was taken")
	}
	s.expire(everyone, now.Add(retention)) // back again
	s.expire(noone, now.Add(retention+time.Second))
	s.expire(noone, now.Add(2*retention))
	if _, ok := s.get("a"); !ok {
		t.Error("forgotten although it was back in between")
	}
	s.expire(noone, now.Add(2*retention+2*time.Second))
	if _, ok := s.get("a"); ok {
		t.Error("never forgotten")
	}
	if _, ok := s.get("self"); !ok {
		t.Error("own state forgotten")
	}
}

func TestStoreDigest(t *testing.T) {
	s := newStore("self", 1)
	s.setOwn([]byte("own"))
	s.merge(entry{node: "dead", stamp: stamp{1, 5}})
	s.merge(entry{node: "a", stamp: stamp{2, 6}})
	got := s.digest(func(node string) bool { return node != "dead" })
	if len(got) != 2 || got[0].node != "a" || got[0].stamp != (stamp{2, 6}) || got[1].node != "self" {
		t.Errorf("have %+v", got)
	}
}
