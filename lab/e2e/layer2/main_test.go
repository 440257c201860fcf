package layer2

import (
	"context"
	"flag"
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

// sideBySide is how many tests run at once. They wait most of the time, so the number of
// processors says little.
const sideBySide = "5"

func TestMain(m *testing.M) {
	// Before flags are parsed, so that the command line has the last word.
	if err := flag.Set("test.parallel", sideBySide); err != nil {
		panic(err)
	}
	opts := install.Options(lab.Options{Name: "l2", Nodes: 3, Clients: 2})
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
