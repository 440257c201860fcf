package bgp

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/lintel-lb/lintel/lab"
	"github.com/lintel-lb/lintel/lab/e2e/install"
	"github.com/lintel-lb/lintel/lab/labtest"
)

const (
	// soon bounds what follows from a change in the API: milliseconds, on a machine that may
	// be busy. established bounds a new session, which may have to be tried again.
	soon        = 15 * time.Second
	established = 40 * time.Second
	// far is the client behind the router.
	far = "f1"
)

const pool = `
apiVersion: metallb.io/v1beta1
kind: IPAddressPool
metadata: {name: '{{.Name}}', namespace: metallb-system}
spec:
  autoAssign: false
  addresses: ['{{.Routed4}}', '{{.Routed6}}']
`

const advertisement = `
apiVersion: metallb.io/v1beta1
kind: BGPAdvertisement
metadata: {name: '{{.Name}}{{.Vars.Suffix}}', namespace: metallb-system}
spec:
  ipAddressPools: ['{{.Name}}']
{{range .Vars.Lines}}  {{.}}
{{end}}`

const peer = `
apiVersion: metallb.io/v1beta2
kind: BGPPeer
metadata: {name: '{{.Name}}-{{.Vars.Suffix}}', namespace: metallb-system}
spec:
  peerAddress: '{{.Vars.Address}}'
{{range .Vars.Lines}}  {{.}}
{{end}}`

// service has no selector: its endpoints are given by hand, on nodes of the test's choice.
const service = `
apiVersion: v1
kind: Service
metadata:
  name: '{{.Vars.Name}}'
  annotations: {metallb.io/address-pool: '{{.Name}}'}
  labels: {name: '{{.Vars.Name}}'}
spec:
  type: LoadBalancer
  ipFamilyPolicy: RequireDualStack
  externalTrafficPolicy: {{.Vars.Policy}}
  {{if .Vars.Pods}}selector: {app: web}{{end}}
  ports: [{name: http, port: 80, targetPort: 80}]
`

const endpoints = `
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata:
  name: '{{.Vars.Name}}'
  labels: {kubernetes.io/service-name: '{{.Vars.Name}}', endpointslice.kubernetes.io/managed-by: labtest}
addressType: IPv4
ports: [{name: http, port: 80}]
endpoints:
{{range $node, $ready := .Vars.Ready}}- {addresses: ['{{index $.Vars.Addresses $node}}'], nodeName: '{{$node}}', conditions: {ready: {{$ready}}}}
{{end}}`

const pod = `
apiVersion: v1
kind: Pod
metadata: {name: 'web-{{.Vars.Node}}', labels: {app: web}}
spec:
  nodeName: {{.Vars.Node}}
  terminationGracePeriodSeconds: 1
  automountServiceAccountToken: false
  containers:
  - name: page
    image: {{.PageImage}}
    imagePullPolicy: Never
    ports: [{name: http, containerPort: 80}]
    env:
    - {name: POD_NAME, value: 'web-{{.Vars.Node}}'}
    - {name: NODE_NAME, value: {{.Vars.Node}}}
    readinessProbe:
      httpGet: {path: /healthz, port: http}
      periodSeconds: 1
`

// scene is a test's router, pool and, if it makes them, peers, advertisements and Services.
type scene struct {
	*labtest.Env
	router router
	t      testing.TB
}

// newScene starts the router with these groups and makes the pool.
func newScene(t testing.TB, groups ...group) *scene {
	t.Helper()
	s := &scene{Env: labtest.New(t), t: t}
	s.forgotten()
	s.router = startRouter(t, s.Lab, groups...)
	s.Apply(pool, nil)
	return s
}

// advertise makes an advertisement with lines added to its spec. Each suffix is another one.
func (s *scene) advertise(suffix string, lines ...string) {
	s.t.Helper()
	s.Apply(advertisement, map[string]any{"Suffix": suffix, "Lines": lines})
}

// peer makes a BGPPeer with lines added to its spec and returns its name. Without a line for
// an AS number it gets those of the examples.
func (s *scene) peer(suffix, address string, lines ...string) string {
	s.t.Helper()
	for field, asn := range map[string]int{"myASN": clusterASN, "peerASN": routerASN} {
		has := func(l string) bool { return strings.HasPrefix(l, field+":") }
		if !slices.ContainsFunc(lines, has) {
			lines = append(lines, fmt.Sprintf("%s: %d", field, asn))
		}
	}
	s.Apply(peer, peerVars(suffix, address, lines))
	return s.Name + "-" + suffix
}

func peerVars(suffix, address string, lines []string) map[string]any {
	return map[string]any{"Suffix": suffix, "Address": address, "Lines": lines}
}

// deletePeer deletes a BGPPeer.
func (s *scene) deletePeer(suffix string) {
	s.t.Helper()
	s.Delete(peer, peerVars(suffix, router4, nil))
}

// service makes a Service with an endpoint on each of these nodes, and returns its addresses'
// host routes, IPv4 first. Nobody answers there: it is for tables, not for pages.
func (s *scene) service(name, policy string, nodes ...string) (v4, v6 netip.Prefix) {
	s.t.Helper()
	s.Apply(service, map[string]any{"Name": name, "Policy": policy, "Pods": false})
	s.endpoints(name, s.ready(nodes...))
	return s.addresses(name)
}

// pages makes the Service web with a page on each node, and returns its addresses' host routes.
func (s *scene) pages(policy string, nodes ...string) (v4, v6 netip.Prefix) {
	s.t.Helper()
	s.Apply(service, map[string]any{"Name": "web", "Policy": policy, "Pods": true})
	for _, n := range nodes {
		s.Apply(pod, map[string]any{"Node": n})
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
	return s.addresses("web")
}

// ready marks these nodes as having a ready endpoint.
func (s *scene) ready(nodes ...string) map[string]bool {
	out := map[string]bool{}
	for _, n := range nodes {
		out[n] = true
	}
	return out
}

// endpoints sets the endpoints of a Service: the nodes that have one, and whether it is ready.
func (s *scene) endpoints(name string, ready map[string]bool) {
	s.t.Helper()
	addrs := map[string]string{}
	for i, h := range s.Lab.Hosts(lab.RoleNode) {
		addrs[h.Name] = fmt.Sprintf("10.244.%d.250", i+1)
	}
	s.Apply(endpoints, map[string]any{"Name": name, "Ready": ready, "Addresses": addrs})
}

// addresses waits until a Service has an address of each family.
func (s *scene) addresses(name string) (v4, v6 netip.Prefix) {
	s.t.Helper()
	s.Eventually("Service "+name+" has two addresses", soon, func(ctx context.Context) error {
		var svc corev1.Service
		if err := s.Client.Get(ctx, client.ObjectKey{Namespace: s.Namespace, Name: name}, &svc); err != nil {
			return err
		}
		for _, in := range svc.Status.LoadBalancer.Ingress {
			a, err := netip.ParseAddr(in.IP)
			switch {
			case err != nil:
				return err
			case a.Is4():
				v4 = netip.PrefixFrom(a, 32)
			default:
				v6 = netip.PrefixFrom(a, 128)
			}
		}
		if !v4.IsValid() || !v6.IsValid() {
			return fmt.Errorf("ingress %v", svc.Status.LoadBalancer.Ingress)
		}
		return nil
	})
	return v4, v6
}

// nodes are the names of all nodes.
func (s *scene) nodes() []string {
	var out []string
	for _, h := range s.Lab.Hosts(lab.RoleNode) {
		out = append(out, h.Name)
	}
	return out
}

// over marks nodes as announcing over IPv6.
func over(nodes ...string) []string {
	var out []string
	for _, n := range nodes {
		out = append(out, n+"/6")
	}
	return out
}

// served waits until the far client gets pages through the address from exactly these nodes.
func (s *scene) served(p netip.Prefix, wanted ...string) {
	s.t.Helper()
	s.Eventually(fmt.Sprintf("%s gets pages through %s from %v", far, p, wanted), soon, func(ctx context.Context) error {
		seen := map[string]bool{}
		for range 10 * len(wanted) {
			r, err := s.GetFrom(ctx, far, url(p))
			if err != nil {
				return err
			}
			seen[r.Page.Node] = true
		}
		if nodes := slices.Sorted(keys(seen)); !slices.Equal(nodes, wanted) {
			return fmt.Errorf("pages came from %v", nodes)
		}
		return nil
	})
}

func url(p netip.Prefix) string { return "http://" + netip.AddrPortFrom(p.Addr(), 80).String() + "/" }

// kubectl runs kubectl, also when the test is over.
func (s *scene) kubectl(args ...string) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(s.t.Context()), 2*time.Minute)
	defer cancel()
	if out, err := s.Lab.Kubectl(ctx, nil, args...); err != nil {
		s.t.Errorf("kubectl %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

// label sets a label of a node until the test ends; the function returned removes it before.
func (s *scene) label(node, key, value string) (remove func()) {
	s.t.Helper()
	s.kubectl("label", "node", node, key+"="+value, "--overwrite")
	remove = func() { s.kubectl("label", "node", node, key+"-") }
	s.t.Cleanup(remove)
	return remove
}

// sessionReport is what `lintel why --peer` says about one node.
type sessionReport struct {
	Node        string `json:"node"`
	Neighbor    string `json:"neighbor"`
	State       string `json:"state"`
	LastError   string `json:"lastError"`
	BFD         string `json:"bfd"`
	BFDDetail   string `json:"bfdDetail"`
	Prefixes    int    `json:"prefixes"`
	Unknown     string `json:"unknown"`
	NotSelected bool   `json:"notSelected"`
}

// peerReport is what `lintel why --peer -o json` says.
type peerReport struct {
	Refused  string          `json:"refused"`
	Sessions []sessionReport `json:"sessions"`
}

// forgotten waits until no speaker has a session of a test before: the speaker of a node that was
// cut off may learn late that they are gone.
func (s *scene) forgotten() {
	s.t.Helper()
	s.Eventually("no speaker has a session left", established, func(ctx context.Context) error {
		out, err := s.Lab.Exec(ctx, "cp", lintelBinary, "--kubeconfig", s.Lab.Kubeconfig(), "status", "-o", "json")
		if err != nil {
			return fmt.Errorf("%w\n%s", err, out)
		}
		var r struct {
			Speakers []struct {
				Node, Error string
				Sessions    int
			}
		}
		if err := json.Unmarshal(out, &r); err != nil {
			return err
		}
		for _, x := range r.Speakers {
			if x.Error != "" || x.Sessions > 0 {
				return fmt.Errorf("%+v", r)
			}
		}
		return nil
	})
}

func (s *scene) why(ctx context.Context, peer string) (peerReport, error) {
	var r peerReport
	out, err := s.Lab.Exec(ctx, "cp", lintelBinary, "--kubeconfig", s.Lab.Kubeconfig(), "why", "--peer", peer, "-o", "json")
	if err == nil {
		err = json.Unmarshal(out, &r)
	}
	if err != nil {
		return r, fmt.Errorf("why --peer %s: %w\n%s", peer, err, out)
	}
	return r, nil
}

// explained waits until why --peer says of every node that the session is not up and one of
// the words, and prints what it says.
func (s *scene) explained(peer string, words ...string) {
	s.t.Helper()
	var said []string
	s.Eventually(fmt.Sprintf("why --peer %s says %q", peer, words), established, func(ctx context.Context) error {
		r, err := s.why(ctx, peer)
		if err != nil {
			return err
		}
		said = nil
		for _, x := range r.Sessions {
			has := func(w string) bool { return strings.Contains(x.LastError, w) }
			if x.State == "" || x.State == "Established" || !slices.ContainsFunc(words, has) {
				return fmt.Errorf("%+v", r)
			}
			said = append(said, x.LastError)
		}
		if len(said) != len(s.nodes()) {
			return fmt.Errorf("%+v", r)
		}
		return nil
	})
	s.t.Logf("why --peer: %s", said[0])
}

// statuses are the peers of a Service's ServiceBGPStatus objects, by node.
func (s *scene) statuses(ctx context.Context, service string) (map[string][]string, error) {
	list := &unstructured.UnstructuredList{}
	list.SetGroupVersionKind(schema.GroupVersionKind{Group: "metallb.io", Version: "v1beta1", Kind: "ServiceBGPStatusList"})
	err := s.Client.List(ctx, list, client.InNamespace(install.Namespace),
		client.MatchingLabels{"metallb.io/service-name": service, "metallb.io/service-namespace": s.Namespace})
	out := map[string][]string{}
	for _, o := range list.Items {
		node, _, err1 := unstructured.NestedString(o.Object, "status", "node")
		peers, _, err2 := unstructured.NestedStringSlice(o.Object, "status", "peers")
		err = errors.Join(err, err1, err2)
		out[node] = peers
	}
	return out, err
}

// reported waits until the ServiceBGPStatus objects of a Service are exactly these.
func (s *scene) reported(service string, want map[string][]string) {
	s.t.Helper()
	s.Eventually(fmt.Sprintf("the ServiceBGPStatus objects of %s are %v", service, want), soon, func(ctx context.Context) error {
		got, err := s.statuses(ctx, service)
		if err == nil && !maps.EqualFunc(got, want, slices.Equal) {
			err = fmt.Errorf("they are %v", got)
		}
		return err
	})
}

// each gives the same peers to nodes.
func each(nodes []string, peers ...string) map[string][]string {
	out := map[string][]string{}
	for _, n := range nodes {
		out[n] = peers
	}
	return out
}

// untouched fails the test if any of these sessions was reset since.
func (s *scene) untouched(v6 bool, before map[string]neighbor) {
	s.t.Helper()
	after := s.router.sessions(v6, slices.Sorted(keys(before))...)
	for node, b := range before {
		if a := after[node]; a.resetSince(b) {
			s.t.Errorf("the session of %s was reset: %+v before, %+v now", node, b, a)
		}
	}
}

func keys[V any](m map[string]V) iter.Seq[string] { return maps.Keys(m) }
