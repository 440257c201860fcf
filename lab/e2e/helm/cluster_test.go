package helm

import (
	"bytes"
	"context"
	"fmt"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/lintel-lb/lintel/lab"
	"github.com/lintel-lb/lintel/lab/e2e/install"
	"github.com/lintel-lb/lintel/lab/labtest"
)

const (
	// soon bounds what follows from a change in the API, on a machine that may be busy.
	soon = 30 * time.Second
	// commandTime bounds one run of helm or kubectl.
	commandTime = 3 * time.Minute
	release     = "metallb"
)

// cluster is a cluster without Lintel, in which a test has a page with two Pods.
type cluster struct {
	*labtest.Env
	t testing.TB
}

func newCluster(t testing.TB) *cluster {
	t.Helper()
	c := &cluster{Env: labtest.New(t), t: t}
	t.Cleanup(c.reset)
	c.Page("web", 2)
	return c
}

// manifests are what the user has in hand: a pool, its advertisement and a Service.
func (c *cluster) manifests() string {
	return fmt.Sprintf(`
apiVersion: metallb.io/v1beta1
kind: IPAddressPool
metadata: {name: pool-lan, namespace: metallb-system}
spec: {addresses: ['%s']}
---
apiVersion: metallb.io/v1beta1
kind: L2Advertisement
metadata: {name: pool-lan, namespace: metallb-system}
spec: {ipAddressPools: [pool-lan]}
---
apiVersion: v1
kind: Service
metadata: {name: web, namespace: %s}
spec:
  type: LoadBalancer
  selector: {app: web}
  ports: [{port: 80, targetPort: http}]
`, c.Pool4, c.Namespace)
}

// run runs a program on the control plane's host.
func (c *cluster) run(stdin string, argv ...string) (string, error) {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(c.t.Context()), commandTime)
	defer cancel()
	cmd, err := c.Lab.Command(ctx, lab.ControlPlaneName, argv...)
	if err != nil {
		c.t.Fatal(err)
	}
	var out bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(stdin), &out, &out
	err = cmd.Run()
	return out.String(), err
}

func (c *cluster) kubectl(stdin string, args ...string) string {
	c.t.Helper()
	out, err := c.run(stdin, append([]string{"kubectl"}, args...)...)
	if err != nil {
		c.t.Fatalf("kubectl %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return out
}

func (c *cluster) tryHelm(args ...string) (string, error) {
	c.t.Helper()
	return c.run("", append([]string{helmBinary, "--namespace", install.Namespace}, args...)...)
}

func (c *cluster) helm(args ...string) string {
	c.t.Helper()
	out, err := c.tryHelm(args...)
	if err != nil {
		c.t.Fatalf("helm %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return out
}

// upgradeArgs are the arguments of the one command that installs and upgrades, with the values
// that users have.
func upgradeArgs(more ...string) []string {
	return append([]string{"upgrade", "--install", release, filepath.Join(install.Root(), "charts", "lintel"), "--create-namespace",
		"--values", filepath.Join(install.Root(), "test", "chart", "testdata", "example-values.yaml")}, more...)
}

// address waits for the address of the Service.
func (c *cluster) address() netip.Addr {
	c.t.Helper()
	var a netip.Addr
	c.Eventually("the Service has an address", soon, func(ctx context.Context) error {
		var err error
		a, err = c.ingress(ctx)
		return err
	})
	return a
}

func (c *cluster) ingress(ctx context.Context) (netip.Addr, error) {
	var svc corev1.Service
	if err := c.Client.Get(ctx, client.ObjectKey{Namespace: c.Namespace, Name: "web"}, &svc); err != nil {
		return netip.Addr{}, err
	}
	if len(svc.Status.LoadBalancer.Ingress) == 0 {
		return netip.Addr{}, fmt.Errorf("no address; conditions %v", svc.Status.Conditions)
	}
	return netip.ParseAddr(svc.Status.LoadBalancer.Ingress[0].IP)
}

// served waits until a client gets the page.
func (c *cluster) served() netip.Addr {
	c.t.Helper()
	a := c.address()
	c.Eventually("a client gets the page from "+a.String(), soon, func(ctx context.Context) error {
		_, err := c.Get(ctx, url(a))
		return err
	})
	return a
}

func url(a netip.Addr) string { return "http://" + netip.AddrPortFrom(a, 80).String() + "/" }

// reset removes Lintel, however it was installed, and everything that it was told.
func (c *cluster) reset() {
	if out, err := c.tryHelm("uninstall", release, "--ignore-not-found", "--wait", "--cascade", "foreground"); err != nil {
		c.t.Errorf("helm uninstall: %v\n%s", err, out)
	}
	c.removeDefinitions()
	c.kubectl("", "--namespace", c.Namespace, "delete", "service", "web", "--ignore-not-found")
}

// removeDefinitions removes what the manifests have. The API server may forget to go on with a
// definition that was deleted seconds after it was made ("storage is (re)initializing"), until
// it changes again.
func (c *cluster) removeDefinitions() {
	c.t.Helper()
	var out string
	var err error
	for range 4 {
		out, err = c.run("", "kubectl", "delete", "--ignore-not-found", "--timeout=30s", "--filename", filepath.Join(install.Root(), "config", "lintel.yaml"))
		if err == nil {
			return
		}
		if _, err := c.run("", "kubectl", "annotate", "--overwrite", "crd", "--all", "lab.lintel.dev/changed="+time.Now().Format("150405")); err != nil {
			c.t.Log(err) // a definition that went in the meantime
		}
	}
	c.t.Errorf("kubectl delete: %v\n%s", err, out)
}

// footprint is what a node has of addresses, routes, rules and tables of the packet filter.
// Rules inside tables are kube-proxy's and follow Services.
func (c *cluster) footprint() map[string]string {
	c.t.Helper()
	out := map[string]string{}
	for _, h := range c.Lab.Hosts(lab.RoleNode) {
		for _, command := range []string{"ip -brief address", "ip rule", "ip route show table all", "ip -6 rule", "nft list tables"} {
			ctx, cancel := context.WithTimeout(c.t.Context(), soon)
			text, err := c.Lab.Exec(ctx, h.Name, strings.Fields(command)...)
			cancel()
			if err != nil {
				c.t.Fatal(err)
			}
			out[h.Name+": "+command] = withoutPods(string(text))
		}
	}
	return out
}

// withoutPods leaves out the interfaces of Pods, which come and go, and sorts.
func withoutPods(text string) string {
	lines := slices.DeleteFunc(strings.Split(text, "\n"), func(l string) bool { return strings.Contains(l, "veth") })
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}
