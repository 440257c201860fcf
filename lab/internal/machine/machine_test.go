package machine

import (
	"os"
	"path/filepath"
	"testing"
)

func TestFindCgroup2(t *testing.T) {
	for _, c := range []struct {
		name, table, want string
	}{
		{"pure", "30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw\n", "/sys/fs/cgroup"},
		{"hybrid", "31 23 0:28 / /sys/fs/cgroup rw - tmpfs tmpfs rw\n32 31 0:29 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n" +
			"41 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n", "/sys/fs/cgroup/unified"},
		{"none", "31 23 0:28 / /sys/fs/cgroup rw - tmpfs cgroup2 rw\n", ""},
	} {
		got, ok := findCgroup2(c.table)
		if got != c.want || ok != (c.want != "") {
			t.Errorf("%s: %q, %v", c.name, got, ok)
		}
	}
}

func TestHasControllers(t *testing.T) {
	for content, want := range map[string]bool{"cpuset cpu io memory pids\n": true, "\n": false, "cpu memory\n": false} {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "cgroup.controllers"), []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
		if got, err := HasControllers(dir); err != nil || got != want {
			t.Errorf("%q: %v, %v", content, got, err)
		}
	}
}

func TestStartTime(t *testing.T) {
	got, err := parseStartTime([]byte("7 (a) b (c) S 1 7 7 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 4711 99\n"))
	if err != nil || got != "4711" {
		t.Errorf("%q, %v", got, err)
	}
	if _, err := parseStartTime([]byte("7 (a) Z 1 7 7 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 4711 99\n")); err == nil {
		t.Error("a zombie has a start time")
	}
}

func TestADaemonIsNotTakenForAnotherOfTheSameID(t *testing.T) {
	m := Machine{Dir: t.TempDir()}
	if err := os.Mkdir(filepath.Join(m.Dir, "pid"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := m.record("self", os.Getpid()); err != nil {
		t.Fatal(err)
	}
	if !m.Alive("self") {
		t.Error("this process is not alive")
	}
	started, err := startTime(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(m.Dir, "pid", "self")
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, append(data[:len(data)-1-len(started)], "1\n"...), 0o644); err != nil {
		t.Fatal(err)
	}
	if m.Alive("self") {
		t.Error("a process that started at another time is taken for this one")
	}
}
