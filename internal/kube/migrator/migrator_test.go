package migrator

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go4.org/netipx"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	clienttesting "k8s.io/client-go/testing"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	"github.com/lintel-lb/lintel/api/v1beta1"
	"github.com/lintel-lb/lintel/api/v1beta2"
	"github.com/lintel-lb/lintel/internal/kube/mixed"
	"github.com/lintel-lb/lintel/internal/kube/resources"
	"github.com/lintel-lb/lintel/internal/lb"
	"github.com/lintel-lb/lintel/internal/takeover"
)

const namespace = "metallb-system"

// manifests are Lintel's, without definitions.
func manifests(t *testing.T) []byte {
	t.Helper()
	var out []byte
	for _, f := range []string{"rbac.yaml", "controller.yaml", "speaker.yaml"} {
		b, err := os.ReadFile(filepath.Join("..", "..", "..", "config", f))
		if err != nil {
			t.Fatal(err)
		}
		out = append(append(out, "---\n"...), b...)
	}
	return out
}

// start is a cluster with MetalLB on these nodes, and a Service.
func start(t *testing.T, nodes ...string) *Migrator {
	t.Helper()
	scheme, err := resources.Scheme()
	if err != nil {
		t.Fatal(err)
	}
	// A tracker that knows no owners of fields: keeping them takes most of the time.
	tracker := clienttesting.NewObjectTracker(scheme, serializer.NewCodecFactory(scheme).UniversalDecoder())
	b := fake.NewClientBuilder().WithScheme(scheme).WithObjectTracker(tracker)
	text, err := os.ReadFile(filepath.Join("..", "..", "takeover", "testdata", "metallb.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	objects, err := takeover.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range objects {
		b = b.WithObjects(o)
	}
	for _, n := range nodes {
		b = b.WithObjects(&corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: n}}, pod("speaker", n, true))
	}
	b = b.WithObjects(&corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "web", UID: "web-1"}, Spec: corev1.ServiceSpec{Type: corev1.ServiceTypeLoadBalancer},
		Status: corev1.ServiceStatus{LoadBalancer: corev1.LoadBalancerStatus{Ingress: []corev1.LoadBalancerIngress{{IP: "192.0.2.10"}}}}},
		&v1beta2.BGPPeer{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "tor"}, Spec: v1beta2.BGPPeerSpec{MyASN: 65000, ASN: 65000}})
	m := &Migrator{Client: b.Build(), Say: func(string, ...any) {}}
	m.World = func(context.Context) (*lb.World, error) { return world(nodes...), nil }
	return m
}

func pod(set, node string, isReady bool) *corev1.Pod {
	yes := true
	p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: set + "-" + node,
		OwnerReferences: []metav1.OwnerReference{{APIVersion: "apps/v1", Kind: "DaemonSet", Name: set, Controller: &yes}}},
		Spec: corev1.PodSpec{NodeName: node, Containers: []corev1.Container{{Name: "speaker", Args: []string{"--port=9120"}}}}}
	if isReady {
		p.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}}
	}
	return p
}

// world has Service web, announced by layer 2 from all nodes, and Service local from the first.
func world(nodes ...string) *lb.World {
	w := lb.NewWorld()
	w.Config = (&lb.Config{
		Pools: []*lb.Pool{{Name: "lan", Ranges: []netipx.IPRange{netipx.MustParseIPRange("192.0.2.0-192.0.2.255")}}},
		L2:    []*lb.L2Advertisement{{Name: "lan", Pools: []string{"lan"}}},
	}).Index()
	add := func(name, address string, policy lb.TrafficPolicy) {
		k := lb.ServiceKey{Namespace: "default", Name: name}
		w.Services[k] = &lb.Service{Key: k, Addresses: []netip.Addr{netip.MustParseAddr(address)}, TrafficPolicy: policy}
		w.Endpoints[k] = lb.Endpoints{Usable: 1, Total: 1, ByNode: map[string]int{nodes[0]: 1}}
	}
	add("web", "192.0.2.10", lb.Cluster)
	add("local", "192.0.2.11", lb.Local)
	for _, n := range nodes {
		w.Nodes[n] = &lb.Node{Name: n, Labels: map[string]string{}}
	}
	return w
}

func TestReadFindsPlainMetalLB(t *testing.T) {
	m := start(t, "n1", "n2")
	s, err := m.Read(t.Context(), namespace, manifests(t))
	if err != nil {
		t.Fatal(err)
	}
	inv := s.Inventory
	if got := takeover.Objections(inv); len(got) > 0 {
		t.Errorf("objections %q", got)
	}
	if diff := cmp.Diff([]string{"n1", "n2"}, inv.Nodes); diff != "" {
		t.Errorf("nodes (-want +got)\n%s", diff)
	}
	if s.Record != nil || inv.Release != "" || !inv.PinsLocalPref() || inv.Old.Speaker.Name != "speaker" {
		t.Errorf("record %v, release %q, pins %t, speaker %s", s.Record, inv.Release, inv.PinsLocalPref(), inv.Old.Speaker.Name)
	}
}

func TestReadSaysWhatIsMissing(t *testing.T) {
	m := start(t, "n1")
	if _, err := m.Read(t.Context(), namespace, nil); err == nil || !strings.Contains(err.Error(), "--manifests") {
		t.Errorf("without manifests: %v", err)
	}
	if _, err := m.Read(t.Context(), namespace, []byte("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n")); err == nil || !strings.Contains(err.Error(), "of Lintel") {
		t.Errorf("manifests of something else: %v", err)
	}
	if err := m.Client.Delete(t.Context(), &appsv1.DaemonSet{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "speaker"}}); err != nil {
		t.Fatal(err)
	}
	if _, err := m.Read(t.Context(), namespace, manifests(t)); err == nil || !strings.Contains(err.Error(), "no MetalLB runs") {
		t.Errorf("without MetalLB: %v", err)
	}
}

func TestAnUnreadySpeakerStopsTheBeginning(t *testing.T) {
	m := start(t, "n1")
	if err := m.Client.Create(t.Context(), pod("speaker", "n2", false)); err != nil {
		t.Fatal(err)
	}
	s, err := m.Read(t.Context(), namespace, manifests(t))
	if err != nil {
		t.Fatal(err)
	}
	if got := takeover.Objections(s.Inventory); len(got) != 1 || !strings.Contains(got[0], "n2") {
		t.Errorf("objections %q", got)
	}
	// One that has begun goes on or back all the same.
	if err := m.begin(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	if s, err = m.Read(t.Context(), namespace, nil); err != nil {
		t.Fatal(err)
	}
	if got := takeover.Objections(s.Inventory); len(got) > 0 {
		t.Errorf("objections %q", got)
	}
}

func TestRecordOutlivesWhatItIsAbout(t *testing.T) {
	m := start(t, "n1", "n2")
	s, err := m.Read(t.Context(), namespace, manifests(t))
	if err != nil {
		t.Fatal(err)
	}
	if err := m.begin(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	s.Record.Set("node/n2", true)
	if err := m.save(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	for _, o := range []client.Object{&appsv1.DaemonSet{}, &appsv1.Deployment{}, &corev1.Pod{}} {
		if err := m.Client.DeleteAllOf(t.Context(), o, client.InNamespace(namespace)); err != nil {
			t.Fatal(err)
		}
	}
	again, err := m.Read(t.Context(), namespace, nil)
	if err != nil {
		t.Fatal(err)
	}
	if !again.Record.Has("node/n2") || !slices.Contains(again.Inventory.Nodes, "n2") || again.Inventory.Old.Version() != "v0.16.1" {
		t.Errorf("done %v, nodes %v, version %s", again.Record.Done, again.Inventory.Nodes, again.Inventory.Old.Version())
	}
	if diff := cmp.Diff(map[string]takeover.Service{"default/web": {UID: "web-1", Addresses: []string{"192.0.2.10"}}}, again.Record.Services); diff != "" {
		t.Errorf("addresses (-want +got)\n%s", diff)
	}
}

// Only a node that alone can announce an address is not drained.
func TestDrain(t *testing.T) {
	for node, drained := range map[string]bool{"n1": false, "n2": true} {
		m := start(t, "n1", "n2")
		s, err := m.Read(t.Context(), namespace, manifests(t))
		if err != nil {
			t.Fatal(err)
		}
		n := &corev1.Node{}
		get := func() {
			if err := m.Client.Get(t.Context(), client.ObjectKey{Name: node}, n); err != nil {
				t.Fatal(err)
			}
		}
		get()
		if err := m.drain(t.Context(), s, n); err != nil {
			t.Fatal(err)
		}
		if get(); (n.Labels[lb.LabelExclude] == takeover.DrainValue) != drained {
			t.Errorf("%s: labels %v, want drained %t", node, n.Labels, drained)
		}
		if err := m.undrain(t.Context(), node); err != nil {
			t.Fatal(err)
		}
		if get(); len(n.Labels) > 0 {
			t.Errorf("%s: labels %v are left", node, n.Labels)
		}
	}
}

func TestAUsersExclusionStays(t *testing.T) {
	m := start(t, "n1", "n2")
	s, err := m.Read(t.Context(), namespace, manifests(t))
	if err != nil {
		t.Fatal(err)
	}
	if err := m.label(t.Context(), "n2", lb.LabelExclude, "true"); err != nil {
		t.Fatal(err)
	}
	n := &corev1.Node{}
	if err := m.Client.Get(t.Context(), client.ObjectKey{Name: "n2"}, n); err != nil {
		t.Fatal(err)
	}
	if err := m.drain(t.Context(), s, n); err != nil {
		t.Fatal(err)
	}
	if err := m.undrain(t.Context(), "n2"); err != nil {
		t.Fatal(err)
	}
	if err := m.Client.Get(t.Context(), client.ObjectKey{Name: "n2"}, n); err != nil || n.Labels[lb.LabelExclude] != "true" {
		t.Errorf("labels %v, %v", n.Labels, err)
	}
}

func TestMixedMembershipOfTheTakeOver(t *testing.T) {
	m := start(t, "n1")
	s, err := m.Read(t.Context(), namespace, manifests(t))
	if err != nil {
		t.Fatal(err)
	}
	for range 2 { // the second time it is there already
		if err := m.mix(t.Context(), s); err != nil {
			t.Fatal(err)
		}
	}
	cm := &corev1.ConfigMap{}
	if err := m.Client.Get(t.Context(), client.ObjectKey{Namespace: namespace, Name: mixed.ConfigMap}, cm); err != nil {
		t.Fatal(err)
	}
	setting, err := mixed.Read(cm)
	if err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprint(setting.Speakers, setting.ZeroLocalPref); got != "app=metallb,component=speaker true" {
		t.Errorf("setting %s", got)
	}
}

func TestAnnouncedIsWhatBothSidesWrite(t *testing.T) {
	m := start(t, "n1")
	s, err := m.Read(t.Context(), namespace, manifests(t))
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range []client.Object{
		&v1beta1.ServiceL2Status{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "a"},
			Status: v1beta1.ServiceL2StatusValue{Node: "n1", ServiceNamespace: "default", ServiceName: "web"}},
		&v1beta1.ServiceL2Status{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "b"},
			Status: v1beta1.ServiceL2StatusValue{Node: "n2", ServiceNamespace: "default", ServiceName: "other"}},
		&v1beta1.ServiceBGPStatus{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "c"},
			Status: v1beta1.ServiceBGPStatusValue{Node: "n1", ServiceNamespace: "default", ServiceName: "web", Peers: []string{"tor"}}},
	} {
		if err := m.Client.Create(t.Context(), o); err != nil {
			t.Fatal(err)
		}
	}
	got, err := m.announced(t.Context(), s, "n1")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"default/web by layer2", "default/web to tor"}, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}
