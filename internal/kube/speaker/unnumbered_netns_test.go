//go:build netns && linux

package speaker

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/lintel-lb/lintel/internal/bfd"
	"github.com/lintel-lb/lintel/internal/bgp"
)

// insideEnv says that this process has a network of its own, apart from the machine's.
const insideEnv = "LINTEL_UNNUMBERED_INSIDE"

// router is FRR at the other end of the cable, in a namespace.
type router struct {
	t         *testing.T
	name, dir string
}

func (r router) run(name string, args ...string) string {
	r.t.Helper()
	out, err := exec.Command("ip", append([]string{"netns", "exec", r.name, name}, args...)...).CombinedOutput()
	if err != nil {
		r.t.Fatalf("%s %v: %v: %s", name, args, err, out)
	}
	return string(out)
}

// start runs a daemon until the test ends and gives its process.
func (r router) start(daemon string, args ...string) *os.Process {
	r.t.Helper()
	argv := append([]string{"netns", "exec", r.name, "/usr/lib/frr/" + daemon, "--config_file", filepath.Join(r.dir, daemon+".conf"),
		"--pid_file", filepath.Join(r.dir, daemon+".pid"), "--vty_socket", r.dir, "--vty_port", "0",
		"--socket", filepath.Join(r.dir, "zserv.api"), "--log", "stdout"}, args...)
	cmd := exec.Command("ip", argv...)
	if err := cmd.Start(); err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { _ = cmd.Process.Signal(syscall.SIGCONT); _ = cmd.Process.Kill(); _ = cmd.Wait() })
	r.until(daemon+" answers", func() error { return r.ask(daemon, "show version", nil) })
	return cmd.Process
}

// ask asks one daemon, so that another that stands still keeps nobody waiting.
func (r router) ask(daemon, command string, into any) error {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	out, err := exec.CommandContext(ctx, "vtysh", "-d", daemon, "--vty_socket", r.dir, "--config_dir", r.dir, "-c", command).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s: %w: %s", command, err, out)
	}
	if into == nil {
		return nil
	}
	return json.Unmarshal(out, into)
}

func (r router) until(what string, check func() error) {
	r.t.Helper()
	deadline, tick := time.After(40*time.Second), time.NewTicker(20*time.Millisecond)
	defer tick.Stop()
	for {
		err := check()
		if err == nil {
			return
		}
		select {
		case <-deadline:
			r.t.Fatalf("not seen: %s: %v", what, err)
		case <-tick.C:
		}
	}
}

// bgpState is FRR's state of the unnumbered session.
func (r router) bgpState() (string, error) {
	var all map[string]struct {
		State string `json:"bgpState"`
	}
	err := r.ask("bgpd", "show bgp neighbors json", &all)
	return all["eth0"].State, err
}

// linkLocal is the address that the kernel gave to the router's end.
func (r router) linkLocal() (addr netip.Addr) {
	r.t.Helper()
	r.until("a link-local address", func() error {
		f := strings.Fields(r.run("ip", "-6", "-o", "addr", "show", "dev", "eth0", "scope", "link", "-tentative"))
		for i := range f {
			if f[i] == "inet6" {
				addr = netip.MustParsePrefix(f[i+1]).Addr()
				return nil
			}
		}
		return fmt.Errorf("%v", f)
	})
	return addr
}

const unnumberedFRR = `
router bgp 64501
 bgp router-id 10.255.255.254
 no bgp ebgp-requires-policy
 no bgp default ipv4-unicast
 neighbor eth0 interface remote-as external
 neighbor eth0 bfd
 neighbor eth0 bfd profile fast
 address-family ipv4 unicast
  neighbor eth0 activate
 exit-address-family
`

const fastFRR = `
bfd
 profile fast
  transmit-interval 50
  receive-interval 50
`

// Against FRR: BFD finds the router on an unnumbered link, takes BGP down when the path is
// lost, and follows when the router has another address.
func TestUnnumberedBFDAgainstFRR(t *testing.T) {
	if os.Getenv(insideEnv) == "" {
		self, err := os.Executable()
		if err != nil {
			t.Fatal(err)
		}
		cmd := exec.Command("unshare", "--net", self, "-test.run=^"+t.Name()+"$", "-test.v")
		cmd.Env = append(os.Environ(), insideEnv+"=yes")
		out, err := cmd.CombinedOutput()
		t.Logf("%s", out)
		if err != nil {
			t.Fatal(err)
		}
		return
	}
	owner, err := user.Lookup("frr")
	if err != nil {
		t.Fatalf("FRR is not installed: %v", err)
	}
	uid, _ := strconv.Atoi(owner.Uid)
	gid, _ := strconv.Atoi(owner.Gid)
	r := router{t: t, name: fmt.Sprintf("lintel-unnumbered-%d", os.Getpid()), dir: fmt.Sprintf("/run/lintel-unnumbered-%d", os.Getpid())}
	for _, argv := range [][]string{
		{"ip", "netns", "add", r.name}, {"ip", "link", "set", "lo", "up"},
		{"ip", "link", "add", "eth0", "type", "veth", "peer", "name", "eth0", "netns", r.name}, {"ip", "link", "set", "eth0", "up"},
	} {
		if out, err := exec.Command(argv[0], argv[1:]...).CombinedOutput(); err != nil {
			t.Fatalf("%v: %v: %s", argv, err, out)
		}
	}
	t.Cleanup(func() { _ = exec.Command("ip", "netns", "del", r.name).Run(); _ = os.RemoveAll(r.dir) })
	if err := os.Mkdir(r.dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"zebra.conf": "", "bgpd.conf": unnumberedFRR, "bfdd.conf": fastFRR, "vtysh.conf": ""} {
		path := filepath.Join(r.dir, name)
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		if err := os.Chown(path, uid, gid); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chown(r.dir, uid, gid); err != nil {
		t.Fatal(err)
	}
	r.run("ip", "link", "set", "lo", "up")
	r.run("ip", "link", "set", "eth0", "up")
	r.start("zebra")
	bfdd := r.start("bfdd", "--bfdctl", filepath.Join(r.dir, "bfdd.sock"))
	r.start("bgpd")

	log := slog.New(slog.NewTextHandler(os.Stdout, nil))
	engine, neighbors := bfd.New(bfd.Options{Log: log}), bgp.NewLinkNeighbors(log)
	bridge := NewBFDBridge(engine, neighbors, log)
	sessions := bgp.New(bgp.Options{Log: log, BFD: bridge, Neighbors: neighbors})
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() { _ = engine.Run(ctx) })
	wg.Go(func() { _ = sessions.Run(ctx); neighbors.Wait() })
	defer wg.Wait()
	defer cancel()
	bridge.set(map[string]bfdPath{"tor": {key: bfd.Key{Interface: "eth0"},
		params: bfd.Params{TransmitInterval: 50 * time.Millisecond, ReceiveInterval: 50 * time.Millisecond}}})
	sessions.Set(bgp.Desired{Complete: true, Peers: map[string]bgp.Peer{"tor": {Config: bgp.SessionConfig{
		Interface: "eth0", LocalASN: 64500, PeerASN: bgp.ExternalAS(), RouterID: netip.MustParseAddr("10.0.0.1"),
		Hold: 90 * time.Second, Connect: time.Second, Families: bgp.IPv4, ExtendedNextHop: true, BFD: bgp.BFDOn,
	}}}})

	whole := func(with string) {
		t.Helper()
		r.until("BFD and BGP are up with "+with, func() error {
			var peers []struct{ Status, Interface string }
			if err := r.ask("bfdd", "show bfd peers json", &peers); err != nil {
				return err
			}
			state, err := r.bgpState()
			said := bridge.explain(time.Now())["tor"]
			if err != nil || state != "Established" || len(peers) != 1 || peers[0].Status != "up" || peers[0].Interface != "eth0" ||
				said.state != "Up" || !strings.Contains(said.detail, "with "+with+" on eth0") {
				return fmt.Errorf("BFD %+v, BGP %s, %v, %+v", peers, state, err, said)
			}
			return nil
		})
		t.Log(bridge.explain(time.Now())["tor"].detail)
	}
	first := r.linkLocal()
	whole(first.String())

	began := time.Now()
	if err := bfdd.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	r.until("FRR loses BGP", func() error {
		state, err := r.bgpState()
		if err == nil && state == "Established" {
			err = fmt.Errorf("it is %s", state)
		}
		return err
	})
	lost := time.Since(began)
	t.Logf("with a bfdd that stands still FRR lost BGP within %v; the hold time is 90 s", lost.Round(time.Millisecond))
	if lost > 5*time.Second {
		t.Errorf("it took %v", lost)
	}
	if err := bfdd.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	whole(first.String())

	began = time.Now()
	r.run("ip", "-6", "addr", "add", "fe80::beef/64", "dev", "eth0", "nodad")
	r.run("ip", "-6", "addr", "del", first.String()+"/64", "dev", "eth0")
	whole("fe80::beef")
	t.Logf("the router has another address: all was well after %v", time.Since(began).Round(time.Millisecond))
}
