package lab

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"

	"github.com/lintel-lb/lintel/lab/internal/machine"
)

// Router runs routing daemons on the host RouterName. Its files are the lab's:
// nothing is written to the machine's /etc/frr or /run.
type Router struct {
	lab     *Lab
	host    Host
	machine machine.Machine
}

// Router returns the lab's router.
func (l *Lab) Router() *Router {
	h := l.plan.With(RoleRouter)[0]
	return &Router{lab: l, host: h, machine: l.machine(h)}
}

// frr are the daemons of FRR in the order of their start: the others need zebra.
func frr() []string { return []string{"zebra", "bgpd", "bfdd"} }

func (r *Router) frrDir() string  { return filepath.Join(r.machine.Dir, "frr") }
func (r *Router) birdDir() string { return filepath.Join(r.machine.Dir, "bird") }

// StartFRR starts zebra, bgpd and bfdd, gives them a configuration as in
// frr.conf(5) and returns when they have taken it. FRR that runs is stopped
// before.
func (r *Router) StartFRR(ctx context.Context, config string) error {
	if err := r.StopFRR(ctx); err != nil {
		return err
	}
	dir := r.frrDir()
	// vtysh reads vtysh.conf, each daemon wants a file of its own.
	files := map[string]string{"frr.conf": config, "vtysh.conf": "service integrated-vtysh-config\n"}
	for _, d := range frr() {
		files[d+".conf"] = ""
	}
	for name, content := range files {
		if err := write(filepath.Join(dir, name), []byte(content)); err != nil {
			return err
		}
	}
	// The daemons give up root as soon as they can.
	if err := chown(dir, "frr"); err != nil {
		return err
	}
	for _, d := range frr() {
		if err := r.machine.Spawn(ctx, machine.Program{Name: d, Argv: r.frrArgv(d)}); err != nil {
			return err
		}
		socket := filepath.Join(dir, d+".vty")
		answers := func(context.Context) error { _, err := os.Stat(socket); return err }
		if err := r.lab.waitFor(ctx, r.machine, d, answers, d); err != nil {
			return err
		}
	}
	if _, err := r.vtysh(ctx, "--boot"); err != nil {
		return fmt.Errorf("lab: configuration of FRR: %w", err)
	}
	return nil
}

func (r *Router) frrArgv(daemon string) []string {
	dir := r.frrDir()
	argv := []string{
		"/usr/lib/frr/" + daemon,
		"--config_file", filepath.Join(dir, daemon+".conf"),
		"--pid_file", filepath.Join(dir, daemon+".pid"),
		"--vty_socket", dir, "--vty_port", "0",
		"--socket", filepath.Join(dir, "zserv.api"),
		"--log", "stdout",
	}
	if daemon == "bfdd" {
		argv = append(argv, "--bfdctl", filepath.Join(dir, "bfdd.sock"))
	}
	return argv
}

// StopFRR ends the daemons of FRR, the last to start first.
func (r *Router) StopFRR(ctx context.Context) error {
	for _, d := range slices.Backward(frr()) {
		if err := r.machine.Stop(ctx, d); err != nil {
			return err
		}
	}
	if err := os.RemoveAll(r.frrDir()); err != nil {
		return fmt.Errorf("lab: %w", err)
	}
	return nil
}

// Vtysh runs commands of FRR's shell, as in "show bgp summary json".
func (r *Router) Vtysh(ctx context.Context, commands ...string) ([]byte, error) {
	var args []string
	for _, c := range commands {
		args = append(args, "-c", c)
	}
	return r.vtysh(ctx, args...)
}

func (r *Router) vtysh(ctx context.Context, args ...string) ([]byte, error) {
	argv := append([]string{"vtysh", "--vty_socket", r.frrDir(), "--config_dir", r.frrDir()}, args...)
	return r.lab.Exec(ctx, r.host.Name, argv...)
}

// StartBIRD starts BIRD with a configuration as in bird.conf and returns when it
// answers. BIRD that runs is stopped before.
func (r *Router) StartBIRD(ctx context.Context, config string) error {
	if err := r.StopBIRD(ctx); err != nil {
		return err
	}
	file := filepath.Join(r.birdDir(), "bird.conf")
	if err := write(file, []byte(config)); err != nil {
		return err
	}
	if _, err := r.lab.Exec(ctx, r.host.Name, "/usr/sbin/bird", "-p", "-c", file); err != nil {
		return fmt.Errorf("lab: configuration of BIRD: %w", err)
	}
	argv := []string{"/usr/sbin/bird", "-f", "-c", file, "-s", r.birdSocket()}
	if err := r.machine.Spawn(ctx, machine.Program{Name: "bird", Argv: argv}); err != nil {
		return err
	}
	answers := func(ctx context.Context) error { _, err := r.Birdc(ctx, "show", "status"); return err }
	return r.lab.waitFor(ctx, r.machine, "BIRD", answers, "bird")
}

// StopBIRD ends BIRD.
func (r *Router) StopBIRD(ctx context.Context) error {
	if err := r.machine.Stop(ctx, "bird"); err != nil {
		return err
	}
	if err := os.RemoveAll(r.birdDir()); err != nil {
		return fmt.Errorf("lab: %w", err)
	}
	return nil
}

// Birdc runs one command of BIRD's shell.
func (r *Router) Birdc(ctx context.Context, words ...string) ([]byte, error) {
	return r.lab.Exec(ctx, r.host.Name, append([]string{"/usr/sbin/birdc", "-s", r.birdSocket()}, words...)...)
}

func (r *Router) birdSocket() string { return filepath.Join(r.birdDir(), "bird.ctl") }

// chown gives a directory and what is in it to a user and its group.
func chown(dir, name string) error {
	u, err := user.Lookup(name)
	if err != nil {
		return fmt.Errorf("lab: %w", err)
	}
	uid, err1 := strconv.Atoi(u.Uid)
	gid, err2 := strconv.Atoi(u.Gid)
	if err := errors.Join(err1, err2); err != nil {
		return fmt.Errorf("lab: user %s: %w", name, err)
	}
	return filepath.WalkDir(dir, func(path string, _ os.DirEntry, err error) error {
		if err != nil {
			return fmt.Errorf("lab: %w", err)
		}
		return os.Lchown(path, uid, gid)
	})
}

// Signal sends a signal to a daemon that the lab runs on a host, as SIGKILL to
// the kubelet of n1, or SIGSTOP to bgpd of the router.
func (l *Lab) Signal(host, daemon string, signal syscall.Signal) error {
	_, m, err := l.find(host)
	if err != nil {
		return err
	}
	return m.Signal(daemon, signal)
}
