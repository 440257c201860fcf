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
	outside                   bool
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
	if h.outside {
		return nil
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
	if err := unix.Unshare(unix.CLONE_NEWNS); err != nil {
		return fmt.Errorf("unshare: %w", err)
	}
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("make mounts private: %w", err)
	}
	if err := dropNamespaces(); err != nil {
		return err
	}
	// Sources are opened before any of them is hidden, and in the namespace
	// that they are mounted in: the kernel takes no others.
	var binds []bind
	if h.disk != "" {
		binds = []bind{{filepath.Join(h.disk, "lib"), "/var/lib", 0}, {filepath.Join(h.disk, "log"), "/var/log", 0}}
		if h.keep != "" {
			binds = append(binds, bind{h.keep, h.keep, 0})
		}
	}
	for i, b := range binds {
		fd, err := unix.Open(b.source, unix.O_PATH|unix.O_CLOEXEC, 0)
		if err != nil {
			return fmt.Errorf("open %s: %w", b.source, err)
		}
		defer unix.Close(fd)
		binds[i].fd = fd
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
	if err := mount("run", "/run", "tmpfs", 0); err != nil {
		return err
	}
	for _, b := range binds {
		if err := os.MkdirAll(b.target, 0o755); err != nil {
			return err
		}
		if err := mount(fmt.Sprintf("/proc/self/fd/%d", b.fd), b.target, "", unix.MS_BIND); err != nil {
			return err
		}
	}
	return nil
}

// bind makes a directory appear at another path as well.
type bind struct {
	source, target string
	fd             int
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
