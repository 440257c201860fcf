package image

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

func sample(t *testing.T) Spec {
	t.Helper()
	binary := filepath.Join(t.TempDir(), "binary")
	if err := os.WriteFile(binary, bytes.Repeat([]byte("x"), 70_000), 0o700); err != nil {
		t.Fatal(err)
	}
	return Spec{
		Ref: "lab.local/sample:1",
		Files: []File{
			{Path: "/usr/bin/sample", Source: binary, Mode: 0o755},
			{Path: "etc/motd", Data: []byte("hello\n")},
			{Path: "/tmp", Mode: fs.ModeDir | fs.ModeSticky | 0o777},
		},
		Entrypoint:   []string{"/usr/bin/sample", "--flag"},
		Env:          []string{"A=b"},
		Labels:       map[string]string{"z": "1", "a": "2"},
		User:         "65532:65532",
		WorkingDir:   "/tmp",
		Architecture: "arm64",
	}
}

func archiveOf(t *testing.T, s Spec) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := Write(&b, s); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// untar returns the files of an archive by name and its entries in order.
func untar(t *testing.T, archive []byte) (map[string][]byte, []*tar.Header) {
	t.Helper()
	files := make(map[string][]byte)
	var headers []*tar.Header
	for tr := tar.NewReader(bytes.NewReader(archive)); ; {
		h, err := tr.Next()
		if errors.Is(err, io.EOF) {
			return files, headers
		}
		if err != nil {
			t.Fatal(err)
		}
		headers = append(headers, h)
		if files[h.Name], err = io.ReadAll(tr); err != nil {
			t.Fatal(err)
		}
	}
}

// decodeBlob returns the content of d out of files after checking its digest.
func decodeBlob(t *testing.T, files map[string][]byte, d ocispec.Descriptor, into any) []byte {
	t.Helper()
	content, ok := files["blobs/sha256/"+d.Digest.Encoded()]
	if !ok {
		t.Fatalf("no blob for %s", d.Digest)
	}
	if got := digest.FromBytes(content); got != d.Digest || int64(len(content)) != d.Size {
		t.Fatalf("blob %s of %d bytes has digest %s and %d bytes", d.Digest, d.Size, got, len(content))
	}
	if into != nil {
		decode(t, content, into)
	}
	return content
}

func decode(t *testing.T, content []byte, into any) {
	t.Helper()
	if err := json.Unmarshal(content, into); err != nil {
		t.Fatalf("%v in %s", err, content)
	}
}

func TestWriteIsAnOCILayout(t *testing.T) {
	files, _ := untar(t, archiveOf(t, sample(t)))
	var layout ocispec.ImageLayout
	decode(t, files["oci-layout"], &layout)
	if layout.Version != "1.0.0" {
		t.Errorf("layout version %q", layout.Version)
	}
	var index ocispec.Index
	decode(t, files["index.json"], &index)
	if len(index.Manifests) != 1 {
		t.Fatalf("%d manifests, want 1", len(index.Manifests))
	}
	if got := index.Manifests[0].Annotations["io.containerd.image.name"]; got != "lab.local/sample:1" {
		t.Errorf("name in the index is %q", got)
	}
	var manifest ocispec.Manifest
	decodeBlob(t, files, index.Manifests[0], &manifest)
	var config ocispec.Image
	decodeBlob(t, files, manifest.Config, &config)
	layer := decodeBlob(t, files, manifest.Layers[0], nil)

	created := time.Unix(0, 0).UTC()
	want := ocispec.Image{
		Created:  &created,
		Platform: ocispec.Platform{Architecture: "arm64", OS: "linux"},
		Config: ocispec.ImageConfig{
			User:       "65532:65532",
			Env:        []string{"A=b"},
			Entrypoint: []string{"/usr/bin/sample", "--flag"},
			WorkingDir: "/tmp",
			Labels:     map[string]string{"z": "1", "a": "2"},
		},
		RootFS: ocispec.RootFS{Type: "layers", DiffIDs: []digest.Digest{digest.FromBytes(layer)}},
	}
	if diff := cmp.Diff(want, config); diff != "" {
		t.Errorf("config (-want +got):\n%s", diff)
	}
}

func TestWriteIsADockerArchive(t *testing.T) {
	files, _ := untar(t, archiveOf(t, sample(t)))
	var manifests []dockerManifest
	decode(t, files["manifest.json"], &manifests)
	if len(manifests) != 1 {
		t.Fatalf("%d manifests, want 1", len(manifests))
	}
	if diff := cmp.Diff([]string{"lab.local/sample:1"}, manifests[0].RepoTags); diff != "" {
		t.Errorf("tags (-want +got):\n%s", diff)
	}
	var config ocispec.Image
	decode(t, files[manifests[0].Config], &config)
	layer, headers := untar(t, files[manifests[0].Layers[0]])
	if got, want := string(layer["etc/motd"]), "hello\n"; got != want {
		t.Errorf("etc/motd is %q, want %q", got, want)
	}
	if got := len(layer["usr/bin/sample"]); got != 70_000 {
		t.Errorf("usr/bin/sample has %d bytes", got)
	}

	type entry struct {
		Name string
		Mode int64
	}
	var got []entry
	for _, h := range headers {
		got = append(got, entry{h.Name, h.Mode})
		if !h.ModTime.Equal(time.Unix(0, 0)) || h.Uid != 0 || h.Gid != 0 || h.Uname != "" {
			t.Errorf("%s is dated %v and owned by %d:%d %q", h.Name, h.ModTime, h.Uid, h.Gid, h.Uname)
		}
	}
	want := []entry{
		{"etc/", 0o755}, {"etc/motd", 0o644}, {"tmp/", 0o1777},
		{"usr/", 0o755}, {"usr/bin/", 0o755}, {"usr/bin/sample", 0o755},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("layer (-want +got):\n%s", diff)
	}
}

func TestWriteIsReproducible(t *testing.T) {
	spec := sample(t)
	first := archiveOf(t, spec)

	// Neither the order of the files nor the dates of the sources matter.
	slices.Reverse(spec.Files)
	for _, f := range spec.Files {
		if f.Source != "" {
			if err := os.Chtimes(f.Source, time.Unix(1, 0), time.Unix(1, 0)); err != nil {
				t.Fatal(err)
			}
		}
	}
	if !bytes.Equal(first, archiveOf(t, spec)) {
		t.Error("the same spec gave two different archives")
	}
	spec.Files[0].Mode ^= 0o001
	if bytes.Equal(first, archiveOf(t, spec)) {
		t.Error("different specs gave the same archive")
	}
}

func TestWriteCompletesTheRef(t *testing.T) {
	for ref, want := range map[string]string{
		"page":                 "docker.io/library/page:latest",
		"someone/page:2":       "docker.io/someone/page:2",
		"lab.local/page:1":     "lab.local/page:1",
		"lab.local:5000/a/b:c": "lab.local:5000/a/b:c",
	} {
		files, _ := untar(t, archiveOf(t, Spec{Ref: ref}))
		var manifests []dockerManifest
		decode(t, files["manifest.json"], &manifests)
		if got := manifests[0].RepoTags[0]; got != want {
			t.Errorf("%s became %s, want %s", ref, got, want)
		}
	}
}

func TestWriteRefuses(t *testing.T) {
	for name, tc := range map[string]struct {
		spec Spec
		want string
	}{
		"no ref":          {Spec{}, `ref ""`},
		"upper case":      {Spec{Ref: "a/B"}, "must be lowercase"},
		"a digest":        {Spec{Ref: "a@sha256:" + strings.Repeat("0", 64)}, "names a digest"},
		"relative dir":    {Spec{Ref: "a", WorkingDir: "tmp"}, "not absolute"},
		"root as file":    {Spec{Ref: "a", Files: []File{{Path: "/"}}}, "names no file"},
		"twice":           {Spec{Ref: "a", Files: []File{{Path: "x"}, {Path: "/y/../x"}}}, `"x" is given twice`},
		"file as parent":  {Spec{Ref: "a", Files: []File{{Path: "x"}, {Path: "x/y"}}}, `"x" is the parent of "x/y"`},
		"two contents":    {Spec{Ref: "a", Files: []File{{Path: "x", Data: []byte("1"), Source: "/y"}}}, "both data and a source"},
		"filled dir":      {Spec{Ref: "a", Files: []File{{Path: "x", Data: []byte("1"), Mode: fs.ModeDir}}}, "has content"},
		"device":          {Spec{Ref: "a", Files: []File{{Path: "x", Mode: fs.ModeDevice}}}, "not supported"},
		"no source":       {Spec{Ref: "a", Files: []File{{Path: "x", Source: "/no/such/file"}}}, "no such file"},
		"directory given": {Spec{Ref: "a", Files: []File{{Path: "x", Source: os.TempDir()}}}, "not a regular file"},
	} {
		t.Run(name, func(t *testing.T) {
			err := Write(io.Discard, tc.spec)
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("error %v, want one with %q", err, tc.want)
			}
		})
	}
}

// changingWriter rewrites a source once the archive has begun, which is after
// its layer was measured.
type changingWriter struct {
	source string
	done   bool
}

func (w *changingWriter) Write(p []byte) (int, error) {
	if !w.done {
		w.done = true
		if err := os.WriteFile(w.source, bytes.Repeat([]byte("y"), 70_000), 0o600); err != nil {
			return 0, err
		}
	}
	return len(p), nil
}

func TestWriteSeesAChangedSource(t *testing.T) {
	spec := sample(t)
	err := Write(&changingWriter{source: spec.Files[0].Source}, spec)
	if err == nil || !strings.Contains(err.Error(), "changed while it was read") {
		t.Errorf("error %v", err)
	}
}

func TestWriteFileIsAllOrNothing(t *testing.T) {
	dir := t.TempDir()
	name := filepath.Join(dir, "a.tar")
	if err := WriteFile(name, Spec{Ref: "a", Files: []File{{Path: "x", Source: "/no/such/file"}}}); err == nil {
		t.Fatal("no error")
	}
	left, err := os.ReadDir(dir)
	if err != nil || len(left) != 0 {
		t.Errorf("left behind %v, %v", left, err)
	}
	spec := sample(t)
	if err := WriteFile(name, spec); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(name)
	if err != nil || !bytes.Equal(got, archiveOf(t, spec)) {
		t.Errorf("the file differs from the archive (%v)", err)
	}
}
