package image

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
)

// BuildProgram compiles a Go program for an image: static, without the paths of
// this machine in it, for Linux on this machine's architecture. dir is where
// the go command runs, and so decides on the module; binary is an absolute
// path.
func BuildProgram(ctx context.Context, dir, pkg, binary string) error {
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-buildvcs=false", "-ldflags=-s -w", "-o", binary, pkg)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("image: build %s: %w: %s", pkg, err, strings.TrimSpace(string(out)))
	}
	return nil
}
