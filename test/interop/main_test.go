package interop

import (
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

const (
	// nsPrefix starts the name of every namespace made here; the number of the process that
	// has made it follows. Labs own all names of the form lintel-LAB-NODE.
	nsPrefix = "bgp-interop-"
	// nsVariable names the namespace that the program was started in by itself.
	nsVariable = "LINTEL_BGP_NAMESPACE"
)

// TestMain runs the tests in a fresh network namespace, so that the speaker under test
// touches nothing of the machine. Leavings of runs that were killed are removed first.
func TestMain(m *testing.M) {
	if os.Getenv(nsVariable) != "" {
		for _, args := range []string{"link set lo up", "addr add fd00:77::2/128 dev lo"} {
			if out, err := exec.Command("ip", strings.Fields(args)...).CombinedOutput(); err != nil {
				fmt.Fprintf(os.Stderr, "interop: ip %s: %v: %s\n", args, err, out)
				os.Exit(1)
			}
		}
		os.Exit(m.Run())
	}
	if os.Geteuid() != 0 {
		os.Exit(m.Run()) // all but what needs root
	}
	sweep()
	ns := fmt.Sprintf("%s%d", nsPrefix, os.Getpid())
	if out, err := exec.Command("ip", "netns", "add", ns).CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "interop: namespace: %v: %s\n", err, out)
		os.Exit(1)
	}
	cmd := exec.Command("ip", append([]string{"netns", "exec", ns, os.Args[0]}, os.Args[1:]...)...)
	cmd.Env = append(os.Environ(), nsVariable+"="+ns)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	err := cmd.Start()
	if err == nil {
		go func() {
			for s := range signals {
				_ = cmd.Process.Signal(s)
			}
		}()
		err = cmd.Wait()
	}
	remove(ns)
	if err != nil {
		os.Exit(max(cmd.ProcessState.ExitCode(), 1))
	}
}

// sweep removes namespaces whose test program is gone, and what runs in them.
func sweep() {
	out, err := exec.Command("ip", "netns", "list").Output()
	if err != nil {
		return
	}
	for _, line := range strings.Split(string(out), "\n") {
		name, _, _ := strings.Cut(line, " ")
		rest, ok := strings.CutPrefix(name, nsPrefix)
		if !ok {
			continue
		}
		number, _, _ := strings.Cut(rest, "-")
		pid, err := strconv.Atoi(number)
		if err != nil {
			continue // not made here
		}
		if _, err := os.Stat(fmt.Sprintf("/proc/%d", pid)); err != nil {
			remove(name)
		}
	}
}

// remove ends what runs in a namespace, by process number, and deletes it.
func remove(ns string) {
	out, _ := exec.Command("ip", "netns", "pids", ns).Output()
	for _, pid := range strings.Fields(string(out)) {
		_ = exec.Command("kill", "-9", pid).Run()
	}
	_ = exec.Command("ip", "netns", "del", ns).Run()
	for _, dir := range []string{"/etc/frr/" + ns, "/var/run/frr/" + ns} {
		_ = os.RemoveAll(dir)
	}
}
