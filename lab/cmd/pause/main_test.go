package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// start runs a static build of pause as process 1 of a PID namespace.
func start(t *testing.T) *exec.Cmd {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Fatal("a PID namespace needs root")
	}
	binary := filepath.Join(t.TempDir(), "pause")
	build := exec.Command("go", "build", "-o", binary, ".")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	cmd := exec.Command(binary)
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWPID, Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	return cmd
}

// children returns the PIDs whose parent is the process pid.
func children(t *testing.T, pid int) []string {
	t.Helper()
	lists, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, l := range lists {
		b, err := os.ReadFile(l)
		if err != nil {
			continue // the thread ended
		}
		all = append(all, strings.Fields(string(b))...)
	}
	return all
}

func eventually(t *testing.T, what string, cond func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !cond(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not within 10s: %s", what)
		}
	}
}

func TestReapsOrphansAndEndsOnSIGTERM(t *testing.T) {
	pause := start(t)
	pid := pause.Process.Pid
	// The shell leaves its child behind, which becomes a child of process 1.
	orphan := exec.Command("nsenter", "-t", fmt.Sprint(pid), "-p", "sh", "-c", "sleep 60 >/dev/null 2>&1 & echo $!")
	out, err := orphan.Output()
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "the orphan belongs to pause", func() bool { return len(children(t, pid)) == 1 })
	// The PID is one of the namespace, so kill(1) has to be in there.
	kill := exec.Command("nsenter", "-t", fmt.Sprint(pid), "-p", "kill", "-9", strings.TrimSpace(string(out)))
	if out, err := kill.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	eventually(t, "the orphan is reaped", func() bool { return len(children(t, pid)) == 0 })

	// What reaps has its signal handlers, so this is no race with the start.
	if err := pause.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- pause.Wait() }()
	select {
	case err := <-done:
		if err != nil {
			t.Errorf("exit: %v", err)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("did not end on SIGTERM")
	}
}
