package image

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
)

// Build says how a Go program is compiled for an image.
type Build struct {
	// Dir is where the go command runs, and so decides on the module.
	Dir string
	// Package is what to build.
	Package string
	// Architecture is a GOARCH value. Empty means that of the running program.
	Architecture string
	// Version is what the variable main.version is set to, unless empty.
	Version string
}

// BuildProgram compiles a Go program for this machine's architecture; see Build.Program.
func BuildProgram(ctx context.Context, dir, pkg, binary string) error {
	return Build{Dir: dir, Package: pkg}.Program(ctx, binary)
}

// Program compiles to the file binary, an absolute path: static, for Linux, and the same bytes
// wherever the source is, for the paths and the version control of this machine are not in it.
func (b Build) Program(ctx context.Context, binary string) error {
	cmd := exec.CommandContext(ctx, "go", b.Args(binary)...)
	cmd.Dir = b.Dir
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH="+cmp.Or(b.Architecture, runtime.GOARCH))
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("image: build %s: %w: %s", b.Package, err, strings.TrimSpace(string(out)))
	}
	return nil
}

// Args are the arguments of the go command.
func (b Build) Args(binary string) []string {
	flags := "-s -w"
	if b.Version != "" {
		flags += " -X main.version=" + b.Version
	}
	return []string{"build", "-trimpath", "-buildvcs=false", "-ldflags=" + flags, "-o", binary, b.Package}
}
