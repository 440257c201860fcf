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
	pids, err := groupPids(m.Cgroup)
	if err != nil {
		return nil, err
	}
	inode, err := netns.Inode(m.Namespace)
	if errors.Is(err, fs.ErrNotExist) {
		return pids, nil
	}
	if err != nil {
		return nil, err
	}
	all, err := ByNamespace()
	if err != nil {
		return nil, err
	}
	pids = append(pids, all[inode]...)
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
func (m Machine) Kill(ctx context.Context) error {
	tick := time.NewTicker(poll)
	defer tick.Stop()
	for {
		// This reaches processes that are being born meanwhile. It fails where
		// the group does not exist, and then there are none.
		err := os.WriteFile(filepath.Join(m.Cgroup, "cgroup.kill"), []byte("1"), 0)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("machine: kill: %w", err)
		}
		pids, err := m.Pids()
		if err != nil {
			return err
		}
		if len(pids) == 0 {
			return m.forget()
		}
		for _, pid := range pids {
			if err := unix.Kill(pid, unix.SIGKILL); err != nil && !errors.Is(err, unix.ESRCH) {
				return fmt.Errorf("machine: kill %d: %w", pid, err)
			}
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("machine: processes %v of %s do not end: %w", pids, m.Namespace, ctx.Err())
		case <-tick.C:
		}
	}
}
