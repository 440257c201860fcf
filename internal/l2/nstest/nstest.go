//go:build linux

// Package nstest gives tests network namespaces of their own, so that they run against
// the real kernel without touching the machine's network. It needs root and iproute2,
// and fails the test without them.
package nstest

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/vishvananda/netns"
)

// Prefix starts the name of every namespace made here.
const Prefix = "lintel-l2-"

// commandTimeout bounds every program that a test starts.
const commandTimeout = 30 * time.Second

// Lab hands out namespaces to one test.
type Lab struct {
	t testing.TB
	n atomic.Uint32
}

// New makes a Lab. It fails the test without the rights to make namespaces.
func New(t testing.TB) *Lab {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Fatal("nstest: network namespaces need root")
	}
	return &Lab{t: t}
}

// NS is a network namespace with its loopback up.
type NS struct {
	Name string
	t    testing.TB
}

// NS makes a namespace that is deleted when the test ends. Duplicate address detection is
// left on.
func (l *Lab) NS() *NS {
	l.t.Helper()
	name := fmt.Sprintf("%s%d-%x-%d", Prefix, os.Getpid(), time.Now().UnixNano()&0xffffff, l.n.Add(1))
	ip(l.t, "netns", "add", name)
	ns := &NS{Name: name, t: l.t}
	l.t.Cleanup(func() { ip(l.t, "netns", "del", name) })
	ns.IP("link set lo up")
	return ns
}

// Pair makes a veth between two namespaces and sets both ends up.
func (l *Lab) Pair(a *NS, an string, b *NS, bn string) {
	l.t.Helper()
	a.IP(fmt.Sprintf("link add %s type veth peer name %s netns %s", an, bn, b.Name))
	a.IP("link set " + an + " up")
	b.IP("link set " + bn + " up")
}

// IP runs iproute2 in the namespace with the space-separated arguments; it must succeed.
func (n *NS) IP(args string) string {
	n.t.Helper()
	return ip(n.t, append([]string{"-n", n.Name}, strings.Fields(args)...)...)
}

// Run runs a program in the namespace; it must succeed.
func (n *NS) Run(name string, args ...string) string {
	n.t.Helper()
	return ip(n.t, append([]string{"netns", "exec", n.Name, name}, args...)...)
}

// Try runs a program in the namespace and returns all it printed, and its error.
func (n *NS) Try(name string, args ...string) (string, error) {
	return try("ip", append([]string{"netns", "exec", n.Name, name}, args...)...)
}

// Sysctl sets a value in the namespace, given as "net.ipv4.ip_forward=1".
func (n *NS) Sysctl(assignment string) {
	n.t.Helper()
	n.Run("sysctl", "-q", "-w", assignment)
}

// Cmd prepares a program in the namespace, for those that run beside the test.
func (n *NS) Cmd(ctx context.Context, name string, args ...string) *exec.Cmd {
	return exec.CommandContext(ctx, "ip", append([]string{"netns", "exec", n.Name, name}, args...)...)
}

// Do runs f on a thread inside the namespace and waits for it. Goroutines that f starts
// run outside; sockets that f opens stay inside.
func (n *NS) Do(f func() error) error {
	ch := make(chan error, 1)
	go func() {
		// The thread is not given back: it ends with the goroutine, as it cannot be
		// certain to have returned to the namespace it came from.
		runtime.LockOSThread()
		h, err := netns.GetFromName(n.Name)
		if err != nil {
			ch <- fmt.Errorf("nstest: %w", err)
			return
		}
		defer h.Close()
		if err := netns.Set(h); err != nil {
			ch <- fmt.Errorf("nstest: enter %s: %w", n.Name, err)
			return
		}
		ch <- f()
	}()
	return <-ch
}

// Start runs f inside the namespace beside the test. When the test ends the context is
// cancelled and f waited for.
func (n *NS) Start(f func(context.Context) error) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- n.Do(func() error { return f(ctx) }) }()
	var stopped atomic.Bool
	stop = func() {
		if stopped.Swap(true) {
			return
		}
		cancel()
		if err := <-done; err != nil && ctx.Err() == nil {
			n.t.Errorf("nstest: %v", err)
		}
	}
	n.t.Cleanup(stop)
	return stop
}

// Eventually waits for the condition and fails the test at the deadline with what the
// condition last said.
func Eventually(t testing.TB, within time.Duration, cond func() (ok bool, state string)) {
	t.Helper()
	deadline := time.Now().Add(within)
	for {
		ok, state := cond()
		if ok {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("condition not met within %s: %s", within, state)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

func ip(t testing.TB, args ...string) string {
	t.Helper()
	out, err := try("ip", args...)
	if err != nil {
		t.Fatalf("nstest: ip %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return out
}

func try(name string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), commandTimeout)
	defer cancel()
	var out bytes.Buffer
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Stdout, cmd.Stderr = &out, &out
	err := cmd.Run()
	return out.String(), err
}
