package docpage

import (
	"os"
	"path/filepath"
	"testing"
)

// Every page can be read, and every fenced block has a language: without one it would look
// like commands, and not be tried.
func TestPagesCanBeTried(t *testing.T) {
	pages, err := Pages(filepath.Join("..", ".."))
	if err != nil || len(pages) < 5 {
		t.Fatal(pages, err)
	}
	for _, path := range pages {
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := Parse(string(b)); err != nil {
			t.Errorf("%s: %v", path, err)
		}
		for line, language := range Languages(string(b)) {
			if language == "" || language == "bash" || language == "shell" || language == "console" {
				t.Errorf("%s:%d: the block has the language %q: name what it is; commands are sh, and outputs text", path, line, language)
			}
		}
	}
}
