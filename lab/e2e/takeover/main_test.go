package takeover

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/lintel-lb/lintel/lab"
	"github.com/lintel-lb/lintel/lab/e2e/install"
	"github.com/lintel-lb/lintel/lab/image"
	"github.com/lintel-lb/lintel/lab/labtest"
)

// lintelBinary is the product's binary for the verbs for people, helmBinary is Helm, and
// targetFile holds the manifests that a take-over is given. The setup makes them, and tests have
// no other way to be told where.
var lintelBinary, helmBinary, targetFile string

func TestMain(m *testing.M) {
	parts := filepath.Join(install.Root(), "lab", "parts", "metallb")
	metallb := func(part string) labtest.Program {
		return labtest.Program{Dir: parts, Package: "go.universe.tf/metallb/" + part, Image: func(binary string) image.Spec {
			return image.Spec{
				Ref:        "quay.io/metallb/" + part + ":" + version,
				Files:      []image.File{{Path: "/" + part, Source: binary, Mode: 0o755}},
				Entrypoint: []string{"/" + part},
			}
		}}
	}
	opts := install.Options(lab.Options{Name: "takeover", Nodes: 3})
	opts.Programs = append(opts.Programs, metallb("controller"), metallb("speaker"))
	opts.Setup = setup
	opts.Unaudited = true
	labtest.Main(m, opts)
}

// setup makes the files; tests install what they need.
func setup(ctx context.Context, l *lab.Lab) error {
	dir := filepath.Join(l.Dir(), "lintel")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	lintelBinary, helmBinary, targetFile = filepath.Join(dir, "lintel"), filepath.Join(dir, "helm"), filepath.Join(dir, "lintel.yaml")
	manifests, err := l.Kubectl(ctx, nil, "kustomize", filepath.Join(install.Root(), "config"))
	if err != nil {
		return err
	}
	if err := os.WriteFile(targetFile, manifests, 0o600); err != nil {
		return err
	}
	if err := image.BuildProgram(ctx, filepath.Join(install.Root(), "test", "chart"), "helm.sh/helm/v4/cmd/helm", helmBinary); err != nil {
		return err
	}
	return image.BuildProgram(ctx, install.Root(), "./cmd/lintel", lintelBinary)
}
