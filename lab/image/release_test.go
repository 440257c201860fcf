package image

import (
	"bytes"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/partial"
	"github.com/google/go-containerregistry/pkg/v1/validate"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

func sampleRelease(t *testing.T) Release {
	t.Helper()
	r := Release{Ref: "lab.local/sample:2", Annotations: map[string]string{ocispec.AnnotationVersion: "2"}}
	for _, arch := range []string{"amd64", "arm64"} {
		spec := sample(t)
		spec.Ref, spec.Architecture, spec.Created = "", arch, time.Unix(1_700_000_000, 0)
		r.Platforms = append(r.Platforms, Platform{Spec: spec, Referrers: []Referrer{{MediaType: "application/x", Name: arch + ".txt", Data: []byte(arch)}}})
	}
	return r
}

func newLayout(t *testing.T, r Release) *Layout {
	t.Helper()
	l, err := NewLayout(r)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// Another implementation checks every digest, size and difference id, and reads the image.
func TestLayoutIsValid(t *testing.T) {
	l := newLayout(t, sampleRelease(t))
	dir := filepath.Join(t.TempDir(), "layout")
	if err := l.WriteDir(dir); err != nil {
		t.Fatal(err)
	}
	top, err := layout.ImageIndexFromPath(dir)
	if err != nil {
		t.Fatal(err)
	}
	hash, err := v1.NewHash(l.Digest.String())
	if err != nil {
		t.Fatal(err)
	}
	index, err := top.ImageIndex(hash)
	if err != nil {
		t.Fatal(err)
	}
	if err := validate.Index(index); err != nil {
		t.Error(err)
	}
	manifest, err := index.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	var platforms []string
	for i, d := range manifest.Manifests {
		platforms = append(platforms, d.Platform.String())
		if d.Digest.String() != l.Sizes[i].Digest.String() || l.Sizes[i].Compressed >= l.Sizes[i].Uncompressed {
			t.Errorf("size %+v of manifest %s", l.Sizes[i], d.Digest)
		}
	}
	if diff := cmp.Diff([]string{"linux/amd64", "linux/arm64"}, platforms); diff != "" {
		t.Errorf("platforms (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(map[string]string{ocispec.AnnotationVersion: "2"}, manifest.Annotations); diff != "" {
		t.Errorf("annotations (-want +got):\n%s", diff)
	}
}

// A registry finds what refers to an image by its subject, and so does a reader of the layout.
func TestLayoutHasReferrers(t *testing.T) {
	l := newLayout(t, sampleRelease(t))
	dir := filepath.Join(t.TempDir(), "layout")
	if err := l.WriteDir(dir); err != nil {
		t.Fatal(err)
	}
	top, err := layout.ImageIndexFromPath(dir)
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{}
	for _, size := range l.Sizes {
		about, err := partial.FindManifests(top, func(d v1.Descriptor) bool { return d.ArtifactType == "application/x" })
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range about {
			artifact, err := top.Image(d.Digest)
			if err != nil {
				t.Fatal(err)
			}
			m, err := artifact.Manifest()
			if err != nil {
				t.Fatal(err)
			}
			if m.Subject == nil || m.Subject.Digest.String() != size.Digest.String() {
				continue
			}
			files[size.Architecture] = string(l.files["blobs/sha256/"+m.Layers[0].Digest.Hex])
		}
	}
	if diff := cmp.Diff(map[string]string{"amd64": "amd64", "arm64": "arm64"}, files); diff != "" {
		t.Errorf("referrers by architecture (-want +got):\n%s", diff)
	}
}

func TestLayoutIsReproducible(t *testing.T) {
	dir := t.TempDir()
	var archives [][]byte
	for _, name := range []string{"a.tar", "b.tar"} {
		if err := newLayout(t, sampleRelease(t)).WriteArchive(filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
		b, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		archives = append(archives, b)
	}
	if !bytes.Equal(archives[0], archives[1]) {
		t.Error("the same release gave two different archives")
	}
	changed := sampleRelease(t)
	changed.Platforms[1].Created = time.Unix(1, 0)
	if newLayout(t, changed).Digest == newLayout(t, sampleRelease(t)).Digest {
		t.Error("different releases have one digest")
	}
}

func TestLayoutArchiveAndDirectoryAreAlike(t *testing.T) {
	l := newLayout(t, sampleRelease(t))
	dir := t.TempDir()
	if err := l.WriteArchive(filepath.Join(dir, "a.tar")); err != nil {
		t.Fatal(err)
	}
	archive, err := os.ReadFile(filepath.Join(dir, "a.tar"))
	if err != nil {
		t.Fatal(err)
	}
	files, _ := untar(t, archive)
	maps.DeleteFunc(files, func(name string, _ []byte) bool { return name[len(name)-1] == '/' })
	if diff := cmp.Diff(slices.Sorted(maps.Keys(l.files)), slices.Sorted(maps.Keys(files))); diff != "" {
		t.Errorf("the archive (-want +got):\n%s", diff)
	}
	if err := l.WriteDir(dir); err == nil {
		t.Error("a directory that is not empty was taken")
	}
}

func TestLayerHasExtendedAttributes(t *testing.T) {
	var b bytes.Buffer
	if err := writeLayer(&b, []File{{Path: "x", Data: []byte("1"), XAttrs: map[string]string{"security.capability": "\x01\x00\x00\x02"}}}); err != nil {
		t.Fatal(err)
	}
	_, headers := untar(t, b.Bytes())
	if got := headers[0].PAXRecords["SCHILY.xattr.security.capability"]; got != "\x01\x00\x00\x02" {
		t.Errorf("the attribute is %q", got)
	}
}
