package image

import (
	"archive/tar"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"

	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// annotationImageName carries the full reference for containerd's importer;
// the image-spec's own annotation carries a tag only.
const annotationImageName = "io.containerd.image.name"

// dockerManifest is an element of the manifest.json of `docker save`.
type dockerManifest struct {
	Config   string
	RepoTags []string
	Layers   []string
}

// Write writes the archive of spec to w. It reads every File.Source twice and
// fails if one changes in between.
func Write(w io.Writer, spec Spec) error {
	spec, err := spec.normalize()
	if err != nil {
		return err
	}
	if err := write(w, spec); err != nil {
		return fmt.Errorf("image: %s: %w", spec.Ref, err)
	}
	return nil
}

// WriteFile writes the archive of spec to the file name, which appears only
// when it is complete.
func WriteFile(name string, spec Spec) error {
	return whole(name, func(w io.Writer) error { return Write(w, spec) })
}

// whole writes a file that appears only when it is complete.
func whole(name string, write func(io.Writer) error) (err error) {
	f, err := os.CreateTemp(filepath.Dir(name), filepath.Base(name)+".*")
	if err != nil {
		return fmt.Errorf("image: %w", err)
	}
	defer func() {
		if err != nil {
			f.Close()
			os.Remove(f.Name())
		}
	}()
	if err := write(f); err != nil {
		return err
	}
	if err := f.Chmod(0o644); err != nil {
		return fmt.Errorf("image: %w", err)
	}
	if err := f.Close(); err != nil {
		return fmt.Errorf("image: %w", err)
	}
	if err := os.Rename(f.Name(), name); err != nil {
		return fmt.Errorf("image: %w", err)
	}
	return nil
}

func write(w io.Writer, spec Spec) error {
	layerDigest, layerSize, err := measureLayer(spec.Files)
	if err != nil {
		return err
	}
	config, err := json.Marshal(ociConfig(spec, layerDigest))
	if err != nil {
		return err
	}
	manifest, err := json.Marshal(ocispec.Manifest{
		Versioned: specs.Versioned{SchemaVersion: 2},
		MediaType: ocispec.MediaTypeImageManifest,
		Config:    descriptor(ocispec.MediaTypeImageConfig, config),
		Layers:    []ocispec.Descriptor{{MediaType: ocispec.MediaTypeImageLayer, Digest: layerDigest, Size: layerSize}},
	})
	if err != nil {
		return err
	}
	index, err := json.Marshal(ociIndex(spec, manifest))
	if err != nil {
		return err
	}
	layout, err := json.Marshal(ocispec.ImageLayout{Version: ocispec.ImageLayoutVersion})
	if err != nil {
		return err
	}
	docker, err := json.Marshal([]dockerManifest{{
		Config:   blobPath(digest.FromBytes(config)),
		RepoTags: []string{spec.Ref},
		Layers:   []string{blobPath(layerDigest)},
	}})
	if err != nil {
		return err
	}

	a := archive{tw: tar.NewWriter(w)}
	a.add(ocispec.ImageLayoutFile, layout)
	a.add(ocispec.ImageIndexFile, index)
	a.add("manifest.json", docker)
	a.dir("blobs")
	a.dir("blobs/sha256")
	a.add(blobPath(digest.FromBytes(manifest)), manifest)
	a.add(blobPath(digest.FromBytes(config)), config)
	a.layer(layerDigest, layerSize, spec.Files)
	return a.close()
}

func ociConfig(spec Spec, layer digest.Digest) ocispec.Image {
	created := spec.Created.UTC()
	return ocispec.Image{
		Created:  &created,
		Platform: ocispec.Platform{Architecture: spec.Architecture, OS: "linux"},
		Config: ocispec.ImageConfig{
			User:       spec.User,
			Env:        spec.Env,
			Entrypoint: spec.Entrypoint,
			WorkingDir: spec.WorkingDir,
			Labels:     spec.Labels,
		},
		RootFS: ocispec.RootFS{Type: "layers", DiffIDs: []digest.Digest{layer}},
	}
}

func ociIndex(spec Spec, manifest []byte) ocispec.Index {
	d := descriptor(ocispec.MediaTypeImageManifest, manifest)
	d.Platform = &ocispec.Platform{Architecture: spec.Architecture, OS: "linux"}
	d.Annotations = map[string]string{annotationImageName: spec.Ref}
	return ocispec.Index{
		Versioned: specs.Versioned{SchemaVersion: 2},
		MediaType: ocispec.MediaTypeImageIndex,
		Manifests: []ocispec.Descriptor{d},
	}
}

func descriptor(mediaType string, content []byte) ocispec.Descriptor {
	return ocispec.Descriptor{MediaType: mediaType, Digest: digest.FromBytes(content), Size: int64(len(content))}
}

func blobPath(d digest.Digest) string {
	return path.Join(ocispec.ImageBlobsDir, d.Algorithm().String(), d.Encoded())
}

// archive writes the outer tar; after the first error it does nothing more.
type archive struct {
	tw  *tar.Writer
	err error
}

func (a *archive) dir(name string) {
	if a.err == nil {
		a.err = a.tw.WriteHeader(header(name+"/", tar.TypeDir, 0, 0o755))
	}
}

func (a *archive) add(name string, content []byte) {
	if a.err == nil {
		a.err = addFile(a.tw, File{Path: name, Data: content})
	}
}

func (a *archive) layer(want digest.Digest, size int64, files []File) {
	if a.err != nil {
		return
	}
	h := header(blobPath(want), tar.TypeReg, 0, 0o644)
	h.Size = size
	if a.err = a.tw.WriteHeader(h); a.err != nil {
		return
	}
	sum := sha256.New()
	if a.err = writeLayer(io.MultiWriter(a.tw, sum), files); a.err != nil {
		return
	}
	if got := digest.NewDigest(digest.SHA256, sum); got != want {
		a.err = fmt.Errorf("a source file changed while it was read: layer %s became %s", want, got)
	}
}

func (a *archive) close() error {
	if a.err != nil {
		return a.err
	}
	return a.tw.Close()
}
