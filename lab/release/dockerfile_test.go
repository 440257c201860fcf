package release

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/lintel-lb/lintel/lab/image"
)

// The Dockerfile compiles the same source with the same toolchain and flags.
func TestDockerfile(t *testing.T) {
	content, err := os.ReadFile(filepath.Join(product, "Dockerfile"))
	if err != nil {
		t.Fatal(err)
	}
	wanted := []string{"golang:" + strings.TrimPrefix(runtime.Version(), "go") + " ", "\nFROM scratch\n"}
	for _, arg := range (image.Build{Package: "./cmd/lintel", Version: "$VERSION"}).Args("/lintel") {
		if flag, value, ok := strings.Cut(arg, "="); ok && strings.Contains(value, " ") {
			arg = flag + `="` + value + `"`
		}
		wanted = append(wanted, " "+arg)
	}
	for _, s := range sources {
		wanted = append(wanted, " "+s+" ")
	}
	for _, w := range wanted {
		if !strings.Contains(string(content), w) {
			t.Errorf("the Dockerfile lacks %q", w)
		}
	}
}
