package l2

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/net/bpf"
	"pgregory.net/rapid"
)

func addr4(i int) string {
	return netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}).String()
}
func addr6(i int) string { return fmt.Sprintf("2001:db8::%x:%x", i>>16, i&0xffff) }

func inSpans(s []span, k uint32) bool {
	return slices.ContainsFunc(s, func(s span) bool { return s.lo <= k && k <= s.hi })
}

func TestSpansOf(t *testing.T) {
	for name, tt := range map[string]struct {
		keys  []uint32
		limit int
		want  []span
	}{
		"none":               {nil, 4, nil},
		"one":                {[]uint32{7}, 1, []span{{7, 7}}},
		"run, unsorted":      {[]uint32{9, 7, 8, 8}, 4, []span{{7, 9}}},
		"gap kept":           {[]uint32{1, 3}, 2, []span{{1, 1}, {3, 3}}},
		"gap swallowed":      {[]uint32{1, 3}, 1, []span{{1, 3}}},
		"smallest swallowed": {[]uint32{1, 10, 13, 100}, 3, []span{{1, 1}, {10, 13}, {100, 100}}},
		"the ends":           {[]uint32{0, 0xffffffff}, 2, []span{{0, 0}, {0xffffffff, 0xffffffff}}},
		"the ends as one":    {[]uint32{0, 0xffffffff}, 1, []span{{0, 0xffffffff}}},
	} {
		got := spansOf(tt.keys, tt.limit)
		if d := cmp.Diff(tt.want, got, cmp.AllowUnexported(span{})); d != "" {
			t.Errorf("%s (-want +got):\n%s", name, d)
		}
	}
}

func genKeys(t *rapid.T) []uint32 {
	// Small numbers make runs and near misses, large ones reach the ends of the range.
	k := rapid.OneOf(rapid.Uint32Range(0, 2000), rapid.Uint32(), rapid.Uint32Range(0xfffffff0, 0xffffffff))
	return rapid.SliceOfN(k, 0, 600).Draw(t, "keys")
}

func genLimit(t *rapid.T) int {
	return rapid.SampledFrom([]int{1, 2, 64, 65, maxSpans}).Draw(t, "limit")
}

// genNear draws values in and around the spans.
func genNear(t *rapid.T, s []span, label string) uint32 {
	if len(s) == 0 || rapid.Bool().Draw(t, label+" any") {
		return rapid.Uint32().Draw(t, label)
	}
	one := rapid.SampledFrom(s).Draw(t, label+" span")
	return rapid.SampledFrom([]uint32{one.lo - 1, one.lo, one.hi, one.hi + 1}).Draw(t, label)
}

// Spans hold every key, stay within the limit, and hold nothing else if they can.
func TestSpansCover(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		keys, limit := genKeys(t), genLimit(t)
		s := spansOf(keys, limit)
		if len(s) > limit {
			t.Fatalf("%d spans, limit %d", len(s), limit)
		}
		for _, k := range keys {
			if !inSpans(s, k) {
				t.Fatalf("%d is not covered", k)
			}
		}
		var size uint64
		for i, one := range s {
			size += uint64(one.hi-one.lo) + 1
			if one.lo > one.hi || i > 0 && one.lo <= s[i-1].hi+1 {
				t.Fatalf("span %d of %v overlaps or touches", i, s)
			}
		}
		slices.Sort(keys)
		if n := len(slices.Compact(keys)); len(s) < limit && size != uint64(n) {
			t.Fatalf("spans hold %d values for %d keys although more were allowed", size, n)
		}
	})
}

func run(t interface{ Fatalf(string, ...any) }, program []bpf.Instruction, frame []byte) bool {
	vm, err := bpf.NewVM(program)
	if err != nil {
		t.Fatalf("program: %v", err)
	}
	n, err := vm.Run(frame)
	if err != nil {
		t.Fatalf("run: %v", err)
	}
	return n > 0
}

// The ARP program does what a plain predicate does.
func TestARPFilter(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := spansOf(genKeys(t), genLimit(t))
		sender, target := genNear(t, s, "sender"), genNear(t, s, "target")
		op := rapid.SampledFrom([]uint16{0, arpRequest, arpReply, 3}).Draw(t, "op")
		f := arpFrame{op: op}
		binary.BigEndian.PutUint32(f.senderIP[:], sender)
		binary.BigEndian.PutUint32(f.targetIP[:], target)
		frame := f.append(nil)
		etherType := rapid.SampledFrom([]uint16{etherTypeARP, etherTypeARP, etherTypeIPv6, 0x8100}).Draw(t, "type")
		binary.BigEndian.PutUint16(frame[12:], etherType)
		frame = frame[:rapid.SampledFrom([]int{0, 13, 20, arpLen - 1, arpLen, arpLen}).Draw(t, "length")]

		want := len(frame) >= 32 && etherType == etherTypeARP &&
			(inSpans(s, sender) || len(frame) == arpLen && op == arpRequest && inSpans(s, target))
		if got := run(t, arpFilter(s), frame); got != want {
			t.Fatalf("filter says %v, want %v", got, want)
		}
	})
}

// The Neighbor Discovery program does what a plain predicate does.
func TestNDFilter(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := spansOf(genKeys(t), genLimit(t))
		target := genNear(t, s, "target")
		f := ndFrame{typ: rapid.SampledFrom([]uint8{typeNS, typeNA, 133, 137, 128}).Draw(t, "type")}
		binary.BigEndian.PutUint32(f.target[12:], target)
		frame := f.append(nil)
		proto := rapid.SampledFrom([]uint8{protoICMPv6, protoICMPv6, 6, 44}).Draw(t, "proto")
		frame[20] = proto
		frame = frame[:rapid.SampledFrom([]int{0, icmpStart, ndMinLen - 1, ndMinLen, ndMinLen}).Draw(t, "length")]

		want := len(frame) == ndMinLen && proto == protoICMPv6 && (f.typ == typeNS || f.typ == typeNA) && inSpans(s, target)
		if got := run(t, ndFilter(s), frame); got != want {
			t.Fatalf("filter says %v, want %v", got, want)
		}
	})
}

// A frame that leads to anything is never filtered away.
func TestFilterPassesWhatIsAnswered(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 2000).Draw(t, "addresses")
		var own []string
		for i := range n {
			own = append(own, addr4(i*i), addr6(i*i))
		}
		tab := testTable(own...)
		i := rapid.IntRange(0, n-1).Draw(t, "which")
		arp, nd := ask("172.16.0.1", addr4(i*i)), solicit("fe80::2", addr6(i*i))
		if o := answerARP(station{mac: selfMAC()}, ownSet(), tab, arp.append(nil), nil); o.reply == nil {
			t.Fatalf("not answered")
		}
		if !run(t, arpFilter(spansOf(tab.keys(), maxSpans)), arp.append(nil)) {
			t.Fatalf("ARP for %s is dropped", addr4(i*i))
		}
		if !run(t, ndFilter(spansOf(tab.keys(), maxSpans)), nd.append(nil)) {
			t.Fatalf("solicitation for %s is dropped", addr6(i*i))
		}
	})
}

// The largest program that is built stays within what Linux takes. On kernels before 6.7
// the allowance for a socket's options is 20,480 bytes; there a coarser one is used.
func TestFilterSize(t *testing.T) {
	keys := make([]uint32, 0, 20000)
	for range 10000 {
		k := rand.Uint32()
		keys = append(keys, k, k+1) // ranges take one instruction more than single values
	}
	for name, p := range map[string][]bpf.Instruction{
		"ARP": append(notForUs(), arpFilter(spansOf(keys, maxSpans))...),
		"NDP": append(notForUs(), ndFilter(spansOf(keys, maxSpans))...),
	} {
		raw, err := bpf.Assemble(p)
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if len(raw) > 1600 {
			t.Errorf("%s: %d instructions", name, len(raw))
		}
	}
}

func BenchmarkFilterUpdate(b *testing.B) {
	var addrs []string
	for i := range 10000 {
		addrs = append(addrs, addr4(i*7))
	}
	tab := testTable(addrs...)
	for b.Loop() {
		if _, err := bpf.Assemble(arpFilter(spansOf(tab.keys(), maxSpans))); err != nil {
			b.Fatal(err)
		}
	}
}

// A filter that passes all keys may stay when its table grows.
func TestPassesAgreesWithSpans(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		keys := rapid.SliceOf(rapid.Uint32Range(0, 300)).Draw(t, "keys")
		spans := spansOf(keys, rapid.IntRange(1, 8).Draw(t, "limit"))
		if !passes(spans, keys) {
			t.Fatalf("%v do not pass their own keys", spans)
		}
		k := rapid.Uint32Range(0, 300).Draw(t, "key")
		in := slices.ContainsFunc(spans, func(s span) bool { return s.lo <= k && k <= s.hi })
		if got := passes(spans, []uint32{k}); got != in {
			t.Fatalf("%d passes %v: %v", k, spans, got)
		}
	})
}
