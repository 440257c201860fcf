package parts

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// key hashes everything that a part's programs depend on. settings are the
// compiler, the platform and the flags.
func (p part) key(source string, settings []string) (string, error) {
	sum := sha256.New()
	for _, s := range settings {
		fmt.Fprintf(sum, "%q\n", s)
	}
	dir := filepath.Join(source, p.dir)
	files := []string{"go.mod", "go.sum"}
	for _, d := range p.sources {
		names, err := filepath.Glob(filepath.Join(dir, d, "*.go"))
		if err != nil {
			return "", fmt.Errorf("parts: %w", err)
		}
		for _, n := range names {
			rel, err := filepath.Rel(dir, n)
			if err != nil {
				return "", fmt.Errorf("parts: %w", err)
			}
			if !strings.HasSuffix(rel, "_test.go") {
				files = append(files, rel)
			}
		}
	}
	slices.Sort(files)
	for _, f := range files {
		data, err := os.ReadFile(filepath.Join(dir, f))
		if errors.Is(err, fs.ErrNotExist) {
			continue // a module without requirements has no go.sum
		}
		if err != nil {
			return "", fmt.Errorf("parts: %w", err)
		}
		fmt.Fprintf(sum, "%q %d\n", f, len(data))
		sum.Write(data)
	}
	return hex.EncodeToString(sum.Sum(nil))[:16], nil
}
