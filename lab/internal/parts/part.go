package parts

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/mod/modfile"
)

// part is something that `go build` makes programs of.
type part struct {
	name    string
	dir     string   // of the module, below the lab's source
	version string   // module whose version the programs report; may be empty
	set     []string // variables that get the version
	tags    string
	build   []string // packages
	sources []string // directories below dir whose Go files are hashed
	links   []string // further names of the first program
	note    string   // what to expect of a first build
}

// all returns the parts, the longest build first.
func all() []part {
	return []part{
		{
			name: "kubernetes", dir: "parts/kubernetes", version: "k8s.io/kubernetes",
			set:   []string{"k8s.io/component-base/version.gitVersion", "k8s.io/client-go/pkg/version.gitVersion"},
			build: []string{"."}, sources: []string{"."},
			links: []string{"etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kube-proxy", "kubelet", "kubectl"},
			note:  "the first time takes about five minutes on two cores",
		},
		{
			name: "containerd", dir: "parts/containerd", version: "github.com/containerd/containerd/v2",
			set:   []string{"github.com/containerd/containerd/v2/version.Version"},
			tags:  "no_btrfs,no_zfs,no_devmapper,no_aufs",
			build: []string{"tool"},
			note:  "the first time takes about a minute",
		},
		{
			name: "cni", dir: "parts/cni", version: "github.com/containernetworking/plugins",
			set:   []string{"github.com/containernetworking/plugins/pkg/utils/buildversion.BuildVersion"},
			build: []string{"tool"},
		},
		{
			name: "lab", dir: ".", build: []string{"./cmd/labhost", "./cmd/labbeat", "./cmd/pause"},
			sources: []string{"cmd/labhost", "cmd/labbeat", "cmd/pause", "internal/netns"},
		},
	}
}

// ldflags drop symbol tables and set the versions that programs report.
func (p part) ldflags(version string) string {
	flags := []string{"-s", "-w"}
	for _, variable := range p.set {
		flags = append(flags, "-X", variable+"="+version)
	}
	return strings.Join(flags, " ")
}

// moduleVersion reads from go.mod which version of a module is required.
func moduleVersion(gomod, module string) (string, error) {
	data, err := os.ReadFile(gomod)
	if err != nil {
		return "", fmt.Errorf("parts: %w", err)
	}
	file, err := modfile.ParseLax(gomod, data, nil)
	if err != nil {
		return "", fmt.Errorf("parts: %w", err)
	}
	for _, r := range file.Require {
		if r.Mod.Path == module {
			return r.Mod.Version, nil
		}
	}
	return "", fmt.Errorf("parts: %s does not require %s", gomod, module)
}

// source finds the source of the lab's module: where this file was compiled
// from, or $LINTEL_LAB_SOURCE.
func source(compiled string) (string, error) {
	candidates := []string{os.Getenv("LINTEL_LAB_SOURCE"), filepath.Join(filepath.Dir(compiled), "../..")}
	// A program built with -trimpath does not know where it comes from: it is in lab/bin, or it
	// is a test, which runs in a folder of the module.
	if self, err := os.Executable(); err == nil {
		candidates = append(candidates, filepath.Join(filepath.Dir(self), ".."))
	}
	if wd, err := os.Getwd(); err == nil {
		for ; wd != filepath.Dir(wd); wd = filepath.Dir(wd) {
			candidates = append(candidates, wd)
		}
	}
	for _, dir := range candidates {
		if dir == "" {
			continue
		}
		if _, err := os.Stat(filepath.Join(dir, "parts/kubernetes/go.mod")); err == nil {
			return filepath.Abs(dir)
		}
	}
	return "", errors.New("parts: the lab builds its programs from source: set LINTEL_LAB_SOURCE to the lab directory of a checkout")
}
