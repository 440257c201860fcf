package probe

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/vishvananda/netlink"

	"github.com/lintel-lb/lintel/lab/page"
)

// The test network: a server and a client, each with one cable into a switch.
const (
	nsSwitch = "lintel-probe-switch"
	nsServer = "lintel-probe-server"
	nsClient = "lintel-probe-client"

	server4 = "192.0.2.1"
	server6 = "2001:db8::1"
	nobody4 = "192.0.2.77"
	nobody6 = "2001:db8::77"
)

func ip(t *testing.T, args ...string) {
	t.Helper()
	if out, err := exec.Command("ip", args...).CombinedOutput(); err != nil {
		t.Fatalf("ip %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

// network builds the test network, after removing what a killed run left.
func network(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Fatal("network namespaces need root")
	}
	remove := func() {
		for _, ns := range []string{nsSwitch, nsServer, nsClient} {
			if _, err := os.Stat("/run/netns/" + ns); err == nil {
				ip(t, "netns", "delete", ns)
			}
		}
	}
	remove()
	t.Cleanup(remove)
	ip(t, "netns", "add", nsSwitch)
	ip(t, "-n", nsSwitch, "link", "add", "br0", "type", "bridge", "stp_state", "0", "mcast_snooping", "0")
	ip(t, "-n", nsSwitch, "link", "set", "br0", "up")
	for _, h := range []struct{ ns, port, v4, v6 string }{
		{nsServer, "server", server4, server6}, {nsClient, "client", "192.0.2.2", "2001:db8::2"},
	} {
		ip(t, "netns", "add", h.ns)
		ip(t, "-n", h.ns, "link", "add", "eth0", "type", "veth", "peer", "name", h.port, "netns", nsSwitch)
		ip(t, "-n", nsSwitch, "link", "set", h.port, "master", "br0", "up")
		ip(t, "-n", h.ns, "addr", "add", h.v4+"/24", "dev", "eth0")
		ip(t, "-n", h.ns, "addr", "add", h.v6+"/64", "dev", "eth0", "nodad")
		ip(t, "-n", h.ns, "link", "set", "eth0", "up")
		ip(t, "-n", h.ns, "link", "set", "lo", "up")
	}
}

func in(t *testing.T, ns string) *Namespace {
	t.Helper()
	n, err := In(ns)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := n.Close(); err != nil {
			t.Error(err)
		}
	})
	return n
}

// serve runs a page in the server's namespace and returns how to stop it.
func serve(t *testing.T, pod string) (stop func()) {
	t.Helper()
	var ln net.Listener
	err := in(t, nsServer).Do(func() (err error) {
		ln, err = net.Listen("tcp", ":80")
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() {
		done <- page.New(page.Options{Pod: pod, Node: "n", Log: slog.New(slog.DiscardHandler)}).Run(ctx, ln)
	}()
	stopped := false
	stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	t.Cleanup(stop)
	return stop
}

// cable pulls and plugs the server's cable at the switch. It takes the port
// out of the bridge rather than down: a link that comes up again passes nothing
// until the kernel's link watch has run, which may be a second later.
type cable struct {
	handle       *netlink.Handle
	link, bridge netlink.Link
}

func serverCable(t *testing.T) cable {
	t.Helper()
	sw := in(t, nsSwitch)
	link, err := sw.handle.LinkByName("server")
	if err != nil {
		t.Fatal(err)
	}
	bridge, err := sw.handle.LinkByName("br0")
	if err != nil {
		t.Fatal(err)
	}
	return cable{sw.handle, link, bridge}
}

func (c cable) pull(t *testing.T) {
	t.Helper()
	if err := c.handle.LinkSetNoMaster(c.link); err != nil {
		t.Fatal(err)
	}
}

func (c cable) plug(t *testing.T) {
	t.Helper()
	if err := c.handle.LinkSetMaster(c.link, c.bridge); err != nil {
		t.Fatal(err)
	}
}

// started returns a probe from the client whose control reading was clean.
func started(t *testing.T, url string, hold int) *Probe {
	t.Helper()
	reachable(t, url)
	p, err := Start(t.Context(), Options{URL: url, Namespace: nsClient, Control: 300 * time.Millisecond, Hold: hold})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Stop() })
	if err := p.Ready(t.Context()); err != nil {
		t.Fatal(err)
	}
	return p
}

// reachable waits until the client gets the page: new links need a moment.
func reachable(t *testing.T, url string) {
	t.Helper()
	at, err := parseURL(url)
	if err != nil {
		t.Fatal(err)
	}
	n := in(t, nsClient)
	c := client{target: at, timeout: DefaultTimeout, dial: n.DialContext, neighbor: func() Neighbor { return Neighbor{} }}
	deadline := time.Now().Add(10 * time.Second)
	for {
		a := c.attempt(t.Context())
		if a.OK() {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s is not reachable within 10s: %s", url, a.Error)
		}
		time.Sleep(time.Millisecond)
	}
}

// settled waits until the probe has had successes again.
func settled(t *testing.T, p *Probe) {
	t.Helper()
	more := p.Progress().OK + 10
	for deadline := time.Now().Add(10 * time.Second); p.Progress().OK < more; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("no success within 10s: %v\n%v", p.Progress(), p.Stop())
		}
	}
}

// checkLength compares the only gap with how long the fault lasted. The length
// of a gap is at most two intervals too long, and the time between its failures
// at most two too short; a prober that ran late knows less.
func checkLength(t *testing.T, r Report, fault time.Duration) {
	t.Helper()
	g := r.Gaps[0]
	const slack = 30 * time.Millisecond
	if inner := g.LastFailure - g.FirstFailure; g.Length < fault-slack || g.Length > fault+slack+r.Lag || inner > fault+slack {
		t.Errorf("gap of %v, failures within %v, for a fault of %v", g.Length, inner, fault)
	}
}

func TestPulledCableBlamesTheAddress(t *testing.T) {
	for name, host := range map[string]string{"IPv4": server4, "IPv6": "[" + server6 + "]"} {
		t.Run(name, func(t *testing.T) {
			network(t)
			serve(t, "a")
			c := serverCable(t)
			p := started(t, "http://"+host+"/", 1)

			p.Mark("pull")
			pulled := time.Now()
			c.pull(t)
			time.Sleep(300*time.Millisecond - time.Since(pulled))
			c.plug(t)
			took := time.Since(pulled)
			settled(t, p)

			r := p.Stop()
			t.Logf("pulled for %v\n%v", took, r)
			if len(r.Tainted) > 0 || len(r.Gaps) != 1 {
				t.Fatalf("want one gap and no taint:\n%v", r)
			}
			g := r.Gaps[0]
			checkLength(t, r, took)
			if g.Fault != FaultAddress || g.Reasons[ReasonSYNTimeout] < 25 {
				t.Errorf("fault %s, reasons %v", g.Fault, g.Reasons)
			}
			if !strings.Contains(g.Neighbor, strings.Trim(host, "[]")+" ") {
				t.Errorf("neighbour %q", g.Neighbor)
			}
			if g.Mark != "pull" || g.SinceMark > 30*time.Millisecond {
				t.Errorf("%v after mark %q", g.SinceMark, g.Mark)
			}
			if len(g.Before) != 1 || g.Before[0] != "a@n" || len(g.After) != 1 || g.After[0] != "a@n" {
				t.Errorf("before %v, after %v", g.Before, g.After)
			}
			if len(r.Breaks) > 0 {
				t.Errorf("an established connection outlives a short cut, but: %v", r.Breaks)
			}
		})
	}
}

func TestStoppedServerBlamesTheBackend(t *testing.T) {
	network(t)
	stop := serve(t, "a")
	p := started(t, "http://"+server4+"/", 2)

	p.Mark("stop")
	began := time.Now()
	stop()
	time.Sleep(200*time.Millisecond - time.Since(began))
	took := time.Since(began)
	serve(t, "b")
	settled(t, p)

	r := p.Stop()
	t.Logf("stopped for %v\n%v", took, r)
	if len(r.Tainted) > 0 || len(r.Gaps) != 1 {
		t.Fatalf("want one gap and no taint:\n%v", r)
	}
	g := r.Gaps[0]
	checkLength(t, r, took)
	if g.Fault != FaultBackend || g.Reasons[ReasonRefused] < 15 {
		t.Errorf("fault %s, reasons %v", g.Fault, g.Reasons)
	}
	if g.Before[0] != "a@n" || g.After[0] != "b@n" {
		t.Errorf("before %v, after %v", g.Before, g.After)
	}
	if len(r.Breaks) != 2 {
		t.Fatalf("%d breaks, want 2: %v", len(r.Breaks), r.Breaks)
	}
	for _, b := range r.Breaks {
		if b.Backend != "a@n" || b.Reason != ReasonClosed || b.Mark != "stop" || b.SinceMark > 100*time.Millisecond {
			t.Errorf("break %+v", b)
		}
	}
}

func TestNobodyAnswersForAnAddress(t *testing.T) {
	network(t)
	for _, host := range []string{nobody4, "[" + nobody6 + "]"} {
		p, err := Start(t.Context(), Options{URL: "http://" + host + "/", Namespace: nsClient, Control: -1})
		if err != nil {
			t.Fatal(err)
		}
		// Long enough for the kernel to give up: then it fails connections at
		// once instead of waiting.
		deadline := time.Now().Add(10 * time.Second)
		for p.Progress().Failed < 30 && time.Now().Before(deadline) {
			time.Sleep(time.Millisecond)
		}
		r := p.Stop()
		if len(r.Gaps) != 1 || r.Gaps[0].Fault != FaultAddress || r.Gaps[0].Reasons[ReasonNeighbor] < 25 {
			t.Errorf("%s:\n%v", host, r)
		}
	}
}

func TestReasonsOnTheWire(t *testing.T) {
	network(t)
	serve(t, "a")
	reachable(t, "http://"+server4+"/")
	reachable(t, "http://["+server6+"]/")
	for url, want := range map[string]Reason{
		"http://" + server4 + "/":                    "",
		"http://" + server4 + "/nothing":             "http 404",
		"http://" + server4 + ":81/":                 ReasonRefused,
		"http://" + server4 + "/slow":                ReasonAnswerTimeout,
		"http://198.51.100.1/":                       ReasonNetUnreachable,
		"http://[" + server6 + "]/stream?every=10ms": ReasonAnswerTimeout,
	} {
		p, err := Start(t.Context(), Options{URL: url, Namespace: nsClient, Control: -1})
		if err != nil {
			t.Fatal(err)
		}
		deadline := time.Now().Add(10 * time.Second)
		for p.Progress().OK+p.Progress().Failed == 0 && time.Now().Before(deadline) {
			time.Sleep(time.Millisecond)
		}
		r := p.Stop()
		switch {
		case want == "" && (r.OK == 0 || r.Failed() > 0):
			t.Errorf("%s:\n%v", url, r)
		case want != "" && (len(r.Gaps) != 1 || r.Gaps[0].Reasons[want] != r.Attempts || r.Attempts == 0):
			t.Errorf("%s: want %q:\n%v", url, want, r)
		}
	}
}

func TestNeighbor(t *testing.T) {
	network(t)
	serve(t, "a")
	client := in(t, nsClient)
	for _, addr := range []string{server4, server6} {
		n, err := client.Neighbor(netip.MustParseAddr(addr))
		if err != nil || !n.OnLink || n.State != "none" || n.MAC != "" {
			t.Errorf("before: %+v, %v", n, err)
		}
		reachable(t, "http://"+net.JoinHostPort(addr, "80")+"/")
		c, err := client.DialContext(t.Context(), "tcp", net.JoinHostPort(addr, "80"))
		if err != nil {
			t.Fatal(err)
		}
		local, err := netip.ParseAddrPort(c.LocalAddr().String())
		if err != nil || local.Addr().Is4() != netip.MustParseAddr(addr).Is4() || local.Port() == 0 {
			t.Errorf("local address %v, %v", c.LocalAddr(), err)
		}
		c.Close()
		n, err = client.Neighbor(netip.MustParseAddr(addr))
		if err != nil || n.MAC == "" || n.Unresolved() {
			t.Errorf("after: %+v, %v", n, err)
		}
	}
	ip(t, "-n", nsClient, "route", "add", "default", "via", server4)
	if n, err := client.Neighbor(netip.MustParseAddr("198.51.100.1")); err != nil || n.OnLink {
		t.Errorf("behind a gateway: %+v, %v", n, err)
	}
}

func TestDialContextRefuses(t *testing.T) {
	n := in(t, "")
	for _, tc := range []struct{ network, address string }{
		{"tcp", "localhost:80"}, {"tcp6", "192.0.2.1:80"}, {"udp", "192.0.2.1:80"},
	} {
		if c, err := n.DialContext(t.Context(), tc.network, tc.address); err == nil {
			c.Close()
			t.Errorf("%s %s: no error", tc.network, tc.address)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := n.DialContext(ctx, "tcp", "127.0.0.1:1")
	var op *net.OpError
	if !errors.As(err, &op) {
		t.Errorf("error %v", err)
	}
}

func TestCommand(t *testing.T) {
	network(t)
	serve(t, "a")
	reachable(t, "http://"+server4+"/")
	for format, want := range map[string]string{"text": " from a@n\n", "json": `"a@n": `} {
		cmd := Command(func(_ context.Context, host string) (string, error) {
			if host != "client" {
				return "", fmt.Errorf("no host %s", host)
			}
			return nsClient, nil
		})
		var out, progress strings.Builder
		cmd.SetOut(&out)
		cmd.SetErr(&progress)
		cmd.SetArgs([]string{"http://" + server4 + "/", "--from", "client", "--for", "150ms", "--control", "-1s", "-o", format})
		if err := cmd.ExecuteContext(t.Context()); err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(out.String(), want) {
			t.Errorf("%s: no %q in\n%s", format, want, out.String())
		}
		if progress.Len() > 0 {
			t.Errorf("progress on what is no terminal: %q", progress.String())
		}
	}
}
