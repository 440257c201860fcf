package interop

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

const patience = 40 * time.Second

var links atomic.Uint32

// host is a namespace other than the speaker's.
type host struct {
	t    testing.TB
	name string
}

func requireRoot(t testing.TB) {
	t.Helper()
	if os.Getenv(nsVariable) == "" {
		t.Fatal("interop: this test makes network namespaces and needs root")
	}
}

func newHost(t testing.TB, kind string) *host {
	t.Helper()
	requireRoot(t)
	h := &host{t, fmt.Sprintf("%s-%s%d", os.Getenv(nsVariable), kind, links.Add(1))}
	run(t, "ip", "netns", "add", h.name)
	t.Cleanup(func() { remove(h.name) })
	h.run("ip", "link", "set", "lo", "up")
	return h
}

// run runs a program in the namespace; it must succeed.
func (h *host) run(name string, args ...string) string {
	h.t.Helper()
	return run(h.t, "ip", append([]string{"netns", "exec", h.name, name}, args...)...)
}

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

// start runs a program in the namespace until the test ends.
func (h *host) start(name string, args ...string) *exec.Cmd {
	h.t.Helper()
	cmd := exec.Command("ip", append([]string{"netns", "exec", h.name, name}, args...)...)
	log, err := os.CreateTemp(h.t.TempDir(), "log")
	if err != nil {
		h.t.Fatal(err)
	}
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		h.t.Fatalf("interop: %s: %v (is the Debian package installed?)", name, err)
	}
	h.t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if b, err := os.ReadFile(log.Name()); err == nil && h.t.Failed() && len(b) > 0 {
			h.t.Logf("output of %s:\n%s", name, b[max(0, len(b)-4000):])
		}
		log.Close()
	})
	return cmd
}

// link is a cable between the speaker's namespace and a host. Both ends have addresses of
// both families; the speaker's end has more than one.
type link struct {
	device           string // name of the speaker's end; the host's is eth0
	router4, router6 netip.Addr
	n                uint32
}

func (l link) speaker4(i int) netip.Addr {
	return netip.MustParseAddr(fmt.Sprintf("10.77.%d.%d", l.n, 10+i))
}

func (l link) speaker6(i int) netip.Addr {
	return netip.MustParseAddr(fmt.Sprintf("fd77:%x::%x", l.n, 0x10+i))
}

// plug connects the host with the speaker's namespace, which gets the given number of
// addresses.
func (h *host) plug(speakers int) link {
	h.t.Helper()
	n := links.Add(1)
	l := link{device: fmt.Sprintf("to%d", n), n: n,
		router4: netip.MustParseAddr(fmt.Sprintf("10.77.%d.1", n)),
		router6: netip.MustParseAddr(fmt.Sprintf("fd77:%x::1", n))}
	run(h.t, "ip", "link", "add", l.device, "type", "veth", "peer", "name", "eth0", "netns", h.name)
	h.t.Cleanup(func() { _ = exec.Command("ip", "link", "del", l.device).Run() })
	for i := range speakers {
		run(h.t, "ip", "addr", "add", l.speaker4(i).String()+"/24", "dev", l.device)
		run(h.t, "ip", "addr", "add", l.speaker6(i).String()+"/64", "dev", l.device, "nodad")
	}
	h.run("ip", "addr", "add", l.router4.String()+"/24", "dev", "eth0")
	h.run("ip", "addr", "add", l.router6.String()+"/64", "dev", "eth0", "nodad")
	run(h.t, "ip", "link", "set", l.device, "up")
	h.run("ip", "link", "set", "eth0", "up")
	return l
}

// eventually polls a program that has no other way to tell until check returns nil.
func eventually(t testing.TB, what string, check func() error) {
	t.Helper()
	err := within(patience, check)
	if err != nil {
		t.Fatalf("%s: %v", what, err)
	}
}

func within(d time.Duration, check func() error) error {
	deadline := time.After(d)
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		err := check()
		if err == nil {
			return nil
		}
		select {
		case <-deadline:
			return fmt.Errorf("not within %v: %w", d, err)
		case <-tick.C:
		}
	}
}
