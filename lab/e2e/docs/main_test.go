package docs

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/lintel-lb/lintel/lab"
	"github.com/lintel-lb/lintel/lab/e2e/install"
	"github.com/lintel-lb/lintel/lab/image"
	"github.com/lintel-lb/lintel/lab/labtest"
)

func TestMain(m *testing.M) {
	opts := install.Options(lab.Options{Name: "docs", Nodes: 3, Clients: 1})
	opts.Setup = setup
	labtest.Main(m, opts)
}

// setup installs Lintel, and its binary under the two names that pages call it by.
func setup(ctx context.Context, l *lab.Lab) error {
	if err := install.Apply(ctx, l); err != nil {
		return err
	}
	if err := os.MkdirAll(programs(l), 0o755); err != nil {
		return err
	}
	binary := filepath.Join(programs(l), "lintel")
	if err := image.BuildProgram(ctx, install.Root(), "./cmd/lintel", binary); err != nil {
		return err
	}
	plugin := filepath.Join(programs(l), "kubectl-lintel")
	if err := os.Symlink("lintel", plugin); err != nil && !os.IsExist(err) {
		return fmt.Errorf("install the plugin: %w", err)
	}
	return nil
}

// programs is where the scripts of pages find Lintel.
func programs(l *lab.Lab) string { return filepath.Join(l.Dir(), "docs", "bin") }
