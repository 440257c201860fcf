package members

import (
	"bytes"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func TestCodecRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := message{kind: rapid.SampledFrom([]kind{kindNotice, kindRequest, kindStates}).Draw(t, "kind")}
		if m.kind != kindStates {
			m.from = rapid.String().Draw(t, "from")
		}
		for range rapid.IntRange(0, 5).Draw(t, "count") {
			e := entry{node: rapid.StringN(1, 20, -1).Draw(t, "node")}
			if m.kind != kindRequest {
				e.stamp = stamp{rapid.Uint64().Draw(t, "incarnation"), rapid.Uint64().Draw(t, "version")}
			}
			if m.kind == kindStates {
				e.content = rapid.SliceOfN(rapid.Byte(), 0, 100).Draw(t, "content")
			}
			m.entries = append(m.entries, e)
		}
		raw := m.marshal()
		got, err := unmarshal(raw)
		if err != nil {
			t.Fatalf("%v: %x", err, raw)
		}
		if diff := cmp.Diff(m, got, cmp.AllowUnexported(message{}, entry{}, stamp{})); diff != "" {
			t.Fatalf("(-want +got):\n%s", diff)
		}
		for cut := range raw {
			if _, err := unmarshal(raw[:cut]); err == nil {
				t.Fatalf("accepted the first %d of %d bytes", cut, len(raw))
			}
		}
		if _, err := unmarshal(append(bytes.Clone(raw), 0)); !errors.Is(err, errFormat) {
			t.Fatalf("a byte too many: %v", err)
		}
	})
}

func TestCodecForeign(t *testing.T) {
	good := message{kind: kindNotice, from: "a"}.marshal()
	later := bytes.Clone(good)
	later[len(magic)]++
	otherKind := bytes.Clone(good)
	otherKind[len(magic)+1] = 77
	for name, raw := range map[string][]byte{
		"empty": nil, "somebody else's": []byte("hello, world"), "a later format": later, "a kind we do not know": otherKind,
	} {
		if _, err := unmarshal(raw); !errors.Is(err, errUnknown) {
			t.Errorf("%s: want errUnknown, have %v", name, err)
		}
	}
	huge := append([]byte(magic), format, byte(kindRequest), 1, 'a', 0xff, 0xff, 0xff, 0xff, 0xff, 0x0f)
	if _, err := unmarshal(huge); !errors.Is(err, errFormat) {
		t.Errorf("a count beyond the message: %v", err)
	}
	large := message{kind: kindStates, entries: []entry{{node: "a", content: make([]byte, MaxState+1)}}}.marshal()
	if _, err := unmarshal(large); !errors.Is(err, errFormat) {
		t.Errorf("a state beyond the limit: %v", err)
	}
}

func FuzzUnmarshal(f *testing.F) {
	f.Add(message{kind: kindNotice, from: "a", entries: []entry{{node: "b", stamp: stamp{1, 2}}}}.marshal())
	f.Add(message{kind: kindRequest, from: "a", entries: []entry{{node: "b"}}}.marshal())
	f.Add(message{kind: kindStates, entries: []entry{{node: "b", stamp: stamp{1, 2}, content: []byte("x")}}}.marshal())
	f.Fuzz(func(t *testing.T, raw []byte) {
		m, err := unmarshal(raw)
		if err != nil {
			return
		}
		again, err := unmarshal(m.marshal())
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(m, again, cmp.AllowUnexported(message{}, entry{}, stamp{})); diff != "" {
			t.Fatalf("(-first +second):\n%s", diff)
		}
	})
}
