package machine

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/lintel-lb/lintel/lab/internal/netns"
)

// Machine is where the programs of one host run.
type Machine struct {
	Namespace string // of the network
	Cgroup    string // directory of the control group
	Dir       string // the host's directory: disk, log and pid files
	Keep      string // directory that the host sees at its own path
	Bin       string // directory of the lab's programs
	HasDisk   bool   // the host has its own /run, /var/lib and /var/log
	Env       []string
}

// Prepare makes the directories that programs need.
func (m Machine) Prepare() error {
	dirs := []string{m.system(), filepath.Join(m.Dir, "log"), filepath.Join(m.Dir, "pid")}
	if m.HasDisk {
		dirs = append(dirs, filepath.Join(m.disk(), "lib"), filepath.Join(m.disk(), "log"))
	}
	for _, d := range dirs {
		if err := os.MkdirAll(d, 0o755); err != nil {
			return fmt.Errorf("machine: %w", err)
		}
	}
	return nil
}

// system is a group of its own, because where controllers are in use a group
// holds either processes or groups.
func (m Machine) system() string { return filepath.Join(m.Cgroup, "system") }
func (m Machine) disk() string   { return filepath.Join(m.Dir, "disk") }

// Log is the file that a daemon's output goes to.
func (m Machine) Log(name string) string { return filepath.Join(m.Dir, "log", name+".log") }

// Command returns a command that runs on the host with the caller's standard
// streams still to be set. It shares its mounts with the daemon called share,
// if that is alive.
func (m Machine) Command(ctx context.Context, share string, argv ...string) *exec.Cmd {
	return m.helper(ctx, "enter", m.flags(share), argv)
}

// Program is what Spawn is to start.
type Program struct {
	Name string // of the daemon, its log and its pid file
	Argv []string
	Env  []string // added to the machine's
	// Share names a daemon whose mounts the program is to see and add to.
	Share string
	// Outside leaves the program in the mount namespace of the caller, where it
	// can find the other hosts.
	Outside bool
}

// Spawn starts a daemon and writes down its process id.
func (m Machine) Spawn(ctx context.Context, p Program) error {
	flags := append(m.flags(p.Share), "--log", m.Log(p.Name))
	if p.Outside {
		flags = append(flags, "--outside")
	}
	cmd := m.helper(ctx, "spawn", flags, p.Argv)
	cmd.Env = append(cmd.Env, p.Env...)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return fmt.Errorf("machine: start %s in %s: %w: %s", p.Name, m.Namespace, err, strings.TrimSpace(stderr.String()))
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(out)))
	if err != nil {
		return fmt.Errorf("machine: start %s in %s: %w", p.Name, m.Namespace, err)
	}
	return m.record(p.Name, pid)
}

func (m Machine) flags(share string) []string {
	flags := []string{"--netns", netns.Path(m.Namespace), "--cgroup", m.system()}
	if share != "" {
		if d, ok := m.daemon(share); ok {
			return append(flags, "--join", strconv.Itoa(d.pid))
		}
	}
	if m.HasDisk {
		flags = append(flags, "--disk", m.disk(), "--keep", m.Keep)
	}
	return flags
}

func (m Machine) helper(ctx context.Context, verb string, flags, argv []string) *exec.Cmd {
	args := append([]string{verb}, flags...)
	args = append(append(args, "--"), argv...)
	cmd := exec.CommandContext(ctx, filepath.Join(m.Bin, "labhost"), args...)
	cmd.Env = append(os.Environ(), "PATH="+m.Bin+":/usr/local/sbin:/usr/sbin:/sbin:"+os.Getenv("PATH"))
	cmd.Env = append(cmd.Env, m.Env...)
	return cmd
}

// Remove ends every program of the host and removes its control group.
func (m Machine) Remove(ctx context.Context) error {
	return errors.Join(m.Kill(ctx), removeGroup(ctx, m.Cgroup))
}
