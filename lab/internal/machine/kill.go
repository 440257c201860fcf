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
	"time"

	"golang.org/x/sys/unix"

	"github.com/lintel-lb/lintel/lab/internal/netns"
)

const poll = 10 * time.Millisecond

// Pids returns every process of the host.
func (m Machine) Pids() ([]int, error) {
	namespaces, err := ByNamespace()
	if err != nil {
		return nil, err
	}
	return m.pids(namespaces)
}

func (m Machine) pids(namespaces map[string][]int) ([]int, error) {
	pids, err := groupPids(m.Cgroup)
	if err != nil {
		return nil, err
	}
	inode, err := netns.Inode(m.Namespace)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	pids = append(pids, namespaces[inode]...)
	slices.Sort(pids)
	return slices.Compact(pids), nil
}

// ByNamespace sorts the machine's processes by their network namespaces. The
// caller is left out.
func ByNamespace() (map[string][]int, error) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil, fmt.Errorf("machine: %w", err)
	}
	out := map[string][]int{}
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil || pid == os.Getpid() {
			continue
		}
		// Processes that have ended, waited for or not, have none.
		if inode, err := os.Readlink(filepath.Join("/proc", e.Name(), "ns/net")); err == nil {
			out[inode] = append(out[inode], pid)
		}
	}
	return out, nil
}

// Kill ends every process of the host with SIGKILL and returns when there is
// none, or with an error when ctx ends before.
func (m Machine) Kill(ctx context.Context) error { return KillAll(ctx, []Machine{m}) }

// KillAll is Kill for many hosts at once.
func KillAll(ctx context.Context, machines []Machine) error {
	tick := time.NewTicker(poll)
	defer tick.Stop()
	for {
		alive, err := killOnce(machines)
		if err != nil {
			return err
		}
		if len(alive) == 0 {
			break
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("machine: processes %v do not end: %w", alive, ctx.Err())
		case <-tick.C:
		}
	}
	var errs []error
	for _, m := range machines {
		errs = append(errs, m.forget())
	}
	return errors.Join(errs...)
}

// killOnce sends SIGKILL to everything that is there now, and returns it.
func killOnce(machines []Machine) ([]int, error) {
	namespaces, err := ByNamespace()
	if err != nil {
		return nil, err
	}
	var alive []int
	for _, m := range machines {
		pids, err := m.pids(namespaces)
		if err != nil {
			return nil, err
		}
		alive = append(alive, pids...)
		// This reaches processes that are being born meanwhile. It fails where
		// the group does not exist, and then it has none.
		err = os.WriteFile(filepath.Join(m.Cgroup, "cgroup.kill"), []byte("1"), 0)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("machine: kill: %w", err)
		}
		for _, pid := range pids {
			if err := unix.Kill(pid, unix.SIGKILL); err != nil && !errors.Is(err, unix.ESRCH) {
				return nil, fmt.Errorf("machine: kill %d: %w", pid, err)
			}
		}
	}
	return alive, nil
}
