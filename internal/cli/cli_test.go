package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/api/meta/testrestmapper"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	fakeclientset "k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	"github.com/lintel-lb/lintel/api/v1beta1"
	"github.com/lintel-lb/lintel/api/v1beta2"
	"github.com/lintel-lb/lintel/internal/kube/diagnose"
	"github.com/lintel-lb/lintel/internal/kube/endpoint"
	"github.com/lintel-lb/lintel/internal/l2"
	"github.com/lintel-lb/lintel/internal/lb"
)

var update = flag.Bool("update", false, "rewrite the expected outputs")

func ptr[T any](v T) *T { return &v }

// world is a cluster of n1, n2 and n3. The speaker of n3 cannot be asked.
func world(t *testing.T, more ...client.Object) *cluster {
	t.Helper()
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{corev1.AddToScheme, discoveryv1.AddToScheme, v1beta1.AddToScheme, v1beta2.AddToScheme} {
		if err := add(scheme); err != nil {
			t.Fatal(err)
		}
	}
	meta := func(ns, name string) metav1.ObjectMeta { return metav1.ObjectMeta{Namespace: ns, Name: name} }
	service := func(name string, ingress ...string) *corev1.Service {
		s := &corev1.Service{ObjectMeta: meta("default", name), Spec: corev1.ServiceSpec{Type: corev1.ServiceTypeLoadBalancer, ClusterIPs: []string{"10.96.0.1"}}}
		s.UID = "uid-" + "x"
		for _, ip := range ingress {
			s.Status.LoadBalancer.Ingress = append(s.Status.LoadBalancer.Ingress, corev1.LoadBalancerIngress{IP: ip})
			s.Annotations = map[string]string{"metallb.io/ip-allocated-from-pool": "lan"}
		}
		return s
	}
	slice := &discoveryv1.EndpointSlice{ObjectMeta: meta("default", "web-1"), AddressType: discoveryv1.AddressTypeIPv4,
		Endpoints: []discoveryv1.Endpoint{{NodeName: ptr("n1")}, {NodeName: ptr("n2")}}}
	slice.Labels = map[string]string{discoveryv1.LabelServiceName: "web"}
	objects := []client.Object{
		service("web", "192.0.2.11"), service("empty", "192.0.2.12"), service("waiting"), slice,
		&corev1.Service{ObjectMeta: meta("default", "internal"), Spec: corev1.ServiceSpec{Type: corev1.ServiceTypeClusterIP}},
		&corev1.Service{ObjectMeta: meta("default", "foreign"), Spec: corev1.ServiceSpec{Type: corev1.ServiceTypeLoadBalancer, LoadBalancerClass: ptr("example.org/other")}},
		&v1beta1.IPAddressPool{ObjectMeta: meta("metallb-system", "lan"), Spec: v1beta1.IPAddressPoolSpec{Addresses: []string{"192.0.2.0/24"}}},
		&v1beta1.IPAddressPool{ObjectMeta: meta("metallb-system", "typo"), Spec: v1beta1.IPAddressPoolSpec{Addresses: []string{"192.0.2.300/24"}}},
		&v1beta1.L2Advertisement{ObjectMeta: meta("metallb-system", "lan")},
		&v1beta2.BGPPeer{ObjectMeta: meta("metallb-system", "router"), Spec: v1beta2.BGPPeerSpec{MyASN: 65007, ASN: 65000, Address: "192.0.2.254",
			NodeSelectors: []metav1.LabelSelector{{MatchLabels: map[string]string{"router": "yes"}}}}},
		&corev1.Event{ObjectMeta: meta("default", "e1"), Type: corev1.EventTypeWarning, Reason: "AllocationFailed", Message: `no available IPs in pool lan`,
			InvolvedObject: corev1.ObjectReference{Kind: "Service", Name: "waiting", UID: "uid-x"}},
	}
	for _, n := range []string{"n1", "n2", "n3"} {
		node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: n, Labels: map[string]string{"router": map[string]string{"n1": "yes", "n3": "yes"}[n]}}}
		pod := &corev1.Pod{ObjectMeta: meta("metallb-system", "speaker-"+n), Spec: corev1.PodSpec{NodeName: n}}
		pod.Labels = map[string]string{"component": "speaker"}
		objects = append(objects, node, pod)
	}
	controller := &corev1.Pod{ObjectMeta: meta("metallb-system", "controller"), Status: corev1.PodStatus{
		Conditions: []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}}}}
	controller.Labels = map[string]string{"component": "controller"}
	objects = append(objects, controller)
	c := fake.NewClientBuilder().WithScheme(scheme).WithRESTMapper(testrestmapper.TestOnlyStaticRESTMapper(scheme)).WithObjects(append(objects, more...)...).
		WithIndex(&corev1.Event{}, "involvedObject.name", func(o client.Object) []string { return []string{o.(*corev1.Event).InvolvedObject.Name} }).
		WithIndex(&corev1.Event{}, "involvedObject.kind", func(o client.Object) []string { return []string{o.(*corev1.Event).InvolvedObject.Kind} }).
		Build()
	clientset := fakeclientset.NewClientset(&corev1.ServiceAccount{ObjectMeta: meta("metallb-system", "lintel-inspector")})
	clientset.PrependReactor("create", "serviceaccounts", func(a clienttesting.Action) (bool, runtime.Object, error) {
		return a.GetSubresource() == "token", &authenticationv1.TokenRequest{Status: authenticationv1.TokenRequestStatus{Token: "secret"}}, nil
	})
	return &cluster{client: c, clientset: clientset, namespace: "default", system: "metallb-system", account: "lintel-inspector", inspect: inspect}
}

// inspect answers as the speakers of n1 and n2; n1 announces web.
func inspect(_ context.Context, pod *corev1.Pod, token string, service *lb.ServiceKey) (*endpoint.SpeakerReport, error) {
	node := pod.Spec.NodeName
	if node == "n3" {
		return nil, errors.New("connection refused")
	}
	if token != "secret" {
		return nil, errors.New("unauthorized")
	}
	r := &endpoint.SpeakerReport{Node: node, Version: "v1", Classes: []string{""}, Members: []string{"n1", "n2"},
		Links: []lb.Link{{Name: "eth0", Usable: true, ARP: true, NDP: true, Prefixes: []netip.Prefix{netip.MustParsePrefix("192.0.2.1/24")}}}}
	address := netip.MustParseAddr("192.0.2.11")
	web := lb.ServiceKey{Namespace: "default", Name: "web"}
	if node == "n1" {
		r.Addresses = []endpoint.AnnouncedAddress{{Address: address, Services: []lb.ServiceKey{web}, Protocol: lb.Layer2, Layer2: &l2.AddressState{}}}
		r.Sessions = []endpoint.Session{{Peer: "router", State: "Active", LastError: "dial tcp 192.0.2.254:179: connection refused"}}
	}
	if service != nil {
		v := lb.Verdict{Service: *service, Address: address, Node: node, Protocol: lb.Layer2, Outcome: lb.Announce, Reason: lb.Elected, AllLinks: true}
		switch {
		case *service == lb.ServiceKey{Namespace: "default", Name: "empty"}:
			v = lb.Verdict{Service: *service, Address: netip.MustParseAddr("192.0.2.12"), Node: node, Protocol: lb.Layer2, Outcome: lb.Not, Reason: lb.NoEndpoints}
		case node == "n2":
			v.Outcome, v.Reason, v.AllLinks, v.Owner = lb.Not, lb.OtherNode, false, "n1"
		}
		r.Verdicts = []lb.Verdict{v}
	}
	return r, nil
}

// TestOutputs compares what is printed for people with files. A reader of a change sees it as
// a change of text.
func TestOutputs(t *testing.T) {
	ipvs := func(c *cluster) {
		cm := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: diagnose.KubeProxyNamespace, Name: diagnose.KubeProxyConfigMap},
			Data: map[string]string{"config.conf": "mode: ipvs"}}
		if _, err := c.clientset.CoreV1().ConfigMaps(cm.Namespace).Create(context.Background(), cm, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	explain := func(name string) func(*cluster) (printer, error) {
		return func(c *cluster) (printer, error) { return c.explain(t.Context(), serviceKey(c.namespace, name)) }
	}
	for _, row := range []struct {
		name string
		prep func(*cluster)
		ask  func(*cluster) (printer, error)
	}{
		{name: "why-announced", ask: explain("default/web")},
		{name: "why-no-endpoints", ask: explain("empty")},
		{name: "why-no-address", ask: explain("waiting")},
		{name: "why-no-events", prep: func(c *cluster) {
			if err := c.client.DeleteAllOf(t.Context(), &corev1.Event{}, client.InNamespace("default")); err != nil {
				t.Fatal(err)
			}
			if err := c.client.DeleteAllOf(t.Context(), &v1beta1.IPAddressPool{}, client.InNamespace(c.system)); err != nil {
				t.Fatal(err)
			}
		}, ask: explain("waiting")},
		{name: "why-no-controller", prep: func(c *cluster) {
			if err := c.client.DeleteAllOf(t.Context(), &corev1.Pod{}, client.InNamespace(c.system)); err != nil {
				t.Fatal(err)
			}
		}, ask: explain("waiting")},
		{name: "why-other-namespace", prep: func(c *cluster) { c.system = "lintel" }, ask: explain("web")},
		{name: "why-not-a-load-balancer", ask: explain("internal")},
		{name: "why-other-class", ask: explain("foreign")},
		{name: "why-strict-arp", prep: ipvs, ask: explain("web")},
		{name: "why-node", ask: func(c *cluster) (printer, error) { return c.explainNode(t.Context(), "n2") }},
		{name: "why-node-unreachable", ask: func(c *cluster) (printer, error) { return c.explainNode(t.Context(), "n3") }},
		{name: "why-peer", ask: func(c *cluster) (printer, error) { return c.explainPeer(t.Context(), "router") }},
		{name: "status", ask: func(c *cluster) (printer, error) {
			p, err := c.look(t.Context(), nil)
			if err != nil {
				return nil, err
			}
			return p.overview(), nil
		}},
	} {
		t.Run(row.name, func(t *testing.T) {
			c := world(t)
			if row.prep != nil {
				row.prep(c)
			}
			e, err := row.ask(c)
			if err != nil {
				t.Fatal(err)
			}
			var out bytes.Buffer
			if err := e.print(&out); err != nil {
				t.Fatal(err)
			}
			golden(t, filepath.Join("testdata", row.name+".txt"), out.String())
			var asJSON bytes.Buffer
			if err := (&options{output: "json"}).show(&asJSON, e); err != nil {
				t.Fatal(err)
			}
			if !json.Valid(asJSON.Bytes()) {
				t.Errorf("-o json is not JSON: %s", asJSON.String())
			}
		})
	}
}

func golden(t *testing.T, file, got string) {
	t.Helper()
	// Tables end lines with spaces; files in the repository do not.
	lines := strings.Split(got, "\n")
	for i := range lines {
		lines[i] = strings.TrimRight(lines[i], " ")
	}
	got = strings.Join(lines, "\n")
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got); -update rewrites it\n%s", file, diff)
	}
}

func TestUnknownThings(t *testing.T) {
	c := world(t)
	for name, ask := range map[string]func() error{
		"Service": func() error { _, err := c.explain(t.Context(), serviceKey("default", "nope")); return err },
		"Node":    func() error { _, err := c.explainNode(t.Context(), "nope"); return err },
		"BGPPeer": func() error { _, err := c.explainPeer(t.Context(), "nope"); return err },
	} {
		if err := ask(); err == nil || !strings.Contains(err.Error(), "nope") {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

func TestArguments(t *testing.T) {
	for _, args := range [][]string{{"why"}, {"why", "a", "b"}, {"why", "a", "--node", "n1"}, {"why", "--node", "n1", "--peer", "p"}, {"status", "x"}, {"status", "-o", "yaml"}} {
		if err := Run(t.Context(), "v1", append(args, "--kubeconfig", "/nonexistent")); err == nil {
			t.Errorf("lintel %v: no error", args)
		}
	}
}

// A node has a second pod after an eviction, and while MetalLB is being taken over.
func TestTheSpeakerThatAnswersCounts(t *testing.T) {
	for range 20 {
		c := world(t)
		var pods corev1.PodList
		if err := c.client.List(t.Context(), &pods); err != nil {
			t.Fatal(err)
		}
		evicted := corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "evicted"}, Spec: corev1.PodSpec{NodeName: "n1"}, Status: corev1.PodStatus{Phase: corev1.PodFailed}}
		foreign := corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "metallb"}, Spec: corev1.PodSpec{NodeName: "n1"}}
		for _, p := range []*corev1.Pod{&evicted, &foreign} {
			p.Labels = map[string]string{"component": "speaker"}
			pods.Items = append(pods.Items, *p)
		}
		c.inspect = func(ctx context.Context, pod *corev1.Pod, token string, service *lb.ServiceKey) (*endpoint.SpeakerReport, error) {
			if pod.Name == "evicted" || pod.Name == "metallb" {
				return nil, errors.New("connection refused by " + pod.Name)
			}
			return inspect(ctx, pod, token, service)
		}
		if a := c.ask(t.Context(), pods.Items, nil)["n1"]; a.report == nil {
			t.Fatalf("got %v", a.err)
		}
	}
	c := world(t)
	gone := corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "evicted", Labels: map[string]string{"component": "speaker"}},
		Spec: corev1.PodSpec{NodeName: "n1"}, Status: corev1.PodStatus{Phase: corev1.PodFailed}}
	if a, asked := c.ask(t.Context(), []corev1.Pod{gone}, nil)["n1"]; asked {
		t.Errorf("a pod that has ended was asked: %v", a.err)
	}
}

// The words of a node about an address that its speaker does not announce, or announces for
// another Service.
func TestNodeSaysWhatItsSpeakerDoes(t *testing.T) {
	meta := func(ns, name string) metav1.ObjectMeta { return metav1.ObjectMeta{Namespace: ns, Name: name} }
	web, routed := netip.MustParseAddr("192.0.2.11"), netip.MustParseAddr("198.51.100.1")
	shares := &corev1.Service{ObjectMeta: meta("default", "shares"), Spec: corev1.ServiceSpec{Type: corev1.ServiceTypeLoadBalancer}}
	shares.Status.LoadBalancer.Ingress = []corev1.LoadBalancerIngress{{IP: web.String()}}
	routes := shares.DeepCopy()
	routes.Name, routes.Status.LoadBalancer.Ingress = "routed", []corev1.LoadBalancerIngress{{IP: routed.String()}}
	slice := &discoveryv1.EndpointSlice{ObjectMeta: meta("default", "routed-1"), Endpoints: []discoveryv1.Endpoint{{NodeName: ptr("n2")}}}
	slice.Labels = map[string]string{discoveryv1.LabelServiceName: "routed"}
	more := []client.Object{shares, routes, slice,
		&v1beta1.IPAddressPool{ObjectMeta: meta("metallb-system", "wan"), Spec: v1beta1.IPAddressPoolSpec{Addresses: []string{"198.51.100.0/24"}}},
		&v1beta1.BGPAdvertisement{ObjectMeta: meta("metallb-system", "wan"), Spec: v1beta1.BGPAdvertisementSpec{IPAddressPools: []string{"wan"}}},
	}
	layer2 := endpoint.AnnouncedAddress{Address: web, Protocol: lb.Layer2, Layer2: &l2.AddressState{}}
	for _, tt := range []struct {
		name   string
		report endpoint.SpeakerReport
		want   map[string]lb.Reason
	}{
		{"all is well", endpoint.SpeakerReport{Addresses: []endpoint.AnnouncedAddress{layer2, {Address: routed, Protocol: lb.BGP, Peers: []string{"router"}}}},
			map[string]lb.Reason{"web": lb.Elected, "shares": lb.NoEndpoints, "routed": lb.Elected}},
		{"no session is up", endpoint.SpeakerReport{Addresses: []endpoint.AnnouncedAddress{layer2}},
			map[string]lb.Reason{"web": lb.Elected, "shares": lb.NoEndpoints, "routed": lb.SessionDown}},
		{"another station", endpoint.SpeakerReport{Held: map[netip.Addr]string{web: "02:00:00:00:00:01 on eth0"}, Drained: true},
			map[string]lb.Reason{"web": lb.AddressConflict, "shares": lb.NoEndpoints, "routed": lb.NodeDraining}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := world(t, more...)
			c.inspect = func(_ context.Context, pod *corev1.Pod, _ string, _ *lb.ServiceKey) (*endpoint.SpeakerReport, error) {
				if pod.Spec.NodeName != "n1" {
					return nil, errors.New("connection refused")
				}
				r := tt.report
				r.Node, r.Classes, r.Members = "n1", []string{""}, []string{"n1"}
				r.Links = []lb.Link{{Name: "eth0", Usable: true, ARP: true, NDP: true}}
				return &r, nil
			}
			e, err := c.explainNode(t.Context(), "n1")
			if err != nil {
				t.Fatal(err)
			}
			for _, l := range e.Lines {
				if by := map[bool]lb.Protocol{true: lb.BGP, false: lb.Layer2}[l.Service.Name == "routed"]; l.Protocol != by {
					continue
				}
				if want, asked := tt.want[l.Service.Name]; asked && (l.Reason != want || l.Disagrees) {
					t.Errorf("%s: %v, disagrees %v, want %v", l.Service.Name, l.Reason, l.Disagrees, want)
				}
			}
		})
	}
}

// Where the system refuses a speaker its sockets nobody answers, though it was elected.
func TestASpeakerThatCannotAnswerSaysSo(t *testing.T) {
	c := world(t)
	c.inspect = func(ctx context.Context, pod *corev1.Pod, token string, service *lb.ServiceKey) (*endpoint.SpeakerReport, error) {
		r, err := inspect(ctx, pod, token, service)
		if err == nil && pod.Spec.NodeName == "n1" {
			r.Addresses[0].Layer2.Problems = []l2.Problem{{Link: "eth0", Reason: l2.SocketFailed, Detail: "operation not permitted"}}
		}
		return r, err
	}
	p, err := c.look(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	service, err := c.explain(t.Context(), serviceKey("default", "web"))
	if err != nil {
		t.Fatal(err)
	}
	node, err := c.explainNode(t.Context(), "n1")
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		printer
		want string
	}{
		{service, "no         Elected          is to answer for the address and cannot: eth0: socket-failed: operation not permitted"},
		{node, "no         Elected      is to answer for the address and cannot: eth0: socket-failed: operation not permitted"},
		{p.overview(), "-             see: kubectl lintel why default/web"},
	} {
		var out bytes.Buffer
		if err := tt.print(&out); err != nil || !strings.Contains(out.String(), tt.want) {
			t.Errorf("%v: no %q in\n%s", err, tt.want, out.String())
		}
	}
}

// Speakers that do not watch each other elect among all nodes, and what is said here agrees.
func TestSpeakersThatDoNotWatchEachOther(t *testing.T) {
	for _, alone := range []bool{false, true} {
		c := world(t)
		c.inspect = func(ctx context.Context, pod *corev1.Pod, token string, service *lb.ServiceKey) (*endpoint.SpeakerReport, error) {
			r, err := inspect(ctx, pod, token, service)
			if err == nil && alone {
				r.Alone, r.Members = true, nil
			}
			return r, err
		}
		e, err := c.explain(t.Context(), serviceKey("default", "web"))
		if err != nil {
			t.Fatal(err)
		}
		i := slices.IndexFunc(e.Nodes, func(v nodeVerdict) bool { return v.Node == "n3" && v.Protocol == lb.Layer2 })
		if i < 0 {
			t.Fatalf("nothing is said of n3: %+v", e.Nodes)
		}
		if dead := e.Nodes[i].Reason == lb.SpeakerNotAlive; dead == alone {
			t.Errorf("alone %t: n3 has the reason %v", alone, e.Nodes[i].Reason)
		}
	}
}

// While --lb-class is rolled out, a Service of the old class and one of the new are both looked at.
func TestClassesOfAllSpeakers(t *testing.T) {
	p := &picture{answers: map[string]answer{
		"n1": {report: &endpoint.SpeakerReport{Classes: []string{"old"}}}, "n2": {report: &endpoint.SpeakerReport{Classes: []string{"new", "old"}}},
		"n3": {report: &endpoint.SpeakerReport{}}}}
	if got := p.classes(); !slices.Equal(got, []string{"new", "old"}) {
		t.Errorf("%q", got)
	}
	p = &picture{answers: map[string]answer{"n3": {report: &endpoint.SpeakerReport{}}}}
	if got := p.classes(); !slices.Equal(got, []string{""}) {
		t.Errorf("%q", got)
	}
}
