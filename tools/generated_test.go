// Package tools pins the programs that generate and check code.
package tools

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// generated are the folders that hold generated files, and single ones.
var generated = []string{"api", "config/crd", "docs/api.md"}

// TestGeneratedFilesAreCurrent generates everything anew in a copy and compares.
func TestGeneratedFilesAreCurrent(t *testing.T) {
	root, dir := "..", t.TempDir()
	for _, file := range []string{"go.mod", "go.sum", "tools/go.mod", "tools/go.sum"} {
		content, err := os.ReadFile(filepath.Join(root, file))
		if err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(dir, file), content)
	}
	programs, err := filepath.Glob("apidoc/*.go")
	if err != nil || len(programs) == 0 {
		t.Fatal("apidoc is missing", err)
	}
	for _, file := range programs {
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(dir, "tools", file), content)
	}
	if err := os.Mkdir(filepath.Join(dir, "docs"), 0o755); err != nil {
		t.Fatal(err)
	}
	committed := files(t, root)
	for file, content := range committed {
		if !bytes.HasPrefix(content, []byte("// Code generated")) && filepath.Ext(file) == ".go" {
			write(t, filepath.Join(dir, file), content)
		}
	}
	cmd := exec.CommandContext(t.Context(), "go", "generate", ".")
	cmd.Dir = filepath.Join(dir, "api")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("go generate: %v\n%s", err, out)
	}
	fresh := files(t, dir)
	for file, want := range fresh {
		if got, ok := committed[file]; !ok {
			t.Errorf("%s is missing: run go generate ./api", file)
		} else if !bytes.Equal(got, want) {
			t.Errorf("%s is out of date: run go generate ./api", file)
		}
	}
	for file := range committed {
		if _, ok := fresh[file]; !ok && !isTestdata(file) {
			t.Errorf("%s is not generated any more: delete it", file)
		}
	}
}

// files reads the folders of a tree.
func files(t *testing.T, root string) map[string][]byte {
	t.Helper()
	out := map[string][]byte{}
	for _, folder := range generated {
		err := filepath.WalkDir(filepath.Join(root, folder), func(path string, d fs.DirEntry, err error) error {
			if errors.Is(err, fs.ErrNotExist) || err != nil || d.IsDir() {
				return err
			}
			name, err := filepath.Rel(root, path)
			if err != nil {
				return err
			}
			out[name], err = os.ReadFile(path)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return out
}

func isTestdata(file string) bool {
	rel, err := filepath.Rel("api/testdata", file)
	return err == nil && filepath.IsLocal(rel)
}

func write(t *testing.T, file string, content []byte) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, content, 0o644); err != nil {
		t.Fatal(err)
	}
}
