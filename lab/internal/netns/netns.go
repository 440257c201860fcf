package netns

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"

	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

const dir = "/run/netns"

// Path is the file of a namespace.
func Path(name string) string { return filepath.Join(dir, name) }

// Create makes a namespace with no links but loopback, which is down.
func Create(name string) error {
	return onThread(func() error {
		ns, err := netns.NewNamed(name)
		if err != nil {
			return fmt.Errorf("netns: create %s: %w", name, err)
		}
		return ns.Close()
	})
}

// Delete removes a namespace's name; what is in it goes when the last process
// and socket in it have gone. It is no error if there is none.
func Delete(name string) error {
	path := Path(name)
	err := unix.Unmount(path, unix.MNT_DETACH)
	if err != nil && !errors.Is(err, unix.EINVAL) && !errors.Is(err, unix.ENOENT) {
		return fmt.Errorf("netns: unmount %s: %w", path, err)
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("netns: %w", err)
	}
	return nil
}

// List returns the names that match, in order.
func List(match func(name string) bool) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("netns: %w", err)
	}
	var out []string
	for _, e := range entries {
		if match(e.Name()) {
			out = append(out, e.Name())
		}
	}
	return out, nil
}

// Do runs f on a thread that is inside the namespace, and waits for it. Sockets
// that f opens stay in the namespace afterwards; goroutines that f starts are
// not in it.
func Do(name string, f func() error) error {
	return onThread(func() error {
		ns, err := netns.GetFromName(name)
		if err != nil {
			return fmt.Errorf("netns: open %s: %w", name, err)
		}
		defer ns.Close()
		if err := netns.Set(ns); err != nil {
			return fmt.Errorf("netns: enter %s: %w", name, err)
		}
		return f()
	})
}

// onThread runs f on a thread that no other goroutine has used before it ends
// with f: a goroutine that ends locked takes its thread with it.
func onThread(f func() error) error {
	done := make(chan error)
	go func() {
		runtime.LockOSThread()
		done <- f()
	}()
	return <-done
}

// Inode is the identity of a namespace, as in the links below /proc/PID/ns.
func Inode(name string) (string, error) {
	var s unix.Stat_t
	if err := unix.Stat(Path(name), &s); err != nil {
		return "", fmt.Errorf("netns: stat %s: %w", name, err)
	}
	return fmt.Sprintf("net:[%d]", s.Ino), nil
}
