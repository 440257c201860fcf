// Package filelock lets one process at a time do something, and frees the lock
// when that process ends in whatever way (flock(2)).
package filelock

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

const poll = 50 * time.Millisecond

// Lock is a lock that is held.
type Lock struct{ file *os.File }

// Acquire waits until the lock of that file is free or ctx ends. If it has to
// wait, busy is called first.
func Acquire(ctx context.Context, path string, busy func()) (*Lock, error) {
	tick := time.NewTicker(poll)
	defer tick.Stop()
	told := false
	for {
		lock, err := try(path)
		if err != nil {
			return nil, fmt.Errorf("filelock: %w", err)
		}
		if lock != nil {
			return lock, nil
		}
		if !told {
			told = true
			busy()
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("filelock: %s is held by another process: %w", path, ctx.Err())
		case <-tick.C:
		}
	}
}

// try returns nil if the lock is held or the file was removed meanwhile.
func try(path string) (*Lock, error) {
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		if closing := file.Close(); !errors.Is(err, unix.EWOULDBLOCK) {
			return nil, errors.Join(err, closing)
		}
		return nil, nil
	}
	// Whoever held it may have removed the file: then this lock is on a file
	// that others no longer find.
	held, err1 := file.Stat()
	there, err2 := os.Stat(path)
	if err1 != nil || err2 != nil || !os.SameFile(held, there) {
		return nil, file.Close()
	}
	return &Lock{file}, nil
}

// Release frees the lock.
func (l *Lock) Release() error { return l.file.Close() }

// Remove removes the file and frees the lock.
func (l *Lock) Remove() error {
	return errors.Join(os.Remove(l.file.Name()), l.file.Close())
}
