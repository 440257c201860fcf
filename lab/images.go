package lab

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"golang.org/x/sync/errgroup"

	"github.com/lintel-lb/lintel/lab/image"
	"github.com/lintel-lb/lintel/lab/internal/render"
)

// Load gives image archives, as `docker save` writes them, to containerd of
// every node. The Pods' imagePullPolicy must be Never or IfNotPresent: there is
// no registry.
func (l *Lab) Load(ctx context.Context, archives ...string) error {
	group, ctx := errgroup.WithContext(ctx)
	for _, h := range l.plan.With(RoleNode) {
		group.Go(func() error {
			for _, archive := range archives {
				if err := l.loadOn(ctx, h, archive); err != nil {
					return err
				}
			}
			return nil
		})
	}
	return group.Wait()
}

func (l *Lab) loadOn(ctx context.Context, h Host, archive string) error {
	// By standard input, since nodes do not see all of the machine's files.
	file, err := os.Open(archive)
	if err != nil {
		return fmt.Errorf("lab: image: %w", err)
	}
	defer file.Close()
	if _, err := l.run(ctx, h.Name, file, "ctr", "--namespace", "k8s.io", "images", "import", "-"); err != nil {
		return fmt.Errorf("lab: load %s: %w", archive, err)
	}
	return nil
}

// images returns the archives that every node starts with, the sandbox's first.
func (l *Lab) images(wanted []string) ([]string, error) {
	path := filepath.Join(l.dir, "pause.tar")
	file, err := os.Create(path)
	if err != nil {
		return nil, fmt.Errorf("lab: %w", err)
	}
	err = image.Write(file, image.Spec{
		Ref:        render.Sandbox,
		Files:      []image.File{{Path: "/pause", Source: filepath.Join(l.bin(), "pause"), Mode: 0o755}},
		Entrypoint: []string{"/pause"},
	})
	if err := errors.Join(err, file.Close()); err != nil {
		return nil, fmt.Errorf("lab: image of pause: %w", err)
	}
	return slices.Concat([]string{path}, wanted), nil
}
