package release

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
	"time"

	cdx "github.com/CycloneDX/cyclonedx-go"
	"github.com/google/go-cmp/cmp"
)

// product is the product's module, and sources are what it is built from.
const product = "../.."

var sources = []string{"go.mod", "go.sum", "api", "cmd", "internal"}

// copyOf copies the product's source into a new directory.
func copyOf(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for _, s := range sources {
		from, to := filepath.Join(product, s), filepath.Join(dir, s)
		info, err := os.Stat(from)
		if err != nil {
			t.Fatal(err)
		}
		if info.IsDir() {
			if err := os.CopyFS(to, os.DirFS(from)); err != nil {
				t.Fatal(err)
			}
			continue
		}
		content, err := os.ReadFile(from)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(to, content, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// Two builds out of two directories are one image, for each architecture.
func TestTwoBuildsHaveOneDigest(t *testing.T) {
	build := func() Image {
		t.Helper()
		i, err := Build(t.Context(), Options{
			Source: copyOf(t), Ref: "lintel:test", Version: "v1.2.3", Revision: "abc", Created: time.Unix(1_700_000_000, 0),
			Architectures: []string{"amd64", "arm64"}, Progress: t.Output(),
		})
		if err != nil {
			t.Fatal(err)
		}
		return i
	}
	first, second := build(), build()
	if first.Digest != second.Digest {
		t.Errorf("two builds gave %s and %s: %+v, %+v", first.Digest, second.Digest, first.Sizes, second.Sizes)
	}
	for arch, content := range first.SBOMs {
		if !bytes.Equal(content, second.SBOMs[arch]) {
			t.Errorf("two builds for %s gave different bills of materials", arch)
		}
	}
	t.Logf("%s", first.Digest)
	for _, s := range first.Sizes {
		t.Logf("linux/%s: %d bytes compressed, %d uncompressed", s.Architecture, s.Compressed, s.Uncompressed)
	}
	checkSBOM(t, first.SBOMs["arm64"])
}

// checkSBOM looks for the program, the toolchain and two modules that it cannot be without.
func checkSBOM(t *testing.T, content []byte) {
	t.Helper()
	var bom cdx.BOM
	if err := cdx.NewBOMDecoder(bytes.NewReader(content), cdx.BOMFileFormatJSON).Decode(&bom); err != nil {
		t.Fatal(err)
	}
	if got, want := bom.Metadata.Component.PackageURL, "pkg:golang/github.com/lintel-lb/lintel@v1.2.3"; got != want {
		t.Errorf("it is about %s, want %s", got, want)
	}
	hashed := map[string]bool{}
	for _, c := range *bom.Components {
		hashed[c.Name] = c.Hashes != nil && c.Version != ""
	}
	got := map[string]bool{}
	for _, name := range []string{"stdlib", "k8s.io/client-go", "github.com/hashicorp/memberlist"} {
		if h, ok := hashed[name]; ok {
			got[name] = h
		}
	}
	want := map[string]bool{"stdlib": false, "k8s.io/client-go": true, "github.com/hashicorp/memberlist": true}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("components, and whether they have a checksum (-want +got):\n%s", diff)
	}
}
