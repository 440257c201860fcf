package release

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/lintel-lb/lintel/lab/image"
)

// mediaTypeSBOM is that of a bill of materials, as its referrer in a registry has it.
const mediaTypeSBOM = "application/vnd.cyclonedx+json"

// Options say what to build.
type Options struct {
	// Source is the directory of the product's module.
	Source string
	// Package is the program; default "./cmd/lintel". The binary is called as its directory.
	Package string
	// Ref names the image, such as "lintel:dev".
	Ref string
	// Version is told by the program and the annotations; default "dev".
	Version string
	// Revision is the commit of the source; empty if there is none.
	Revision string
	// Created dates the image. Zero means the Unix epoch.
	Created time.Time
	// Architectures are GOARCH values.
	Architectures []string
	// Progress is told what is being done; default nobody.
	Progress io.Writer
}

// Image is an image that was built.
type Image struct {
	*image.Layout
	// SBOMs are the bills of materials by architecture.
	SBOMs map[string][]byte
}

// Build compiles the program and makes its image.
func Build(ctx context.Context, o Options) (Image, error) {
	o.Package = cmp.Or(o.Package, "./cmd/lintel")
	o.Version = cmp.Or(o.Version, "dev")
	if o.Created.IsZero() {
		o.Created = time.Unix(0, 0)
	}
	if o.Progress == nil {
		o.Progress = io.Discard
	}
	dir, err := os.MkdirTemp("", "lintel-release-")
	if err != nil {
		return Image{}, fmt.Errorf("release: %w", err)
	}
	defer os.RemoveAll(dir)
	out := Image{SBOMs: map[string][]byte{}}
	r := image.Release{Ref: o.Ref, Annotations: o.annotations()}
	for _, arch := range o.Architectures {
		fmt.Fprintf(o.Progress, "building %s for linux/%s\n", filepath.Base(o.Package), arch)
		binary := filepath.Join(dir, arch)
		if err := (image.Build{Dir: o.Source, Package: o.Package, Architecture: arch, Version: o.Version}).Program(ctx, binary); err != nil {
			return Image{}, fmt.Errorf("release: %w", err)
		}
		if out.SBOMs[arch], err = sbom(binary, o); err != nil {
			return Image{}, fmt.Errorf("release: bill of materials of %s for %s: %w", o.Package, arch, err)
		}
		r.Platforms = append(r.Platforms, o.platform(arch, binary, out.SBOMs[arch]))
	}
	if out.Layout, err = image.NewLayout(r); err != nil {
		return Image{}, fmt.Errorf("release: %w", err)
	}
	return out, nil
}

func (o Options) platform(arch, binary string, sbom []byte) image.Platform {
	path := "/" + filepath.Base(o.Package)
	return image.Platform{
		Spec: image.Spec{
			Files:        []image.File{{Path: path, Source: binary, Mode: 0o755}},
			Entrypoint:   []string{path},
			Labels:       o.annotations(),
			Architecture: arch,
			Created:      o.Created,
		},
		Referrers: []image.Referrer{{MediaType: mediaTypeSBOM, Name: SBOMName(o.Package, arch), Data: sbom}},
	}
}

// SBOMName is the name of the file with the bill of materials.
func SBOMName(pkg, arch string) string { return filepath.Base(pkg) + "-linux-" + arch + ".cdx.json" }

// annotations are labels and annotations alike (image-spec, annotations.md).
func (o Options) annotations() map[string]string {
	a := map[string]string{
		ocispec.AnnotationTitle:         "Lintel",
		ocispec.AnnotationDescription:   "Addresses for Services of type LoadBalancer on bare metal, by ARP, NDP and BGP",
		ocispec.AnnotationSource:        "https://github.com/lintel-lb/lintel",
		ocispec.AnnotationDocumentation: "https://github.com/lintel-lb/lintel/tree/main/docs",
		ocispec.AnnotationLicenses:      "Apache-2.0",
		ocispec.AnnotationVersion:       o.Version,
		ocispec.AnnotationCreated:       o.Created.UTC().Format(time.RFC3339),
	}
	if o.Revision != "" {
		a[ocispec.AnnotationRevision] = o.Revision
	}
	return a
}
