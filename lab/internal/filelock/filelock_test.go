package filelock

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
)

func nobody() {}

func TestOneAtATime(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	first, err := Acquire(t.Context(), path, nobody)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	if _, err := Acquire(ctx, path, cancel); !errors.Is(err, context.Canceled) {
		t.Fatalf("second: %v, want it to wait", err)
	}
	if err := first.Release(); err != nil {
		t.Fatal(err)
	}
	second, err := Acquire(t.Context(), path, func() { t.Error("the lock is free, yet busy") })
	if err != nil {
		t.Fatal(err)
	}
	if err := second.Release(); err != nil {
		t.Fatal(err)
	}
}

func TestALockOnARemovedFileIsNone(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	first, err := Acquire(t.Context(), path, nobody)
	if err != nil {
		t.Fatal(err)
	}
	got := make(chan *Lock)
	waiting := make(chan struct{})
	go func() {
		l, err := Acquire(t.Context(), path, func() { close(waiting) })
		if err != nil {
			t.Error(err)
		}
		got <- l
	}()
	<-waiting
	if err := first.Remove(); err != nil {
		t.Fatal(err)
	}
	second := <-got
	if second == nil {
		t.FailNow()
	}
	if _, err := os.Stat(path); err != nil {
		t.Errorf("the lock is held on a file that is not there: %v", err)
	}
	if err := second.Release(); err != nil {
		t.Fatal(err)
	}
}
