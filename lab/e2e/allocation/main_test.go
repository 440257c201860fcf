package allocation

import (
	"testing"

	"github.com/lintel-lb/lintel/lab"
	"github.com/lintel-lb/lintel/lab/e2e/install"
	"github.com/lintel-lb/lintel/lab/labtest"
)

func TestMain(m *testing.M) {
	labtest.Main(m, install.Options(lab.Options{Name: "alloc", Nodes: 2}))
}
