package pods

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// process is a running process of Lintel.
type process struct {
	dir    string // below /proc
	node   string
	role   string // controller or speaker
	status map[string]string
}

// processes are those of this lab, which are known by their control groups.
func processes() ([]process, error) {
	names, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		return nil, err
	}
	var out []process
	for _, name := range names {
		dir := filepath.Dir(name)
		// A process may end at any time; one that cannot be read is none of ours.
		line, err1 := os.ReadFile(name)
		group, err2 := os.ReadFile(filepath.Join(dir, "cgroup"))
		status, err3 := os.ReadFile(filepath.Join(dir, "status"))
		argv := strings.Split(string(line), "\x00")
		if err1 != nil || err2 != nil || err3 != nil || argv[0] != "/lintel" || len(argv) < 2 {
			continue
		}
		_, rest, ok := strings.Cut(string(group), "/lintel-"+labName+"/")
		if !ok {
			continue
		}
		node, _, _ := strings.Cut(rest, "/")
		p := process{dir: dir, node: node, role: argv[1], status: map[string]string{}}
		for line := range strings.Lines(string(status)) {
			if key, value, ok := strings.Cut(line, ":"); ok {
				p.status[key] = strings.TrimSpace(value)
			}
		}
		out = append(out, p)
	}
	return out, nil
}

// running are the processes of one role.
func running(t testing.TB, role string) []process {
	t.Helper()
	all, err := processes()
	if err != nil {
		t.Fatal(err)
	}
	out := slices.DeleteFunc(all, func(p process) bool { return p.role != role })
	if len(out) == 0 {
		t.Fatalf("no %s runs", role)
	}
	return out
}

// capabilityBits are the numbers of linux/capability.h.
var capabilityBits = map[string]uint{"NET_BIND_SERVICE": 10, "NET_RAW": 13, "SYS_NICE": 23}

// mask writes capabilities as /proc does.
func mask(t testing.TB, names ...string) string {
	t.Helper()
	var bits uint64
	for _, n := range names {
		bit, ok := capabilityBits[n]
		if !ok {
			t.Fatalf("the test does not know the capability %s", n)
		}
		bits |= 1 << bit
	}
	return fmt.Sprintf("%016x", bits)
}

// realTime tells whether a thread of the process is in the real-time class.
func (p process) realTime() (bool, error) {
	stats, err := filepath.Glob(filepath.Join(p.dir, "task", "*", "stat"))
	if err != nil {
		return false, err
	}
	for _, name := range stats {
		text, err := os.ReadFile(name)
		if err != nil {
			continue // the thread has ended
		}
		// proc_pid_stat(5): the 41st field is the policy; the second, in brackets, may have blanks.
		_, rest, _ := strings.Cut(string(text), ") ")
		fields := strings.Fields(rest)
		if len(fields) < 39 {
			return false, fmt.Errorf("%s: %q", name, text)
		}
		if policy, err := strconv.Atoi(fields[38]); err != nil || policy != 0 {
			return policy != 0, err
		}
	}
	return false, nil
}

// What the manifests ask for is what the processes have.
func TestProcesses(t *testing.T) {
	s := newScene(t)
	for role, want := range map[string]map[string]string{
		"controller": {"Uid": "65534\t65534\t65534\t65534", "CapEff": mask(t), "CapPrm": mask(t), "CapBnd": mask(t)},
		"speaker":    {"Uid": "0\t0\t0\t0", "CapEff": mask(t, s.chosen()...), "CapPrm": mask(t, s.chosen()...), "CapBnd": mask(t, s.chosen()...)},
	} {
		want["NoNewPrivs"], want["Seccomp"], want["CapAmb"] = "1", "2", mask(t)
		for _, p := range running(t, role) {
			for key, w := range want {
				if got := p.status[key]; got != w {
					t.Errorf("%s on %s: %s is %q, want %q", role, p.node, key, got, w)
				}
			}
			if err := os.WriteFile(filepath.Join(p.dir, "root", "x"), nil, 0o600); err == nil {
				t.Errorf("the root of the %s on %s can be written", role, p.node)
			}
		}
	}
}
