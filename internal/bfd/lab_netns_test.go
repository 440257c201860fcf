//go:build netns && linux

package bfd

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/vishvananda/netns"
)

// prefix starts the name of every namespace and FRR instance of these tests.
const prefix = "lintel-bfd-"

// patience bounds every wait for something that should be quick.
const patience = 15 * time.Second

// lab hands out network namespaces to one test. It fails without root and iproute2.
type lab struct {
	t testing.TB
	n atomic.Uint32
}

func newLab(t testing.TB) *lab {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Fatal("network namespaces need root: run with sudo, or without the netns tag")
	}
	sweep(t)
	return &lab{t: t}
}

// name makes a name that no other run uses; sweep finds the process in it.
func (l *lab) name(kind string) string {
	return fmt.Sprintf("%s%d-%s%d-%04x", prefix, os.Getpid(), kind, l.n.Add(1), time.Now().UnixNano()&0xffff)
}

// sweep removes what a test process that was killed has left: namespaces with all that runs in them,
// and directories of FRR.
func sweep(t testing.TB) {
	t.Helper()
	orphan := func(name string) bool {
		pid, _, _ := strings.Cut(strings.TrimPrefix(name, prefix), "-")
		n, err := strconv.Atoi(pid)
		return strings.HasPrefix(name, prefix) && err == nil && syscall.Kill(n, 0) == syscall.ESRCH
	}
	for _, dir := range []string{"/run/netns", "/etc/frr", "/var/run/frr"} {
		entries, err := os.ReadDir(dir)
		if err != nil && !os.IsNotExist(err) {
			t.Fatal(err)
		}
		for _, entry := range entries {
			name := entry.Name()
			switch {
			case !orphan(name):
			case dir != "/run/netns":
				_ = os.RemoveAll(filepath.Join(dir, name)) // the next run tries again
			default:
				for _, pid := range strings.Fields(run(t, "ip", "netns", "pids", name)) {
					if n, err := strconv.Atoi(pid); err == nil {
						_ = syscall.Kill(n, syscall.SIGKILL) // it may have ended
					}
				}
				run(t, "ip", "netns", "del", name)
			}
		}
	}
}

// space is a network namespace.
type space struct {
	lab  *lab
	name string
}

// space makes a namespace that is deleted when the test ends. Addresses are usable at once.
func (l *lab) space() *space {
	l.t.Helper()
	s := &space{lab: l, name: l.name("")}
	run(l.t, "ip", "netns", "add", s.name)
	l.t.Cleanup(func() { run(l.t, "ip", "netns", "del", s.name) })
	s.ip("link set lo up")
	s.sysctl("net.ipv6.conf.all.accept_dad=0", "net.ipv6.conf.default.accept_dad=0",
		"net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1")
	return s
}

// pair joins two namespaces with a veth and gives the ends IPv4 and IPv6 addresses.
func (l *lab) pair(a *space, an string, aAddrs []string, b *space, bn string, bAddrs []string) {
	l.t.Helper()
	a.ip(fmt.Sprintf("link add %s type veth peer name %s netns %s", an, bn, b.name))
	for _, end := range []struct {
		s     *space
		dev   string
		addrs []string
	}{{a, an, aAddrs}, {b, bn, bAddrs}} {
		end.s.ip("link set " + end.dev + " up")
		for _, addr := range end.addrs {
			nodad := ""
			if strings.Contains(addr, ":") {
				nodad = " nodad"
			}
			end.s.ip("addr add " + addr + " dev " + end.dev + nodad)
		}
	}
}

func (s *space) ip(args string) string {
	s.lab.t.Helper()
	return run(s.lab.t, "ip", append([]string{"-n", s.name}, strings.Fields(args)...)...)
}

func (s *space) sysctl(assignments ...string) {
	s.lab.t.Helper()
	for _, a := range assignments {
		run(s.lab.t, "ip", "netns", "exec", s.name, "sysctl", "-q", "-w", a)
	}
}

// daemon runs a program in the namespace until the test ends or the returned function stops it.
// ready is waited for.
func (s *space) daemon(ready func() error, name string, args ...string) (kill func()) {
	t := s.lab.t
	t.Helper()
	cmd := exec.Command("ip", append([]string{"netns", "exec", s.name, name}, args...)...)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatalf("start %s: %v", name, err)
	}
	gone := make(chan struct{})
	go func() { _ = cmd.Wait(); close(gone) }()
	kill = func() {
		_ = cmd.Process.Kill() // it may have ended
		<-gone
	}
	t.Cleanup(kill)
	eventually(t, func() error {
		select {
		case <-gone:
			t.Fatalf("%s ended: %s", name, out.String())
		default:
		}
		return ready()
	})
	return kill
}

// within runs f on a thread in the namespace and waits for it.
func (s *space) within(f func() error) error {
	done := make(chan error, 1)
	go func() {
		// The thread is not given back: it ends with the goroutine.
		runtime.LockOSThread()
		h, err := netns.GetFromName(s.name)
		if err != nil {
			done <- err
			return
		}
		defer h.Close()
		if err := netns.Set(h); err != nil {
			done <- err
			return
		}
		done <- f()
	}()
	return <-done
}

// engine runs an engine in the namespace until the test ends or the returned function stops it,
// without a word to the peers.
func (s *space) engine(o Options) (e *Engine, kill func()) {
	t := s.lab.t
	t.Helper()
	if _, measuring := t.(*testing.B); !measuring { // benchmarks print ten lines only
		o.Log = slog.New(slog.NewTextHandler(testWriter{t}, nil))
	}
	e = New(o)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.within(func() error { return e.Run(ctx) }) }()
	var stopped atomic.Bool
	kill = func() {
		if stopped.Swap(true) {
			return
		}
		cancel()
		if err := <-done; err != nil {
			t.Errorf("engine: %v", err)
		}
	}
	t.Cleanup(kill)
	return e, kill
}

type testWriter struct{ t testing.TB }

func (w testWriter) Write(b []byte) (int, error) {
	w.t.Log(strings.TrimSpace(string(b)))
	return len(b), nil
}

// frr is FRR's zebra and bfdd in a namespace.
type frr struct {
	t    testing.TB
	name string
	kill func() // bfdd
}

// frr starts the daemons with a configuration for bfdd.
func (s *space) frr(config string) *frr {
	t := s.lab.t
	t.Helper()
	f := &frr{t: t, name: s.lab.name("frr")}
	owner, err := user.Lookup("frr")
	if err != nil {
		t.Fatalf("FRR is not installed: %v", err)
	}
	uid, _ := strconv.Atoi(owner.Uid)
	gid, _ := strconv.Atoi(owner.Gid)
	for _, dir := range []string{"/etc/frr/" + f.name, "/var/run/frr/" + f.name} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Chown(dir, uid, gid); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = os.RemoveAll(dir) })
	}
	write := func(name, text string) string {
		path := filepath.Join("/etc/frr", f.name, name)
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		return path
	}
	write("vtysh.conf", "")
	zebra, bfdd := write("zebra.conf", ""), write("bfdd.conf", config)
	answers := func(daemon string) func() error {
		return func() error {
			_, err := f.try("-d", daemon, "-c", "show version")
			return err
		}
	}
	s.daemon(answers("zebra"), "/usr/lib/frr/zebra", "-N", f.name, "-f", zebra)
	// A router is a machine of its own, and not busy with the load of this one.
	f.kill = s.daemon(answers("bfdd"), "chrt", "--rr", "2", "/usr/lib/frr/bfdd", "-N", f.name, "-f", bfdd)
	return f
}

func (f *frr) try(args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	out, err := exec.CommandContext(ctx, "vtysh", append([]string{"-N", f.name}, args...)...).CombinedOutput()
	if err != nil {
		return string(out), fmt.Errorf("vtysh %q: %w: %s", args, err, out)
	}
	return string(out), nil
}

// configure runs lines in configuration mode.
func (f *frr) configure(lines ...string) {
	f.t.Helper()
	args := []string{"-c", "configure terminal"}
	for _, l := range lines {
		args = append(args, "-c", l)
	}
	if _, err := f.try(args...); err != nil {
		f.t.Fatal(err)
	}
}

// frrPeer is what `show bfd peers json` tells of one session.
type frrPeer struct {
	Peer                   string `json:"peer"`
	Status                 string `json:"status"`
	Diagnostic             string `json:"diagnostic"`
	RemoteDiagnostic       string `json:"remote-diagnostic"`
	ReceiveInterval        int    `json:"receive-interval"`
	TransmitInterval       int    `json:"transmit-interval"`
	EchoTransmitInterval   int    `json:"echo-transmit-interval"`
	RemoteReceiveInterval  int    `json:"remote-receive-interval"`
	RemoteTransmitInterval int    `json:"remote-transmit-interval"`
	RemoteEchoInterval     int    `json:"remote-echo-receive-interval"`
	RemoteMultiplier       int    `json:"remote-detect-multiplier"`
}

// peer returns FRR's view of the session with an address.
func (f *frr) peer(addr string) (frrPeer, error) {
	out, err := f.try("-c", "show bfd peers json")
	if err != nil {
		return frrPeer{}, err
	}
	var peers []frrPeer
	if err := json.Unmarshal([]byte(out), &peers); err != nil {
		return frrPeer{}, fmt.Errorf("%w: %s", err, out)
	}
	for _, p := range peers {
		if p.Peer == addr {
			return p, nil
		}
	}
	return frrPeer{}, fmt.Errorf("FRR has no peer %s: %s", addr, out)
}

// frrCounters is what `show bfd peers counters json` tells of one session.
type frrCounters struct {
	Peer        string `json:"peer"`
	ControlIn   int    `json:"control-packet-input"`
	ControlOut  int    `json:"control-packet-output"`
	EchoIn      int    `json:"echo-packet-input"`
	EchoOut     int    `json:"echo-packet-output"`
	SessionUp   int    `json:"session-up"`
	SessionDown int    `json:"session-down"`
}

func (f *frr) counters(addr string) (frrCounters, error) {
	out, err := f.try("-c", "show bfd peers counters json")
	if err != nil {
		return frrCounters{}, err
	}
	var peers []frrCounters
	if err := json.Unmarshal([]byte(out), &peers); err != nil {
		return frrCounters{}, fmt.Errorf("%w: %s", err, out)
	}
	for _, p := range peers {
		if p.Peer == addr {
			return p, nil
		}
	}
	return frrCounters{}, fmt.Errorf("FRR has no peer %s: %s", addr, out)
}

// sees waits until FRR's view of the session satisfies the condition.
func (f *frr) sees(addr string, cond func(frrPeer) bool) {
	f.t.Helper()
	eventually(f.t, func() error {
		p, err := f.peer(addr)
		if err == nil && !cond(p) {
			err = fmt.Errorf("FRR sees %+v", p)
		}
		return err
	})
}

func frrUp(p frrPeer) bool { return p.Status == "up" }

// eventually waits for the condition and fails the test with what it last said.
func eventually(t testing.TB, cond func() error) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for {
		err := cond()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("not within %v: %v", patience, err)
		}
		time.Sleep(10 * time.Millisecond) // between looks at another program
	}
}

// is waits until the engine's session satisfies the condition.
func is(t testing.TB, e *Engine, k Key, cond func(Status) bool) {
	t.Helper()
	eventually(t, func() error {
		s, ok := e.Snapshot().Sessions[k]
		if !ok {
			return fmt.Errorf("no session %v", k)
		}
		if !cond(s) {
			return fmt.Errorf("session is %+v", s)
		}
		return nil
	})
}

func isUp(s Status) bool { return s.State == Up }

func run(t testing.TB, name string, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	out, err := exec.CommandContext(ctx, name, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v: %s", name, strings.Join(args, " "), err, out)
	}
	return string(out)
}
