package machine

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// A daemon is known by its process id and the time at which it started, since
// ids are used again.
type daemon struct {
	pid     int
	started string
}

// Daemon is what has been started on a host by Spawn.
type Daemon struct {
	Name  string
	Pid   int
	Alive bool
}

// Daemons returns what has been started since the host was last killed.
func (m Machine) Daemons() ([]Daemon, error) {
	files, err := filepath.Glob(filepath.Join(m.Dir, "pid", "*"))
	if err != nil {
		return nil, fmt.Errorf("machine: %w", err)
	}
	slices.Sort(files)
	var out []Daemon
	for _, f := range files {
		name := filepath.Base(f)
		d, alive := m.daemon(name)
		out = append(out, Daemon{Name: name, Pid: d.pid, Alive: alive})
	}
	return out, nil
}

// Stop ends one daemon, with SIGTERM first where a second's patience is enough.
func (m Machine) Stop(ctx context.Context, name string) error {
	tick := time.NewTicker(poll)
	defer tick.Stop()
	signal, patience := unix.SIGTERM, time.After(time.Second)
	for {
		d, alive := m.daemon(name)
		if !alive {
			if err := os.Remove(m.pidFile(name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return fmt.Errorf("machine: %w", err)
			}
			return nil
		}
		if signal != 0 {
			if err := unix.Kill(d.pid, signal); err != nil && !errors.Is(err, unix.ESRCH) {
				return fmt.Errorf("machine: stop %s: %w", name, err)
			}
			signal = 0
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("machine: stop %s: %w", name, ctx.Err())
		case <-patience:
			signal = unix.SIGKILL
		case <-tick.C:
		}
	}
}

// Signal sends a signal to a daemon.
func (m Machine) Signal(name string, signal unix.Signal) error {
	d, alive := m.daemon(name)
	if !alive {
		return fmt.Errorf("machine: %s of %s does not run", name, m.Namespace)
	}
	if err := unix.Kill(d.pid, signal); err != nil {
		return fmt.Errorf("machine: signal to %s of %s: %w", name, m.Namespace, err)
	}
	return nil
}

// Alive tells whether a daemon runs.
func (m Machine) Alive(name string) bool {
	_, alive := m.daemon(name)
	return alive
}

func (m Machine) pidFile(name string) string { return filepath.Join(m.Dir, "pid", name) }

func (m Machine) record(name string, pid int) error {
	started, err := startTime(pid)
	if err != nil {
		return fmt.Errorf("machine: %s ended at once, see %s", name, m.Log(name))
	}
	return os.WriteFile(m.pidFile(name), fmt.Appendf(nil, "%d %s\n", pid, started), 0o644)
}

func (m Machine) daemon(name string) (daemon, bool) {
	data, err := os.ReadFile(m.pidFile(name))
	if err != nil {
		return daemon{}, false
	}
	var d daemon
	if _, err := fmt.Sscan(string(data), &d.pid, &d.started); err != nil {
		return daemon{}, false
	}
	now, err := startTime(d.pid)
	return d, err == nil && now == d.started
}

// forget drops the pid files of a host of which nothing runs any more.
func (m Machine) forget() error {
	files, err := filepath.Glob(m.pidFile("*"))
	if err != nil {
		return fmt.Errorf("machine: %w", err)
	}
	for _, f := range files {
		if err := os.Remove(f); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("machine: %w", err)
		}
	}
	return nil
}

// startTime reads field 22 of proc_pid_stat(5). A process that has ended and is
// not waited for has none.
func startTime(pid int) (string, error) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return "", err
	}
	return parseStartTime(stat)
}

func parseStartTime(stat []byte) (string, error) {
	// The program's name is in parentheses and may hold anything.
	i := bytes.LastIndexByte(stat, ')')
	if i < 0 {
		return "", errors.New("machine: no name in stat")
	}
	fields := strings.Fields(string(stat[i+1:]))
	if len(fields) < 20 {
		return "", errors.New("machine: stat is too short")
	}
	if fields[0] == "Z" || fields[0] == "X" {
		return "", errors.New("machine: process has ended")
	}
	return fields[19], nil
}

// Tail returns the last lines of a daemon's log.
func (m Machine) Tail(name string, lines int) string {
	data, err := os.ReadFile(m.Log(name))
	if err != nil {
		return err.Error()
	}
	all := strings.Split(strings.TrimRight(string(data), "\n"), "\n")
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}

// Path is where this process finds a file that a daemon knows by path.
func (m Machine) Path(daemon, path string) (string, error) {
	d, alive := m.daemon(daemon)
	if !alive {
		return "", fmt.Errorf("machine: %s of %s does not run", daemon, m.Namespace)
	}
	return filepath.Join("/proc", fmt.Sprint(d.pid), "root", path), nil
}
