package bgp

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

// lintelBinary is the product's binary for the verbs for people. The setup builds it, and tests
// have no other way to be told where.
var lintelBinary string

func TestMain(m *testing.M) {
	opts := install.Options(lab.Options{Name: "e2ebgp", Nodes: 3})
	opts.Setup = setup
	labtest.Main(m, opts)
}

// setup installs Lintel, and builds its binary where only root and this lab look.
func setup(ctx context.Context, l *lab.Lab) error {
	if err := install.Apply(ctx, l); err != nil {
		return err
	}
	dir := filepath.Join(l.Dir(), "lintel")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	lintelBinary = filepath.Join(dir, "lintel")
	return image.BuildProgram(ctx, install.Root(), "./cmd/lintel", lintelBinary)
}
