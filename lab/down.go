package lab

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/lintel-lb/lintel/lab/internal/machine"
	"github.com/lintel-lb/lintel/lab/internal/netns"
	"github.com/lintel-lb/lintel/lab/internal/topology"
)

// Down ends everything that the lab consists of and removes its files. An error
// lists what could not be removed. A lab that is down already is left alone.
func (l *Lab) Down(ctx context.Context) error {
	lock, err := l.lock(ctx, func() {})
	if err != nil {
		return err
	}
	if err := l.remove(ctx); err != nil {
		return errors.Join(err, lock.Release())
	}
	return lock.Remove()
}

// Remove is Down for a lab of which only a part may be left, as after a reboot
// or an earlier Down that failed. It returns an error that wraps ErrNoLab if
// there is nothing of that name.
func Remove(ctx context.Context, name string) error {
	l, err := newLab(name, topology.Size{})
	if err != nil {
		return err
	}
	hosts, err := l.findHosts()
	if err != nil {
		return err
	}
	_, errDir := os.Lstat(l.dir)
	_, errGroup := os.Lstat(l.cgroup)
	if len(hosts) == 0 && errDir != nil && errGroup != nil {
		return fmt.Errorf("%w: %q", ErrNoLab, name)
	}
	return l.Down(ctx)
}

// remove looks for what belongs to the lab by its name rather than by its plan:
// an earlier lab of the name may have had other hosts.
func (l *Lab) remove(ctx context.Context) error {
	hosts, err := l.findHosts()
	if err != nil {
		return err
	}
	// While its file is open, the number of a namespace is not given to another
	// one, whose processes would pass for leftovers.
	inodes := map[string]string{}
	for _, h := range hosts {
		namespace := l.plan.Namespace(h)
		file, err := os.Open(netns.Path(namespace))
		if err != nil {
			continue // a host of which only other things are left
		}
		defer file.Close()
		inode, err := netns.Inode(namespace)
		if err != nil {
			return err
		}
		inodes[inode] = h
	}
	// Nobody is to say goodbye to anybody, so no one may outlive the switch by
	// much; and killing takes longest, so all are killed before anything else.
	machines := make([]machine.Machine, 0, len(hosts))
	for _, h := range hosts {
		machines = append(machines, l.machine(Host{Name: h}))
	}
	if err := machine.KillAll(ctx, machines); err != nil {
		return err
	}
	for _, m := range machines {
		if err := m.Remove(ctx); err != nil {
			return err
		}
		if err := netns.Delete(m.Namespace); err != nil {
			return err
		}
	}
	if err := os.Remove(l.cgroup); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("lab: remove control group: %w", err)
	}
	if err := l.removeFiles(); err != nil {
		return err
	}
	return l.verifyGone(inodes)
}

// findHosts returns every host of which a namespace, a control group or a
// directory exists.
func (l *Lab) findHosts() ([]string, error) {
	var hosts []string
	_, err := netns.List(func(name string) bool {
		lab, host, ok := topology.LabOf(name)
		if ok && lab == l.plan.Name {
			hosts = append(hosts, host)
		}
		return false
	})
	if err != nil {
		return nil, err
	}
	for _, pattern := range []string{filepath.Join(l.cgroup, "*/cgroup.procs"), filepath.Join(l.dir, "*/pid")} {
		found, err := filepath.Glob(pattern)
		if err != nil {
			return nil, fmt.Errorf("lab: %w", err)
		}
		for _, f := range found {
			hosts = append(hosts, filepath.Base(filepath.Dir(f)))
		}
	}
	slices.Sort(hosts)
	return slices.Compact(hosts), nil
}

func (l *Lab) removeFiles() error {
	mounts, err := mountsBelow(l.dir)
	if err != nil {
		return err
	}
	for _, m := range slices.Backward(mounts) {
		if err := unix.Unmount(m, unix.MNT_DETACH); err != nil && !errors.Is(err, unix.EINVAL) {
			return fmt.Errorf("lab: unmount %s: %w", m, err)
		}
	}
	if err := os.RemoveAll(l.dir); err != nil {
		return fmt.Errorf("lab: %w", err)
	}
	return nil
}

// mountsBelow returns the mount points at or below a directory, outermost first.
func mountsBelow(dir string) ([]string, error) {
	table, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return nil, fmt.Errorf("lab: %w", err)
	}
	var out []string
	for line := range strings.Lines(string(table)) {
		if f := strings.Fields(line); len(f) > 4 && (f[4] == dir || strings.HasPrefix(f[4], dir+"/")) {
			out = append(out, f[4])
		}
	}
	return out, nil
}

// LeftoverError lists what Down has not been able to remove.
type LeftoverError struct {
	Lab  string
	Left []string
}

func (e *LeftoverError) Error() string {
	return fmt.Sprintf("lab: %s is down, but there is left: %s", e.Lab, strings.Join(e.Left, ", "))
}

// verifyGone looks for everything once more. inodes are those of the
// namespaces, by which processes are known to have been on a host.
func (l *Lab) verifyGone(inodes map[string]string) error {
	var left []string
	hosts, err := l.findHosts()
	if err != nil {
		return err
	}
	for _, h := range hosts {
		left = append(left, "host "+h)
	}
	processes, err := machine.ByNamespace()
	if err != nil {
		return err
	}
	for inode, host := range inodes {
		for _, pid := range processes[inode] {
			left = append(left, fmt.Sprintf("process %d of %s", pid, host))
		}
	}
	for _, path := range []string{l.dir, l.cgroup} {
		if _, err := os.Lstat(path); err == nil {
			left = append(left, path)
		}
	}
	mounts, err := mountsBelow(l.dir)
	if err != nil {
		return err
	}
	left = append(left, mounts...)
	if len(left) > 0 {
		return &LeftoverError{Lab: l.plan.Name, Left: left}
	}
	return nil
}
