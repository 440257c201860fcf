package image

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// Release says what an image for several architectures holds.
type Release struct {
	// Ref names the image; see Spec.
	Ref string
	// Platforms are its images, one for each architecture. Their Ref is not used.
	Platforms []Platform
	// Annotations are those of the index and of every image in it.
	Annotations map[string]string
}

// Platform is the image of one architecture.
type Platform struct {
	Spec
	// Referrers are files about the image, which name it as their subject (distribution-spec
	// v1.1, "listing referrers").
	Referrers []Referrer
}

// Referrer is a file about an image, such as a bill of materials.
type Referrer struct {
	MediaType string
	Name      string
	Data      []byte
}

// Layout is an OCI image layout.
type Layout struct {
	// Digest is that of the index of all platforms, by which the image is pulled.
	Digest digest.Digest
	// Sizes tells of each platform, in the order of the release.
	Sizes []Size

	files map[string][]byte // by path in the layout
}

// Size is how large the image of one architecture is.
type Size struct {
	Architecture string
	Digest       digest.Digest // of its manifest
	Compressed   int64         // what is pulled: manifest, configuration and layer
	Uncompressed int64         // what is unpacked on a node
}

// NewLayout makes the layout of a release.
func NewLayout(r Release) (*Layout, error) {
	l := &Layout{files: map[string][]byte{}}
	ref, err := Spec{Ref: r.Ref}.normalize()
	if err != nil {
		return nil, err
	}
	index := ocispec.Index{
		Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageIndex, Annotations: r.Annotations,
	}
	top := ocispec.Index{Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageIndex}
	var docker []dockerManifest
	for _, p := range r.Platforms {
		p.Ref = ref.Ref
		image, err := l.addImage(p, r.Annotations)
		if err != nil {
			return nil, fmt.Errorf("image: %s for %s: %w", ref.Ref, p.Architecture, err)
		}
		index.Manifests = append(index.Manifests, image.manifest)
		top.Manifests = append(top.Manifests, image.referrers...)
		// An archive of `docker save` has no place for architectures: it gets one that runs here.
		if a := image.manifest.Platform.Architecture; docker == nil || a == runtime.GOARCH {
			docker = []dockerManifest{{Config: blobPath(image.config), RepoTags: []string{ref.Ref}, Layers: []string{blobPath(image.layer)}}}
		}
	}
	all, err := l.addJSON(ocispec.MediaTypeImageIndex, index)
	if err != nil {
		return nil, err
	}
	l.Digest = all.Digest
	all.Annotations = map[string]string{annotationImageName: ref.Ref, ocispec.AnnotationRefName: tagOf(ref.Ref)}
	top.Manifests = append([]ocispec.Descriptor{all}, top.Manifests...)
	for name, value := range map[string]any{
		ocispec.ImageIndexFile: top, ocispec.ImageLayoutFile: ocispec.ImageLayout{Version: ocispec.ImageLayoutVersion}, "manifest.json": docker,
	} {
		if l.files[name], err = json.Marshal(value); err != nil {
			return nil, fmt.Errorf("image: %w", err)
		}
	}
	return l, nil
}

// tagOf returns the tag of a completed reference.
func tagOf(ref string) string { return ref[strings.LastIndexByte(ref, ':')+1:] }

// added is what addImage has put into a layout.
type added struct {
	manifest      ocispec.Descriptor
	config, layer digest.Digest
	referrers     []ocispec.Descriptor
}

func (l *Layout) addImage(p Platform, annotations map[string]string) (added, error) {
	spec, err := p.normalize()
	if err != nil {
		return added{}, err
	}
	var plain, packed bytes.Buffer
	if err := writeLayer(&plain, spec.Files); err != nil {
		return added{}, err
	}
	if err := pack(&packed, plain.Bytes()); err != nil {
		return added{}, err
	}
	layer := l.add(ocispec.MediaTypeImageLayerGzip, packed.Bytes())
	config, err := l.addJSON(ocispec.MediaTypeImageConfig, ociConfig(spec, digest.FromBytes(plain.Bytes())))
	if err != nil {
		return added{}, err
	}
	manifest, err := l.addJSON(ocispec.MediaTypeImageManifest, ocispec.Manifest{
		Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageManifest,
		Config: config, Layers: []ocispec.Descriptor{layer}, Annotations: annotations,
	})
	if err != nil {
		return added{}, err
	}
	out := added{manifest: manifest, config: config.Digest, layer: layer.Digest}
	for _, r := range p.Referrers {
		d, err := l.addReferrer(r, manifest)
		if err != nil {
			return added{}, err
		}
		out.referrers = append(out.referrers, d)
	}
	out.manifest.Platform = &ocispec.Platform{Architecture: spec.Architecture, OS: "linux"}
	l.Sizes = append(l.Sizes, Size{
		Architecture: spec.Architecture, Digest: manifest.Digest,
		Compressed: manifest.Size + config.Size + layer.Size, Uncompressed: int64(plain.Len()),
	})
	return out, nil
}

// addReferrer adds a file as image-spec v1.1 says in "guidelines for artifact usage".
func (l *Layout) addReferrer(r Referrer, subject ocispec.Descriptor) (ocispec.Descriptor, error) {
	content := l.add(r.MediaType, r.Data)
	content.Annotations = map[string]string{ocispec.AnnotationTitle: r.Name}
	empty := ocispec.DescriptorEmptyJSON
	l.add(empty.MediaType, empty.Data)
	d, err := l.addJSON(ocispec.MediaTypeImageManifest, ocispec.Manifest{
		Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageManifest, ArtifactType: r.MediaType,
		Config: empty, Layers: []ocispec.Descriptor{content}, Subject: &subject,
	})
	d.ArtifactType = r.MediaType
	return d, err
}

// pack compresses without a date or a name, so that the same content gives the same bytes.
func pack(w io.Writer, content []byte) error {
	z, err := gzip.NewWriterLevel(w, gzip.BestCompression)
	if err != nil {
		return err
	}
	_, err = z.Write(content)
	return errors.Join(err, z.Close())
}

func (l *Layout) add(mediaType string, content []byte) ocispec.Descriptor {
	d := descriptor(mediaType, content)
	l.files[blobPath(d.Digest)] = content
	return d
}

func (l *Layout) addJSON(mediaType string, value any) (ocispec.Descriptor, error) {
	content, err := json.Marshal(value)
	if err != nil {
		return ocispec.Descriptor{}, fmt.Errorf("image: %w", err)
	}
	return l.add(mediaType, content), nil
}

// WriteArchive writes the layout as a tar archive, which appears only when it is complete.
func (l *Layout) WriteArchive(name string) error {
	return whole(name, func(w io.Writer) error {
		a := archive{tw: tar.NewWriter(w)}
		a.dir("blobs")
		a.dir("blobs/sha256")
		for _, path := range slices.Sorted(maps.Keys(l.files)) {
			a.add(path, l.files[path])
		}
		if err := a.close(); err != nil {
			return fmt.Errorf("image: %s: %w", name, err)
		}
		return nil
	})
}

// WriteDir writes the layout as a directory, which must be empty or not there.
func (l *Layout) WriteDir(dir string) error {
	if entries, err := os.ReadDir(dir); err == nil && len(entries) > 0 {
		return fmt.Errorf("image: directory %s is not empty", dir)
	}
	for path, content := range l.files {
		name := filepath.Join(dir, path)
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			return fmt.Errorf("image: %w", err)
		}
		if err := os.WriteFile(name, content, 0o644); err != nil {
			return fmt.Errorf("image: %w", err)
		}
	}
	return nil
}
