package helm

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

// repository is the one that the example values name.
const repository = "registry.example.internal/lintel"

// helmBinary is Helm itself. The setup builds it, and tests have no other way to be told where.
var helmBinary string

func TestMain(m *testing.M) {
	labtest.Main(m, labtest.Options{
		Unaudited:        true,
		Lab:              lab.Options{Name: "helm", Nodes: 3, Clients: 2},
		Setup:            setup,
		SystemNamespaces: []string{install.Namespace},
	})
}

// setup builds Helm and Lintel, and gives the nodes images of Lintel with three names. It
// installs nothing.
func setup(ctx context.Context, l *lab.Lab) error {
	dir := filepath.Join(l.Dir(), "helm")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	helmBinary = filepath.Join(dir, "helm")
	if err := image.BuildProgram(ctx, filepath.Join(install.Root(), "test", "chart"), "helm.sh/helm/v4/cmd/helm", helmBinary); err != nil {
		return err
	}
	lintel := filepath.Join(dir, "lintel")
	if err := image.BuildProgram(ctx, install.Root(), "./cmd/lintel", lintel); err != nil {
		return err
	}
	var archives []string
	for i, ref := range []string{install.Ref, repository + ":dev", repository + ":next"} {
		spec := install.Image(lintel)
		spec.Ref = ref
		archive := filepath.Join(dir, fmt.Sprintf("image-%d.tar", i))
		if err := image.WriteFile(archive, spec); err != nil {
			return err
		}
		archives = append(archives, archive)
	}
	return l.Load(ctx, archives...)
}
