package translate

import (
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/lintel-lb/lintel/internal/lb"
)

func ptr[T any](v T) *T { return &v }

func TestClasses(t *testing.T) {
	lbType := func(class *string) *corev1.Service {
		return &corev1.Service{Spec: corev1.ServiceSpec{Type: corev1.ServiceTypeLoadBalancer, LoadBalancerClass: class}}
	}
	for _, row := range []struct {
		name string
		flag string
		svc  *corev1.Service
		want bool
		why  lb.Reason
	}{
		{"3.1 no flag, no class", "", lbType(nil), true, 0},
		{"3.1 no flag, some class", "", lbType(ptr("x")), false, lb.OtherClass},
		{"3.1 flag x, no class", "x", lbType(nil), false, lb.OtherClass},
		{"3.1 flag x, class x", "x", lbType(ptr("x")), true, 0},
		{"3.1 flag x, class y", "x", lbType(ptr("y")), false, lb.OtherClass},
		{"several classes", "x, y", lbType(ptr("y")), true, 0},
		{"class and classless", "x,", lbType(nil), true, 0},
		{"other type", "", &corev1.Service{Spec: corev1.ServiceSpec{Type: corev1.ServiceTypeNodePort}}, false, lb.NotLoadBalancer},
	} {
		t.Run(row.name, func(t *testing.T) {
			if ok, why := ParseClasses(row.flag).Handles(row.svc); ok != row.want || why != row.why {
				t.Errorf("got %v %v, want %v %v", ok, why, row.want, row.why)
			}
		})
	}
}

func TestService(t *testing.T) {
	svc := &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: "shop", Name: "web", UID: "u1", Labels: map[string]string{"app": "web"},
			Annotations: map[string]string{
				"metallb.io/allow-shared-ip":          "key",
				"metallb.io/address-pool":             "lan",
				"metallb.io/ip-allocated-from-pool":   "lan",
				"metallb.universe.tf/loadBalancerIPs": "192.0.2.7,2001:db8::7",
			},
		},
		Spec: corev1.ServiceSpec{
			Type:                  corev1.ServiceTypeLoadBalancer,
			ClusterIPs:            []string{"fd96::1", "10.96.0.9"},
			IPFamilies:            []corev1.IPFamily{corev1.IPv6Protocol, corev1.IPv4Protocol},
			IPFamilyPolicy:        ptr(corev1.IPFamilyPolicyPreferDualStack),
			ExternalTrafficPolicy: corev1.ServiceExternalTrafficPolicyLocal,
			Selector:              map[string]string{"b": "2", "a": "1"},
			Ports:                 []corev1.ServicePort{{Protocol: corev1.ProtocolTCP, Port: 80}},
		},
		Status: corev1.ServiceStatus{LoadBalancer: corev1.LoadBalancerStatus{Ingress: []corev1.LoadBalancerIngress{
			{IP: "192.0.2.7"}, {Hostname: "lb.example.org"}, {IP: "garbage"},
		}}},
	}
	want := &lb.Service{
		Key: lb.ServiceKey{Namespace: "shop", Name: "web"}, UID: "u1", Labels: map[string]string{"app": "web"},
		ClusterIPs:    []netip.Addr{netip.MustParseAddr("fd96::1"), netip.MustParseAddr("10.96.0.9")},
		PrimaryFamily: lb.IPv6, FamilyPolicy: lb.PreferDualStack,
		Ports: []lb.Port{{Protocol: "TCP", Number: 80}}, TrafficPolicy: lb.Local, Backend: "a=1,b=2",
		SharingKey:     "key",
		Request:        lb.Request{Pool: "lan", Addresses: []netip.Addr{netip.MustParseAddr("192.0.2.7"), netip.MustParseAddr("2001:db8::7")}},
		Addresses:      []netip.Addr{netip.MustParseAddr("192.0.2.7")},
		ForeignIngress: []string{"lb.example.org", "garbage"},
		AssignedPool:   "lan",
	}
	if diff := cmp.Diff(want, Service(svc), cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	foreign := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Finalizers: []string{cloudFinalizer}}}
	if Service(foreign).OtherController == "" {
		t.Error("a Service of a cloud provider's controller is not recognised")
	}
	ours := foreign.DeepCopy()
	ours.Spec.LoadBalancerClass = ptr("ours")
	if got := Service(ours).OtherController; got != "" {
		t.Errorf("a Service whose class is ours belongs to %s", got)
	}
	foreign.Annotations = map[string]string{"metallb.io/ip-allocated-from-pool": "lan"}
	if got := Service(foreign).OtherController; got != "" {
		t.Errorf("a Service that has an address of ours belongs to %s", got)
	}
	headless := &corev1.Service{Spec: corev1.ServiceSpec{ClusterIP: "None", ClusterIPs: []string{"None"}}}
	if got := Service(headless).ClusterIPs; len(got) != 0 {
		t.Errorf("a headless Service has cluster addresses %v", got)
	}
}

func TestSliceCountsUsableEndpoints(t *testing.T) {
	cond := func(ready, serving *bool) discoveryv1.EndpointConditions {
		return discoveryv1.EndpointConditions{Ready: ready, Serving: serving, Terminating: ptr(true)}
	}
	s := &discoveryv1.EndpointSlice{Endpoints: []discoveryv1.Endpoint{
		{NodeName: ptr("n1"), Conditions: cond(ptr(true), nil)},
		{NodeName: ptr("n1"), Conditions: cond(nil, nil)},
		{NodeName: ptr("n2"), Conditions: cond(ptr(false), ptr(true))},
		{NodeName: ptr("n3"), Conditions: cond(ptr(false), ptr(false))},
		{Conditions: cond(ptr(true), ptr(true))},
	}}
	other := SliceSum{Endpoints: lb.Endpoints{Total: 1, Usable: 1, ByNode: map[string]int{"n2": 1}}}
	v6 := SliceSum{Type: discoveryv1.AddressTypeIPv6, Endpoints: lb.Endpoints{Total: 2, Usable: 2, ByNode: map[string]int{"n1": 1, "n4": 1}}}
	got := Sum(map[string]SliceSum{"s1": Slice(s), "s2": other, "v6": v6})
	want := lb.Endpoints{Total: 6, Usable: 5, ByNode: map[string]int{"n1": 2, "n2": 2, "n4": 1}, Terminating: map[string]int{"n2": 1}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("4.2 usable endpoints (-want +got)\n%s", diff)
	}
}

func TestNode(t *testing.T) {
	n := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "n1", Labels: map[string]string{"a": "b"}}, Status: corev1.NodeStatus{
		Conditions: []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionFalse}, {Type: corev1.NodeNetworkUnavailable, Status: corev1.ConditionTrue}},
		Addresses:  []corev1.NodeAddress{{Type: corev1.NodeHostName, Address: "n1"}, {Type: corev1.NodeInternalIP, Address: "10.0.0.1"}, {Type: corev1.NodeExternalIP, Address: "192.0.2.1"}},
	}}
	want := &lb.Node{Name: "n1", Labels: map[string]string{"a": "b"}, NetworkUnavailable: true, Addresses: []netip.Addr{netip.MustParseAddr("10.0.0.1")}}
	if got := Node(n); !got.Equal(want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
}
