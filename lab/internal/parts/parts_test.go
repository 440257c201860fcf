package parts

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

func write(t *testing.T, path, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

func tinyPart(t *testing.T) (part, string) {
	t.Helper()
	src := t.TempDir()
	write(t, filepath.Join(src, "p/go.mod"), "module tiny\n\ngo 1.26.0\n")
	write(t, filepath.Join(src, "p/main.go"), "package main\n\nvar version string\n\nfunc main() { print(version) }\n")
	return part{name: "tiny", dir: "p", build: []string{"."}, sources: []string{"."}, links: []string{"alias"}}, src
}

func TestKeyFollowsWhatThePartIsMadeOf(t *testing.T) {
	p, src := tinyPart(t)
	key := func(settings ...string) string {
		t.Helper()
		k, err := p.key(src, settings)
		if err != nil {
			t.Fatal(err)
		}
		return k
	}
	first := key("go1")
	if again := key("go1"); again != first {
		t.Errorf("the same part has keys %s and %s", first, again)
	}
	if other := key("go2"); other == first {
		t.Error("another compiler, the same key")
	}
	write(t, filepath.Join(src, "p/main_test.go"), "package main\n")
	if k := key("go1"); k != first {
		t.Error("a test changes the key")
	}
	write(t, filepath.Join(src, "p/go.sum"), "x\n")
	second := key("go1")
	if second == first {
		t.Error("another go.sum, the same key")
	}
	write(t, filepath.Join(src, "p/main.go"), "package main\n\nfunc main() {}\n")
	if key("go1") == second {
		t.Error("another source, the same key")
	}
}

func TestTwoBuildersBuildOnce(t *testing.T) {
	p, src := tinyPart(t)
	cache := t.TempDir()
	write(t, filepath.Join(cache, "tiny.tmp-1/tiny"), "left by a build that was interrupted")
	var outputs [2]bytes.Buffer
	var group sync.WaitGroup
	for i := range outputs {
		group.Go(func() {
			b := builder{part: p, source: src, cache: cache, progress: &outputs[i]}
			dir, err := b.dir(t.Context())
			if err != nil {
				t.Error(err)
				return
			}
			for _, name := range []string{"tiny", "alias"} {
				if info, err := os.Stat(filepath.Join(dir, name)); err != nil || info.Mode()&0o111 == 0 {
					t.Errorf("%s: %v, %v", name, info, err)
				}
			}
		})
	}
	group.Wait()
	if n := strings.Count(outputs[0].String()+outputs[1].String(), "built tiny"); n != 1 {
		t.Errorf("built %d times:\n%s%s", n, &outputs[0], &outputs[1])
	}
	if left, _ := filepath.Glob(filepath.Join(cache, "*.tmp-*")); left != nil {
		t.Errorf("left over: %s", left)
	}
}

func TestAFailedOrInterruptedBuildLeavesNoPart(t *testing.T) {
	p, src := tinyPart(t)
	write(t, filepath.Join(src, "p/main.go"), "package main\n\nfunc main() { undefined() }\n")
	interrupted, cancel := context.WithTimeout(t.Context(), time.Nanosecond)
	defer cancel()
	for name, ctx := range map[string]context.Context{"failed": t.Context(), "interrupted": interrupted} {
		cache := t.TempDir()
		b := builder{part: p, source: src, cache: cache, progress: &bytes.Buffer{}}
		if _, err := b.dir(ctx); err == nil {
			t.Errorf("%s: no error", name)
		}
		if left, _ := filepath.Glob(filepath.Join(cache, "tiny[-.][^l]*")); left != nil {
			t.Errorf("%s: left over: %s", name, left)
		}
	}
}

func TestEveryPartSaysItsVersion(t *testing.T) {
	for _, p := range all() {
		if p.version == "" {
			continue
		}
		v, err := moduleVersion(filepath.Join("../..", p.dir, "go.mod"), p.version)
		if err != nil {
			t.Error(err)
		}
		if flags := p.ldflags(v); strings.Count(flags, "="+v) != len(p.set) || len(p.set) == 0 {
			t.Errorf("%s: %s", p.name, flags)
		}
	}
}
