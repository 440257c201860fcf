// Package install puts Lintel into a lab as its users do: the image of the binary, and the
// plain manifests.
package install

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/lintel-lb/lintel/lab"
	"github.com/lintel-lb/lintel/lab/image"
	"github.com/lintel-lb/lintel/lab/labtest"
)

// Namespace is where Lintel runs.
const Namespace = "metallb-system"

// Ref is the image that the manifests name.
const Ref = "lintel:dev"

// Options are those of a test package against Lintel in a lab of its own.
func Options(o lab.Options) labtest.Options {
	return labtest.Options{
		Lab:              o,
		Programs:         []labtest.Program{{Dir: Root(), Package: "./cmd/lintel", Image: Image}},
		Setup:            Apply,
		SystemNamespaces: []string{Namespace},
	}
}

// Image is the image of Lintel, given the path of its static binary.
func Image(binary string) image.Spec {
	return image.Spec{
		Ref:        Ref,
		Files:      []image.File{{Path: "/lintel", Source: binary, Mode: 0o755}},
		Entrypoint: []string{"/lintel"},
	}
}

// Apply applies the manifests and waits until everything runs.
func Apply(ctx context.Context, l *lab.Lab) error {
	if out, err := l.Kubectl(ctx, nil, "apply", "-k", filepath.Join(Root(), "config")); err != nil {
		return fmt.Errorf("install: %w\n%s", err, out)
	}
	for _, what := range []string{"deployment/controller", "daemonset/speaker"} {
		if out, err := l.Kubectl(ctx, nil, "-n", Namespace, "rollout", "status", what, "--timeout=90s"); err != nil {
			return fmt.Errorf("install: %w\n%s", err, out)
		}
	}
	return nil
}

// Root is the product's module, found upwards from the working directory, which for tests is
// that of their package.
func Root() string {
	dir, err := filepath.Abs(".")
	for err == nil {
		if _, err := os.Stat(filepath.Join(dir, "cmd", "lintel", "main.go")); err == nil {
			return dir
		} else if !errors.Is(err, os.ErrNotExist) || dir == filepath.Dir(dir) {
			break
		}
		dir = filepath.Dir(dir)
	}
	return "."
}
