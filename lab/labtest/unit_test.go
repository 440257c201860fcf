package labtest

import (
	"context"
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/lintel-lb/lintel/lab"
)

func TestRangesAreApart(t *testing.T) {
	seen := make(map[netip.Addr]int)
	networks := map[string]func(ranges) (netip.Addr, netip.Addr){
		lab.PoolNet4:       func(r ranges) (netip.Addr, netip.Addr) { return r.pool4.First, r.pool4.Last },
		lab.PoolNet6:       func(r ranges) (netip.Addr, netip.Addr) { return r.pool6.First, r.pool6.Last },
		lab.RoutedPoolNet4: func(r ranges) (netip.Addr, netip.Addr) { return r.routed4.Addr(), plus(r.routed4.Addr(), 255) },
		lab.RoutedPoolNet6: func(r ranges) (netip.Addr, netip.Addr) { return r.routed6.Addr(), plus(r.routed6.Addr(), 255) },
	}
	for slot := range slotCount {
		r := rangesOf(slot)
		for network, ends := range networks {
			first, last := ends(r)
			for a := first; a.Compare(last) <= 0; a = a.Next() {
				if other, taken := seen[a]; taken {
					t.Fatalf("%s is in the ranges of slots %d and %d", a, other, slot)
				}
				if !netip.MustParsePrefix(network).Contains(a) {
					t.Fatalf("%s of slot %d is not in %s", a, slot, network)
				}
				seen[a] = slot
			}
		}
	}
}

func TestRange(t *testing.T) {
	r := rangesOf(0).pool4
	if got, want := r.String(), "10.89.0.128-10.89.0.135"; got != want {
		t.Errorf("range %s, want %s", got, want)
	}
	if got, want := r.At(7), r.Last; got != want {
		t.Errorf("last address %s, want %s", got, want)
	}
	defer func() {
		if recover() == nil {
			t.Error("an address outside of the range was given out")
		}
	}()
	r.At(8)
}

func TestObjectName(t *testing.T) {
	for test, want := range map[string]string{
		"TestLocalPolicy":                   "t-localpolicy-abcde",
		"TestX/with spaces_and/slashes":     "t-x-with-spaces-and-slashes-abcde",
		"Test" + strings.Repeat("Long", 20): "t-" + strings.Repeat("long", 8) + "-abcde",
		"TestÜber":                          "t-ber-abcde",
	} {
		got := objectName(test, "ABCDEFGH")
		if got != want {
			t.Errorf("%s: %s, want %s", test, got, want)
		}
		if wrong := validation.IsDNS1123Label(got); len(wrong) > 0 || len(got) > 40 {
			t.Errorf("%s: %s: %v", test, got, wrong)
		}
	}
}

func TestDecode(t *testing.T) {
	values := Values{Env: &Env{Name: "t-x", Pool4: rangesOf(1).pool4}, PageImage: "image", Vars: map[string]any{"n": 3}}
	got, err := decode(`---
apiVersion: v1
kind: A
metadata: {name: "{{.Name}}-{{.Vars.n}}"}
spec: "{{.Pool4}} {{.Pool4.At 2}} {{.PageImage}}"
---
---
apiVersion: v1
kind: B
metadata: {name: b, namespace: other}
`, values)
	if err != nil {
		t.Fatal(err)
	}
	if len(got) != 2 || describe(got[0]) != "A t-x-3" || describe(got[1]) != "B other/b" {
		t.Errorf("objects %v", got)
	}
	if got, want := got[0].Object["spec"], "10.89.0.136-10.89.0.143 10.89.0.138 image"; got != want {
		t.Errorf("spec %q, want %q", got, want)
	}
}

func TestDecodeRefuses(t *testing.T) {
	for manifest, want := range map[string]string{
		"a: {{.Vars.none}}":         "none",
		"a: {{":                     "unclosed",
		"a: [":                      "yaml",
		"kind: A":                   "object 1 lacks",
		"apiVersion: v1\nkind: A":   "object 1 lacks",
		"a: {{.Pool4.At 8}}":        "address 8 of the range",
		"apiVersion: {{.NotThere}}": "NotThere",
	} {
		_, err := decode(manifest, Values{Env: &Env{Pool4: rangesOf(0).pool4}, Vars: map[string]any{}})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: error %v, want one with %q", manifest, err, want)
		}
	}
}

func TestPollTellsWhatWasSeenLast(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		calls := 0
		err := poll(ctx, func(ctx context.Context) error {
			if calls++; calls < 5 {
				return errors.New("early")
			}
			if calls == 5 {
				return errors.New("two of three")
			}
			// A request that is cut off by the deadline.
			<-ctx.Done()
			return ctx.Err()
		})
		if err == nil || err.Error() != "two of three" {
			t.Errorf("error %v after %d calls", err, calls)
		}
		calls = 0
		if err := poll(t.Context(), func(context.Context) error {
			if calls++; calls < 3 {
				return errors.New("not yet")
			}
			return nil
		}); err != nil || calls != 3 {
			t.Errorf("error %v after %d calls", err, calls)
		}
	})
}

func TestTail(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	if err := os.WriteFile(path, []byte("0123456789"), 0o600); err != nil {
		t.Fatal(err)
	}
	for n, want := range map[int64]string{4: "6789", 10: "0123456789", 99: "0123456789"} {
		if got, err := tail(path, n); err != nil || string(got) != want {
			t.Errorf("last %d bytes: %q, %v", n, got, err)
		}
	}
}
