package ipam_test

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"
)

var update = flag.Bool("update", false, "rewrite the transcripts in testdata")

// TestScenarios plays testdata/*.txtar: each command of the section "script" is echoed, and
// what it prints must be as in the section "want".
func TestScenarios(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("no scenarios: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			archive, err := txtar.ParseFile(file)
			if err != nil {
				t.Fatal(err)
			}
			var source, want string
			for _, f := range archive.Files {
				switch f.Name {
				case "script":
					source = string(f.Data)
				case "want":
					want = string(f.Data)
				default:
					t.Fatalf("unknown section %q", f.Name)
				}
			}
			got := transcript(t, source)
			if *update {
				archive.Files = []txtar.File{{Name: "script", Data: []byte(source)}, {Name: "want", Data: []byte(got)}}
				if err := os.WriteFile(file, txtar.Format(archive), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("transcript (-want +got):\n%s", diff)
			}
		})
	}
}

func transcript(t *testing.T, source string) string {
	s := newScript()
	for line := range strings.Lines(source) {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		s.printf("> %s\n", line)
		if err := s.run(line); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
	}
	return s.out.String()
}
