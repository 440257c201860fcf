package image

import (
	"debug/elf"
	"path/filepath"
	"strings"
	"testing"
)

func TestBuildProgramIsStatic(t *testing.T) {
	binary := filepath.Join(t.TempDir(), "pause")
	if err := BuildProgram(t.Context(), "..", "./cmd/pause", binary); err != nil {
		t.Fatal(err)
	}
	f, err := elf.Open(binary)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for _, p := range f.Progs {
		if p.Type == elf.PT_INTERP || p.Type == elf.PT_DYNAMIC {
			t.Errorf("the program has a %v segment: it needs libraries", p.Type)
		}
	}
}

func TestBuildProgramTellsWhatTheCompilerSays(t *testing.T) {
	err := BuildProgram(t.Context(), "..", "./cmd/no-such-program", filepath.Join(t.TempDir(), "x"))
	if err == nil || !strings.Contains(err.Error(), "no-such-program") || !strings.Contains(err.Error(), "not found") {
		t.Errorf("error %v", err)
	}
}
