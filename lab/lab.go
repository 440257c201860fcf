package lab

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/lintel-lb/lintel/lab/internal/filelock"
	"github.com/lintel-lb/lintel/lab/internal/machine"
	"github.com/lintel-lb/lintel/lab/internal/topology"
)

// stateRoot holds a directory and a lock for each lab.
const stateRoot = "/var/lib/lintel-lab"

// Lab is a lab that has been brought up. Its methods may be used from several
// goroutines; those that change the same host at the same time get in each
// other's way as two people at one machine would.
type Lab struct {
	plan   topology.Plan
	dir    string
	cgroup string // directory of the lab's control group
	limits bool   // containers can be limited
	audit  string // file for the API server's audit log, if not empty
}

// state is what Open needs to know again.
type state struct {
	Size  topology.Size
	Audit string
}

func newLab(name string, size topology.Size) (*Lab, error) {
	if os.Geteuid() != 0 {
		return nil, ErrNotRoot
	}
	plan, err := topology.New(name, size)
	if err != nil {
		return nil, err
	}
	root, err := machine.CgroupRoot()
	if err != nil {
		return nil, err
	}
	limits, err := machine.HasControllers(root)
	if err != nil {
		return nil, err
	}
	return &Lab{plan: plan, dir: filepath.Join(stateRoot, name), cgroup: filepath.Join(root, "lintel-"+name), limits: limits}, nil
}

// Open finds a lab that Up has brought up, perhaps in another process. It
// returns an error that wraps ErrNoLab if there is none.
func Open(name string) (*Lab, error) {
	if os.Geteuid() != 0 {
		return nil, ErrNotRoot
	}
	data, err := os.ReadFile(filepath.Join(stateRoot, name, "lab.json"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w: %q", ErrNoLab, name)
	}
	if err != nil {
		return nil, fmt.Errorf("lab: open %s: %w", name, err)
	}
	var s state
	if err := json.Unmarshal(data, &s); err != nil {
		return nil, fmt.Errorf("lab: open %s: %w", name, err)
	}
	l, err := newLab(name, s.Size)
	if err != nil {
		return nil, err
	}
	l.audit = s.Audit
	return l, nil
}

// Names returns the labs of this machine.
func Names() ([]string, error) {
	files, err := filepath.Glob(filepath.Join(stateRoot, "*", "lab.json"))
	if err != nil {
		return nil, fmt.Errorf("lab: %w", err)
	}
	var out []string
	for _, f := range files {
		out = append(out, filepath.Base(filepath.Dir(f)))
	}
	return out, nil
}

// Name is the lab's name.
func (l *Lab) Name() string { return l.plan.Name }

// Hosts returns all hosts, or those that have one of the roles.
func (l *Lab) Hosts(roles ...Role) []Host {
	if len(roles) == 0 {
		return slices.Clone(l.plan.Hosts)
	}
	return l.plan.With(roles...)
}

// Host returns the host of that name.
func (l *Lab) Host(name string) (Host, error) { return l.plan.Find(name) }

// Namespace is the name of a host's network namespace.
func (l *Lab) Namespace(host string) string { return l.plan.Namespace(host) }

// Dir is where the lab keeps its files. It goes with the lab.
func (l *Lab) Dir() string { return l.dir }

// Kubeconfig is the path of an administrator's kubeconfig. The server in it can
// be reached from the lab's hosts only; see RESTConfig.
func (l *Lab) Kubeconfig() string { return filepath.Join(l.pki(), "admin.kubeconfig") }

// Logs is the directory of the logs of a host's daemons, NAME.log each.
func (l *Lab) Logs(host string) string { return filepath.Join(l.dir, host, "log") }

func (l *Lab) pki() string { return filepath.Join(l.dir, "pki") }
func (l *Lab) bin() string { return filepath.Join(l.dir, "bin") }

func (l *Lab) machine(h Host) machine.Machine {
	return machine.Machine{
		Namespace: l.plan.Namespace(h.Name),
		Cgroup:    filepath.Join(l.cgroup, h.Name),
		Dir:       filepath.Join(l.dir, h.Name),
		Keep:      stateRoot,
		Bin:       l.bin(),
		HasDisk:   h.IsNode(),
		Env:       []string{"KUBECONFIG=" + l.Kubeconfig()},
	}
}

// find returns a host and its machine, if the host's role is one of these.
func (l *Lab) find(name string, roles ...Role) (Host, machine.Machine, error) {
	h, err := l.plan.Find(name)
	if err != nil {
		return h, machine.Machine{}, err
	}
	if len(roles) > 0 && !slices.Contains(roles, h.Role) {
		return h, machine.Machine{}, fmt.Errorf("%w: %s is a %s", ErrRole, name, h.Role)
	}
	return h, l.machine(h), nil
}

// lock keeps others from bringing the lab up or down or booting its hosts.
func (l *Lab) lock(ctx context.Context, busy func()) (*filelock.Lock, error) {
	if err := os.MkdirAll(stateRoot, 0o755); err != nil {
		return nil, fmt.Errorf("lab: %w", err)
	}
	return filelock.Acquire(ctx, filepath.Join(stateRoot, l.plan.Name+".lock"), busy)
}
