package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// host says where a program is to run. Empty fields leave things as they are.
type host struct {
	netns, cgroup, disk, keep string
	join                      int
}

// enter moves the calling thread, and for the control group the process.
func (h host) enter() error {
	if h.cgroup != "" {
		procs := filepath.Join(h.cgroup, "cgroup.procs")
		if err := os.WriteFile(procs, []byte(strconv.Itoa(os.Getpid())), 0o644); err != nil {
			return err
		}
	}
	if h.netns != "" {
		if err := setns(h.netns, unix.CLONE_NEWNET); err != nil {
			return err
		}
	}
	// The working directory is kept by name, where there is one of that name.
	wd, err := os.Getwd()
	if err != nil {
		wd = "/"
	}
	if h.join != 0 {
		// The kernel refuses a mount namespace to a thread that shares its
		// working directory with others.
		if err := unix.Unshare(unix.CLONE_FS); err != nil {
			return fmt.Errorf("unshare: %w", err)
		}
		if err := setns(fmt.Sprintf("/proc/%d/ns/mnt", h.join), unix.CLONE_NEWNS); err != nil {
			return err
		}
	} else if err := h.mounts(); err != nil {
		return err
	}
	if err := unix.Chdir(wd); err != nil {
		return unix.Chdir("/")
	}
	return nil
}

func setns(path string, kind int) error {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("open %s: %w", path, err)
	}
	defer unix.Close(fd)
	if err := unix.Setns(fd, kind); err != nil {
		return fmt.Errorf("enter %s: %w", path, err)
	}
	return nil
}

// mounts makes a mount namespace whose /sys shows the host's own links. With
// a disk, the host has its own /run, gone with its last process as on a machine
// that is switched off, and its own /var/lib and /var/log, which stay.
func (h host) mounts() error {
	var keep int
	if h.keep != "" {
		var err error
		if keep, err = unix.Open(h.keep, unix.O_PATH|unix.O_CLOEXEC, 0); err != nil {
			return fmt.Errorf("open %s: %w", h.keep, err)
		}
		defer unix.Close(keep)
	}
	if err := unix.Unshare(unix.CLONE_NEWNS); err != nil {
		return fmt.Errorf("unshare: %w", err)
	}
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("make mounts private: %w", err)
	}
	if err := dropNamespaces(); err != nil {
		return err
	}
	if err := mount("sysfs", "/sys", "sysfs", 0); err != nil {
		return err
	}
	if err := mount("cgroup2", "/sys/fs/cgroup", "cgroup2", 0); err != nil {
		return err
	}
	if h.disk == "" {
		return nil
	}
	for source, target := range map[string]string{"lib": "/var/lib", "log": "/var/log"} {
		if err := mount(filepath.Join(h.disk, source), target, "", unix.MS_BIND); err != nil {
			return err
		}
	}
	if err := mount("run", "/run", "tmpfs", 0); err != nil {
		return err
	}
	if h.keep == "" {
		return nil
	}
	if err := os.MkdirAll(h.keep, 0o755); err != nil {
		return err
	}
	return mount(fmt.Sprintf("/proc/self/fd/%d", keep), h.keep, "", unix.MS_BIND)
}

// dropNamespaces lets go of the copies of other hosts' namespaces, which would
// otherwise live as long as this host.
func dropNamespaces() error {
	table, err := os.ReadFile("/proc/thread-self/mountinfo")
	if err != nil {
		return err
	}
	for line := range strings.Lines(string(table)) {
		fields := strings.Fields(line)
		for i, f := range fields {
			if f != "-" || i+1 >= len(fields) || fields[i+1] != "nsfs" {
				continue
			}
			err := unix.Unmount(fields[4], unix.MNT_DETACH)
			if err != nil && !errors.Is(err, unix.EINVAL) && !errors.Is(err, unix.ENOENT) {
				return fmt.Errorf("unmount %s: %w", fields[4], err)
			}
		}
	}
	return nil
}

func mount(source, target, kind string, flags uintptr) error {
	if err := unix.Mount(source, target, kind, flags, ""); err != nil {
		return fmt.Errorf("mount %s on %s: %w", source, target, err)
	}
	return nil
}
