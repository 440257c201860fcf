package parts

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/lintel-lb/lintel/lab/internal/filelock"
)

// every is how often a running build is reported.
const every = 5 * time.Second

// Build returns the directories that hold the lab's programs, building what is
// not in the cache. What is built, and for how long, is written to progress.
func Build(ctx context.Context, progress io.Writer) ([]string, error) {
	_, self, _, _ := runtime.Caller(0)
	src, err := source(self)
	if err != nil {
		return nil, err
	}
	cache, err := cacheDir()
	if err != nil {
		return nil, err
	}
	compiler, err := goEnv(ctx, src)
	if err != nil {
		return nil, err
	}
	var dirs []string
	for _, p := range all() {
		b := builder{part: p, source: src, cache: cache, compiler: compiler, progress: progress}
		dir, err := b.dir(ctx)
		if err != nil {
			return nil, err
		}
		dirs = append(dirs, dir)
	}
	return dirs, nil
}

func cacheDir() (string, error) {
	if dir := os.Getenv("LINTEL_LAB_CACHE"); dir != "" {
		return filepath.Abs(dir)
	}
	dir, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("parts: set LINTEL_LAB_CACHE: %w", err)
	}
	return filepath.Join(dir, "lintel-lab"), nil
}

// goEnv returns what the compiler and its platform are.
func goEnv(ctx context.Context, dir string) (string, error) {
	cmd := exec.CommandContext(ctx, "go", "env", "GOVERSION", "GOOS", "GOARCH", "GOAMD64", "GOARM64", "GOEXPERIMENT")
	cmd.Dir = dir
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("parts: go env: %w (is Go installed and in PATH?)", err)
	}
	return string(out), nil
}

type builder struct {
	part     part
	source   string
	cache    string
	compiler string
	progress io.Writer
}

// dir returns the part's directory in the cache and sees to it that it is there.
func (b builder) dir(ctx context.Context) (dir string, err error) {
	version := ""
	if b.part.version != "" {
		if version, err = moduleVersion(filepath.Join(b.source, b.part.dir, "go.mod"), b.part.version); err != nil {
			return "", err
		}
	}
	args := []string{"build", "-buildvcs=false", "-mod=readonly", "-tags", b.part.tags, "-ldflags", b.part.ldflags(version)}
	settings := append([]string{b.compiler}, args...)
	settings = append(append(settings, b.part.build...), b.part.links...)
	key, err := b.part.key(b.source, settings)
	if err != nil {
		return "", err
	}
	final := filepath.Join(b.cache, b.part.name+"-"+key)
	if _, err := os.Stat(final); err == nil {
		return final, nil
	}

	if err := os.MkdirAll(b.cache, 0o755); err != nil {
		return "", fmt.Errorf("parts: %w", err)
	}
	lock, err := filelock.Acquire(ctx, filepath.Join(b.cache, b.part.name+".lock"), func() {
		fmt.Fprintf(b.progress, "waiting for another build of %s\n", b.part.name)
	})
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, lock.Release()) }()
	if _, err := os.Stat(final); err == nil {
		return final, nil // the other build has made it
	}
	return final, b.make(ctx, final, version, args)
}

func (b builder) make(ctx context.Context, final, version string, args []string) (err error) {
	what := strings.TrimSpace(b.part.name + " " + version)
	// Nobody else builds this part now, so what an earlier build left half done
	// may go.
	stale, err := filepath.Glob(filepath.Join(b.cache, b.part.name+".tmp-*"))
	if err != nil {
		return fmt.Errorf("parts: %w", err)
	}
	for _, s := range stale {
		if err := os.RemoveAll(s); err != nil {
			return fmt.Errorf("parts: %w", err)
		}
	}
	tmp, err := os.MkdirTemp(b.cache, b.part.name+".tmp-")
	if err != nil {
		return fmt.Errorf("parts: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(tmp)) }()
	if err := os.Chmod(tmp, 0o755); err != nil {
		return fmt.Errorf("parts: %w", err)
	}

	args = append(append(args, "-o", tmp+"/"), b.part.build...)
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir = filepath.Join(b.source, b.part.dir)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOWORK=off", "GOFLAGS=")
	var output bytes.Buffer
	cmd.Stdout, cmd.Stderr = &output, &output
	if err := b.run(cmd, what); err != nil {
		if ctx.Err() != nil {
			return fmt.Errorf("parts: build of %s: %w", what, ctx.Err())
		}
		return fmt.Errorf("parts: build of %s: %w\n%s", what, err, strings.TrimSpace(output.String()))
	}
	for _, name := range b.part.links {
		if err := os.Symlink(b.part.name, filepath.Join(tmp, name)); err != nil {
			return fmt.Errorf("parts: %w", err)
		}
	}
	if err := os.Rename(tmp, final); err != nil {
		return fmt.Errorf("parts: %w", err)
	}
	return nil
}

// run waits for the build and says every few seconds that it goes on.
func (b builder) run(cmd *exec.Cmd, what string) error {
	start := time.Now()
	if b.part.note != "" {
		fmt.Fprintf(b.progress, "building %s (%s)\n", what, b.part.note)
	} else {
		fmt.Fprintf(b.progress, "building %s\n", what)
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	done := make(chan error, 1)
	go func() { done <- cmd.Wait() }()
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case err := <-done:
			if err == nil {
				fmt.Fprintf(b.progress, "built %s in %.0f s\n", what, time.Since(start).Seconds())
			}
			return err
		case <-tick.C:
			fmt.Fprintf(b.progress, "building %s: %.0f s\n", what, time.Since(start).Seconds())
		}
	}
}
