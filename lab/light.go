package lab

import (
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/lintel-lb/lintel/lab/internal/machine"
	"github.com/lintel-lb/lintel/lab/internal/pki"
)

// LightLabel marks light nodes, and taints them: no Pod is to be put there.
const LightLabel = "lab.lintel.dev/light"

// tokenLifetime is longer than any lab is used.
const tokenLifetime = 24 * time.Hour

// startHeartbeat starts what keeps light nodes Ready. It runs on the control
// plane and speaks for each from its own host.
func (l *Lab) startHeartbeat(ctx context.Context) error {
	lights := l.plan.With(RoleLight)
	if len(lights) == 0 {
		return nil
	}
	type node struct {
		Name, Namespace string
		Addresses       []string
	}
	var nodes []node
	for _, h := range lights {
		nodes = append(nodes, node{h.Name, l.plan.Namespace(h.Name), []string{h.V4().String(), h.V6().String()}})
	}
	data, err := json.Marshal(nodes)
	if err != nil {
		return fmt.Errorf("lab: %w", err)
	}
	file := filepath.Join(l.dir, ControlPlaneName, "light.json")
	if err := write(file, data); err != nil {
		return err
	}
	argv := []string{"labbeat", "--kubeconfig", l.Kubeconfig(), "--nodes", file}
	return l.machine(l.control()).Spawn(ctx, machine.Program{Name: argv[0], Argv: argv, Outside: true})
}

// Process is a program that RunOnLight has started.
type Process struct {
	Host string
	// Log is the file with what it writes.
	Log string

	name    string
	machine machine.Machine
}

// RunOnLight starts a program on a light node, as a Pod of the service account
// (namespace/name) would run on the host network of a node: with a kubeconfig
// of the account's own token in KUBECONFIG, and with NODE_NAME and HOST_IP. What
// env adds wins. /run, /var/lib and /var/log are the host's own, and /run is
// empty. The program must be a path that is not below these. It goes on when
// the caller ends; Crash and Down end it.
func (l *Lab) RunOnLight(ctx context.Context, host, account string, argv []string, env ...string) (*Process, error) {
	h, m, err := l.find(host, RoleLight)
	if err != nil {
		return nil, err
	}
	if len(argv) == 0 {
		return nil, fmt.Errorf("lab: run on %s: no program given", host)
	}
	kubeconfig, err := l.accountKubeconfig(ctx, account)
	if err != nil {
		return nil, err
	}
	name := unusedName(m, filepath.Base(argv[0]))
	file := filepath.Join(l.dir, host, name+".kubeconfig")
	if err := write(file, kubeconfig); err != nil {
		return nil, err
	}
	env = append([]string{"KUBECONFIG=" + file, "NODE_NAME=" + host, "HOST_IP=" + h.V4().String()}, env...)
	if err := m.Spawn(ctx, machine.Program{Name: name, Argv: argv, Env: env}); err != nil {
		return nil, err
	}
	return &Process{Host: host, Log: m.Log(name), name: name, machine: m}, nil
}

// Alive tells whether the program runs.
func (p *Process) Alive() bool { return p.machine.Alive(p.name) }

// Stop ends the program, with SIGTERM and a second later with SIGKILL.
func (p *Process) Stop(ctx context.Context) error { return p.machine.Stop(ctx, p.name) }

// unusedName is base, or base-2 and so on where programs of that name run.
func unusedName(m machine.Machine, base string) string {
	name := base
	for i := 2; m.Alive(name); i++ {
		name = fmt.Sprintf("%s-%d", base, i)
	}
	return name
}

// accountKubeconfig asks for a token of a service account and returns a
// kubeconfig with it.
func (l *Lab) accountKubeconfig(ctx context.Context, account string) ([]byte, error) {
	namespace, name, ok := strings.Cut(account, "/")
	if !ok {
		return nil, fmt.Errorf("lab: service account %q: want namespace/name", account)
	}
	client, err := l.Client()
	if err != nil {
		return nil, err
	}
	seconds := int64(tokenLifetime / time.Second)
	request := &authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{ExpirationSeconds: &seconds}}
	answer, err := client.CoreV1().ServiceAccounts(namespace).CreateToken(ctx, name, request, metav1.CreateOptions{})
	if err != nil {
		return nil, fmt.Errorf("lab: token of service account %s: %w", account, err)
	}
	config, err := l.RESTConfig()
	if err != nil {
		return nil, err
	}
	return pki.Kubeconfig(l.server(), config.CAData, name, pki.Login{Token: answer.Status.Token})
}
