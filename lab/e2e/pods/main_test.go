package pods

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/lintel-lb/lintel/lab"
	"github.com/lintel-lb/lintel/lab/e2e/install"
	"github.com/lintel-lb/lintel/lab/image"
	"github.com/lintel-lb/lintel/lab/labtest"
)

const (
	labName = "pods"
	// next is the image of another version, as a release has it: compressed, for two
	// architectures, with referrers.
	next = "lintel:next"
	// fileCaps is an image whose binary has file capabilities.
	fileCaps = "lintel:filecaps"
)

// lintelBinary is the product's binary for the verbs for people. The setup builds it, and tests
// have no other way to be told where.
var lintelBinary string

func TestMain(m *testing.M) {
	opts := install.Options(lab.Options{Name: labName, Nodes: 3, Clients: 2})
	opts.Setup = setup
	labtest.Main(m, opts)
}

// setup loads the other images and installs Lintel.
func setup(ctx context.Context, l *lab.Lab) error {
	dir := filepath.Join(l.Dir(), "lintel")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	lintelBinary = filepath.Join(dir, "lintel")
	if err := (image.Build{Dir: install.Root(), Package: "./cmd/lintel", Version: "next"}).Program(ctx, lintelBinary); err != nil {
		return err
	}
	for ref, write := range map[string]func(string) error{next: nextArchive, fileCaps: fileCapsArchive} {
		archive := filepath.Join(dir, filepath.Ext(filepath.Base(ref))+"image.tar")
		if err := write(archive); err != nil {
			return fmt.Errorf("%s: %w", ref, err)
		}
		if err := l.Load(ctx, archive); err != nil {
			return err
		}
		if err := os.Remove(archive); err != nil {
			return err
		}
	}
	return install.Apply(ctx, l)
}

func nextArchive(archive string) error {
	foreign := map[string]string{"amd64": "arm64", "arm64": "amd64"}[runtime.GOARCH]
	layout, err := image.NewLayout(image.Release{
		Ref: next,
		Platforms: []image.Platform{
			{Spec: image.Spec{
				Architecture: foreign, Entrypoint: []string{"/lintel"},
				Files: []image.File{{Path: "/lintel", Data: []byte("not for this machine"), Mode: 0o755}},
			}},
			{
				Spec: image.Spec{
					Architecture: runtime.GOARCH, Entrypoint: []string{"/lintel"},
					Files: []image.File{{Path: "/lintel", Source: lintelBinary, Mode: 0o755}},
				},
				Referrers: []image.Referrer{{MediaType: "application/vnd.cyclonedx+json", Name: "lintel.cdx.json", Data: []byte("{}")}},
			},
		},
		Annotations: map[string]string{"org.opencontainers.image.version": "next"},
	})
	if err != nil {
		return err
	}
	return layout.WriteArchive(archive)
}

func fileCapsArchive(archive string) error {
	spec := install.Image(lintelBinary)
	spec.Ref = fileCaps
	// vfs_cap_data of revision 2 (linux/capability.h), effective: NET_BIND_SERVICE, NET_RAW, SYS_NICE.
	permitted := uint32(1<<10 | 1<<13 | 1<<23)
	spec.Files[0].XAttrs = map[string]string{"security.capability": string([]byte{
		1, 0, 0, 2, byte(permitted), byte(permitted >> 8), byte(permitted >> 16), byte(permitted >> 24),
		0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
	})}
	return image.WriteFile(archive, spec)
}
