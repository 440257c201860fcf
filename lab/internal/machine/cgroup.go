package machine

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// CgroupRoot returns where the version 2 hierarchy is mounted.
func CgroupRoot() (string, error) {
	data, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return "", fmt.Errorf("machine: %w", err)
	}
	if root, ok := findCgroup2(string(data)); ok {
		return root, nil
	}
	return "", errors.New("machine: no cgroup2 file system is mounted: mount one, as in `mount -t cgroup2 none /sys/fs/cgroup/unified`")
}

func findCgroup2(mountinfo string) (string, bool) {
	for line := range strings.Lines(mountinfo) {
		mount, source, ok := strings.Cut(line, " - ")
		fields := strings.Fields(mount)
		if ok && len(fields) > 4 && strings.HasPrefix(source, "cgroup2 ") {
			return fields[4], true
		}
	}
	return "", false
}

// HasControllers tells whether containers can be limited: version 2 has the
// controllers that runc uses. On machines that give them to version 1 it has not.
func HasControllers(root string) (bool, error) {
	data, err := os.ReadFile(filepath.Join(root, "cgroup.controllers"))
	if err != nil {
		return false, fmt.Errorf("machine: %w", err)
	}
	have := strings.Fields(string(data))
	for _, need := range []string{"cpu", "memory", "pids"} {
		if !slices.Contains(have, need) {
			return false, nil
		}
	}
	return true, nil
}

// groups returns dir and every control group below it, children first.
func groups(dir string) ([]string, error) {
	var out []string
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err == nil && d.IsDir() {
			out = append(out, path)
		}
		return err
	})
	slices.Reverse(out)
	return out, err
}

func groupPids(dir string) ([]int, error) {
	all, err := groups(dir)
	if err != nil {
		return nil, fmt.Errorf("machine: %w", err)
	}
	var out []int
	for _, g := range all {
		data, err := os.ReadFile(filepath.Join(g, "cgroup.procs"))
		if err != nil {
			continue // it has gone since, or holds threads only
		}
		for _, field := range strings.Fields(string(data)) {
			if pid, err := strconv.Atoi(field); err == nil && pid > 0 {
				out = append(out, pid)
			}
		}
	}
	return out, nil
}

// removeGroup removes a control group and those below it. They must hold no
// process, but threads of one may still be ending: it waits for those.
func removeGroup(ctx context.Context, dir string) error {
	tick := time.NewTicker(poll)
	defer tick.Stop()
	for {
		err := removeGroupOnce(dir)
		if !errors.Is(err, unix.EBUSY) {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%w: %w", err, ctx.Err())
		case <-tick.C:
		}
	}
}

func removeGroupOnce(dir string) error {
	all, err := groups(dir)
	if err != nil {
		return fmt.Errorf("machine: %w", err)
	}
	for _, g := range all {
		if err := os.Remove(g); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("machine: remove control group: %w", err)
		}
	}
	return nil
}
