package layer2

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/lintel-lb/lintel/lab"
	"github.com/lintel-lb/lintel/lab/labtest"
)

const (
	// soon bounds what follows from a change in the API: milliseconds, on a machine that
	// may be busy.
	soon = 15 * time.Second
	// nobody is who answers for an address that is silent.
	nobody = ""
	// observer is the client that asks on the wire, so that the neighbour table of the other
	// client, whose requests are counted, stays its own.
	observer = "c2"
)

const pool = `
apiVersion: metallb.io/v1beta1
kind: IPAddressPool
metadata: {name: '{{.Name}}', namespace: metallb-system}
spec:
  autoAssign: false
  addresses: ['{{.Pool4}}', '{{.Pool6}}']
`

const advertisement = `
apiVersion: metallb.io/v1beta1
kind: L2Advertisement
metadata: {name: '{{.Name}}', namespace: metallb-system}
spec:
  ipAddressPools: ['{{.Name}}']
{{range .Vars.Lines}}  {{.}}
{{end}}`

const service = `
apiVersion: v1
kind: Service
metadata:
  name: '{{.Vars.Name}}'
  annotations: {metallb.io/address-pool: '{{.Name}}'}
spec:
  type: LoadBalancer
  ipFamilyPolicy: RequireDualStack
  externalTrafficPolicy: {{.Vars.Policy}}
  selector: {app: web}
  ports: [{port: 80, targetPort: http}]
`

const pod = `
apiVersion: v1
kind: Pod
metadata: {name: '{{.Vars.Name}}', labels: {app: web}}
spec:
  nodeName: {{.Vars.Node}}
  terminationGracePeriodSeconds: 20
  automountServiceAccountToken: false
  containers:
  - name: page
    image: {{.PageImage}}
    imagePullPolicy: Never
    args: ['--drain={{.Vars.Drain}}']
    ports: [{name: http, containerPort: 80}]
    env:
    - {name: POD_NAME, value: '{{.Vars.Name}}'}
    - {name: NODE_NAME, value: {{.Vars.Node}}}
    readinessProbe:
      httpGet: {path: /healthz, port: http}
      periodSeconds: 1
`

// scene is a test's Service web with an address of each family out of the test's own pool.
type scene struct {
	*labtest.Env
	t testing.TB
}

// newScene makes the pool, and the advertisement with the lines added to its spec. Pods run on
// the nodes named, and the Service follows the policy.
func newScene(t testing.TB, policy string, nodes []string, advertLines ...string) *scene {
	t.Helper()
	s := &scene{Env: labtest.New(t), t: t}
	s.Apply(pool, nil)
	s.advertise(advertLines...)
	s.service("web", policy)
	s.pods(nodes...)
	return s
}

func (s *scene) advertise(lines ...string) {
	s.t.Helper()
	s.Apply(advertisement, map[string]any{"Lines": lines})
}

func (s *scene) service(name, policy string) {
	s.t.Helper()
	s.Apply(service, map[string]any{"Name": name, "Policy": policy})
}

// pods runs a page on each node, called web-NODE, and waits until all are ready.
func (s *scene) pods(nodes ...string) { s.t.Helper(); s.drainingPods(0, nodes...) }

// drainingPods is pods for pages that serve on for a time when they are told to end.
func (s *scene) drainingPods(drain time.Duration, nodes ...string) {
	s.t.Helper()
	for _, n := range nodes {
		s.Apply(pod, map[string]any{"Name": "web-" + n, "Node": n, "Drain": drain})
	}
	for _, n := range nodes {
		s.Eventually("the Pod on "+n+" is ready", time.Minute, func(ctx context.Context) error {
			var p corev1.Pod
			if err := s.Client.Get(ctx, client.ObjectKey{Namespace: s.Namespace, Name: "web-" + n}, &p); err != nil {
				return err
			}
			for _, c := range p.Status.Conditions {
				if c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue {
					return nil
				}
			}
			return fmt.Errorf("phase %s: %v", p.Status.Phase, p.Status.ContainerStatuses)
		})
	}
}

// endPod begins the deletion of a Pod; it does not wait for the end.
func (s *scene) endPod(node string) {
	s.t.Helper()
	p := &corev1.Pod{}
	p.Namespace, p.Name = s.Namespace, "web-"+node
	if err := s.Client.Delete(s.t.Context(), p); err != nil {
		s.t.Fatal(err)
	}
}

// addresses waits until the Service has an address of each family.
func (s *scene) addresses(name string) []netip.Addr {
	s.t.Helper()
	var out []netip.Addr
	s.Eventually("Service "+name+" has two addresses", soon, func(ctx context.Context) error {
		var err error
		if out, err = s.ingress(ctx, name); err == nil && len(out) != 2 {
			err = fmt.Errorf("ingress %v", out)
		}
		return err
	})
	return out
}

func (s *scene) ingress(ctx context.Context, name string) ([]netip.Addr, error) {
	svc, err := s.get(ctx, name)
	if err != nil {
		return nil, err
	}
	var out []netip.Addr
	for _, in := range svc.Status.LoadBalancer.Ingress {
		a, err := netip.ParseAddr(in.IP)
		if err != nil {
			return nil, err
		}
		out = append(out, a)
	}
	return out, nil
}

func (s *scene) get(ctx context.Context, name string) (*corev1.Service, error) {
	var svc corev1.Service
	err := s.Client.Get(ctx, client.ObjectKey{Namespace: s.Namespace, Name: name}, &svc)
	return &svc, err
}

// patchService applies a merge patch to a Service.
func (s *scene) patchService(name, patch string) {
	s.t.Helper()
	svc := &corev1.Service{}
	svc.Namespace, svc.Name = s.Namespace, name
	if err := s.Client.Patch(s.t.Context(), svc, client.RawPatch("application/merge-patch+json", []byte(patch))); err != nil {
		s.t.Fatal(err)
	}
}

// answers waits until exactly one node answers for the address, one of those named, and returns
// it. With nobody it waits for silence.
func (s *scene) answers(a netip.Addr, wanted ...string) string {
	s.t.Helper()
	return s.answersWithin(soon, a, wanted...)
}

func (s *scene) answersWithin(deadline time.Duration, a netip.Addr, wanted ...string) string {
	s.t.Helper()
	var owner string
	s.Eventually(fmt.Sprintf("%s is answered by one of %q", a, wanted), deadline, func(ctx context.Context) error {
		var err error
		owner, err = s.owner(ctx, a)
		if err == nil && !slices.Contains(wanted, owner) {
			err = fmt.Errorf("answered by %q", owner)
		}
		return err
	})
	return owner
}

// owner asks the wire once. More than one answer is an error.
func (s *scene) owner(ctx context.Context, a netip.Addr) (string, error) {
	who, err := s.Answerers(ctx, observer, a)
	switch {
	case err != nil:
		return nobody, err
	case len(who) == 0:
		return nobody, nil
	case len(who) > 1:
		return nobody, fmt.Errorf("%s is answered by %v", a, who)
	}
	return who[0], nil
}

// served waits until a client gets pages through the address from the Pods of exactly these nodes.
func (s *scene) served(from string, a netip.Addr, wanted ...string) {
	s.t.Helper()
	s.Eventually(fmt.Sprintf("%s gets pages through %s from %v", from, a, wanted), soon, func(ctx context.Context) error {
		var nodes []string
		for range 8 * len(wanted) {
			r, err := s.GetFrom(ctx, from, url(a))
			if err != nil {
				return err
			}
			nodes = append(nodes, r.Page.Node)
		}
		slices.Sort(nodes)
		if nodes = slices.Compact(nodes); !slices.Equal(nodes, wanted) {
			return fmt.Errorf("pages came from %v", nodes)
		}
		return nil
	})
}

func url(a netip.Addr) string { return "http://" + netip.AddrPortFrom(a, 80).String() + "/" }

// nodes are the names of all nodes of the lab.
func (s *scene) nodes() []string {
	var out []string
	for _, h := range s.Lab.Hosts(lab.RoleNode) {
		out = append(out, h.Name)
	}
	return out
}

// others are all nodes but those named.
func (s *scene) others(names ...string) []string {
	return slices.DeleteFunc(s.nodes(), func(n string) bool { return slices.Contains(names, n) })
}

// exec runs a command on a host, and fails the test if it fails.
func (s *scene) exec(host string, command string) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(s.t.Context()), 10*time.Second)
	defer cancel()
	if out, err := s.Lab.Exec(ctx, host, strings.Fields(command)...); err != nil {
		s.t.Errorf("%s: %v\n%s", command, err, out)
	}
}

// kubectl runs kubectl, also when the test is over.
func (s *scene) kubectl(args ...string) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(s.t.Context()), 2*time.Minute)
	defer cancel()
	if out, err := s.Lab.Kubectl(ctx, nil, args...); err != nil {
		s.t.Errorf("kubectl %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

// label sets a label of a node until the test ends.
func (s *scene) label(node, key, value string) {
	s.t.Helper()
	s.kubectl("label", "node", node, key+"="+value, "--overwrite")
	s.t.Cleanup(func() { s.kubectl("label", "node", node, key+"-") })
}
