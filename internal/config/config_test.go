package config

import (
	"net/netip"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"go4.org/netipx"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"sigs.k8s.io/yaml"

	"github.com/lintel-lb/lintel/api/v1beta1"
	"github.com/lintel-lb/lintel/api/v1beta2"
	"github.com/lintel-lb/lintel/internal/lb"
)

// exact compares everything of a Config but its index.
var exact = cmp.Options{
	cmpopts.IgnoreUnexported(lb.Config{}),
	cmp.Comparer(func(a, b netip.Addr) bool { return a == b }),
	cmp.Comparer(func(a, b netip.Prefix) bool { return a == b }),
	cmp.Comparer(func(a, b netipx.IPRange) bool { return a == b }),
}

func ranges(texts ...string) (out []netipx.IPRange) {
	for _, t := range texts {
		out = append(out, netipx.MustParseIPRange(t))
	}
	return out
}

func selector(t *testing.T, text string) lb.Selector {
	t.Helper()
	s, err := labels.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return lb.NewSelector(s)
}

func TestConfigOfPools(t *testing.T) {
	in := script(t, `
		IPAddressPool b {addresses: [10.0.0.7/24, " 10.1.0.1 - 10.1.0.2", "::ffff:10.2.0.0/120", "2001:db8::/127"]}
		IPAddressPool a {addresses: [10.5.0.0/24], autoAssign: false, avoidBuggyIPs: true, drain: true, retention: 10m, reservations: [{namespace: n1, name: s, addresses: [10.5.0.1, 10.5.0.2]}], quota: {perNamespace: 5, namespaces: [{namespace: n1, addresses: 0}]}, requesters: {namespaces: [n1], namespaceSelectors: [{matchLabels: {team: x}}]}, serviceAllocation: {priority: -2, namespaces: [n1], namespaceSelectors: [{matchLabels: {team: x}}], serviceSelectors: [{matchExpressions: [{key: app, operator: Exists}]}]}}
		IPAddressPool c {addresses: [10.6.0.0/24], serviceAllocation: {}, quota: {}, requesters: {}}`)
	until := time.Unix(5000, 0)
	for _, p := range in.Pools {
		if p.Name == "a" {
			p.Status.Retained = []v1beta1.RetainedAddress{
				{Namespace: "n1", Name: "gone", Address: "10.5.0.9", Until: metav1.NewTime(until)},
				{Namespace: "n1", Name: "moved", Address: "10.99.0.9", Until: metav1.NewTime(until)},
				{Namespace: "n1", Name: "bad", Address: "x", Until: metav1.NewTime(until)},
			}
		}
	}
	got := Parse(in)
	checkVerdicts(t, verdictLines(got.Verdicts), "")
	want := &lb.Config{Pools: []*lb.Pool{
		{
			Name:          "a",
			Ranges:        ranges("10.5.0.0-10.5.0.255"),
			AvoidBuggyIPs: true,
			Drain:         true,
			Allocation: &lb.Allocation{
				Priority:   -2,
				Namespaces: &lb.NamespaceSet{Names: []string{"n1"}, Selectors: lb.Selectors{selector(t, "team=x")}},
				Services:   lb.Selectors{selector(t, "app")},
			},
			Reservations: []lb.Reservation{{
				Service:   lb.ServiceKey{Namespace: "n1", Name: "s"},
				Addresses: []netip.Addr{netip.MustParseAddr("10.5.0.1"), netip.MustParseAddr("10.5.0.2")},
			}},
			Retention: 10 * time.Minute,
			Retained: []lb.Retained{{
				Service: lb.ServiceKey{Namespace: "n1", Name: "gone"},
				Address: netip.MustParseAddr("10.5.0.9"),
				Until:   until,
			}},
			Quota:      &lb.Quota{PerNamespace: 5, Namespaces: map[string]int{"n1": 0}},
			Requesters: &lb.NamespaceSet{Names: []string{"n1"}, Selectors: lb.Selectors{selector(t, "team=x")}},
		},
		{
			Name:       "b",
			Ranges:     ranges("10.0.0.0-10.0.0.255", "10.1.0.1-10.1.0.2", "10.2.0.0-10.2.0.255", "2001:db8::-2001:db8::1"),
			AutoAssign: true,
		},
		{
			Name:       "c",
			Ranges:     ranges("10.6.0.0-10.6.0.255"),
			AutoAssign: true,
			Allocation: &lb.Allocation{},
			Quota:      &lb.Quota{PerNamespace: -1, Namespaces: map[string]int{}},
			Requesters: &lb.NamespaceSet{},
		},
	}}
	if diff := cmp.Diff(want, got.Config, exact); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if p := got.Config.PoolOf(netip.MustParseAddr("10.1.0.2")); p == nil || p.Name != "b" {
		t.Errorf("10.1.0.2 is found in %v, so the index is not made", p)
	}
}

func TestConfigOfAdvertisements(t *testing.T) {
	got := Parse(script(t, `
		IPAddressPool a[zone=x] {addresses: [10.0.0.0/24]}
		IPAddressPool b[zone=y] {addresses: [10.1.0.0/24]}
		IPAddressPool c[zone=z] {addresses: [10.2.0.0/24]}
		L2Advertisement m {ipAddressPools: [c], ipAddressPoolSelectors: [{matchLabels: {zone: x}}], nodeSelectors: [{}], serviceSelectors: [{matchLabels: {app: web}}], interfaces: [eth1, eth0], preferredNodeSelectors: [{weight: 7, nodeSelector: {matchLabels: {rack: r}}}]}
		L2Advertisement l
		Community names {communities: [{name: vip, value: "65535:7"}, {name: same, value: "large:1:2:3"}]}
		BGPAdvertisement x {ipAddressPools: [b], peers: [p], aggregationLength: 24, aggregationLengthV6: 64, localPref: 4294967295, communities: [vip, "large:1:2:3", same, "1:2"], nodeSelectors: [{matchLabels: {rack: r}}]}
		BGPAdvertisement w {serviceSelectors: [{matchLabels: {app: web}}]}
		BGPPeer p {myASN: 1, peerASN: 2, peerAddress: 10.9.0.1}`))
	checkVerdicts(t, verdictLines(got.Verdicts), "")
	if diff := cmp.Diff([]*lb.L2Advertisement{
		{Name: "l", Pools: []string{"a", "b", "c"}},
		{
			Name:           "m",
			Pools:          []string{"a", "c"},
			Nodes:          lb.Selectors{lb.Selector{}},
			Services:       lb.Selectors{selector(t, "app=web")},
			Interfaces:     []string{"eth1", "eth0"},
			PreferredNodes: []lb.PreferredNode{{Weight: 7, Nodes: selector(t, "rack=r")}},
		},
	}, got.Config.L2, exact); diff != "" {
		t.Errorf("L2 (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]*lb.BGPAdvertisement{
		{Name: "w", Pools: []string{"a", "b", "c"}, Services: lb.Selectors{selector(t, "app=web")}, AggregationLength: 32, AggregationLengthV6: 128},
		{
			Name:                "x",
			Pools:               []string{"b"},
			Nodes:               lb.Selectors{selector(t, "rack=r")},
			Peers:               []string{"p"},
			AggregationLength:   24,
			AggregationLengthV6: 64,
			LocalPref:           new(uint32(4294967295)),
			Communities:         []lb.Community{{A: 1, B: 2}, {A: 65535, B: 7}, {Large: true, A: 1, B: 2, C: 3}},
		},
	}, got.Config.BGP, exact); diff != "" {
		t.Errorf("BGP (-want +got):\n%s", diff)
	}
}

func TestConfigOfPeers(t *testing.T) {
	got := Parse(script(t, `
		BGPPeer b {myASN: 1, peerASN: 2, peerAddress: 10.0.0.1, gracefulRestart: {restartTime: 20s, notification: true, longLivedStaleTime: 1h}}
		BGPPeer c {myASN: 1, peerASN: 2, peerPort: 1179, dynamicNeighbors: {prefixes: ["2001:db8::1/64", 10.0.1.7/24]}}
		BGPPeer d {myASN: 1, peerASN: 2, peerAddress: 10.0.0.9, passive: true}
		BGPPeer e {myASN: 1, peerASN: 2, peerAddressFrom: {nodeAnnotation: lintel.dev/tor}}
		BGPPeer a {myASN: 1, dynamicASN: external, localASN: 3, interface: eth0, sourceAddress: 10.0.0.2, peerPort: 1179, holdTime: 10s, keepaliveTime: 1500ms, connectTime: 5s, routerID: 1.2.3.4, nodeSelectors: [{matchLabels: {rack: r}}], passwordSecret: {name: s}, bfdProfile: fast, enableGracefulRestart: false, ebgpMultiHop: true, vrf: red, dualStackAddressFamily: true}
		Secret s {type: kubernetes.io/basic-auth, data: {password: cGFzcw==}}
		BFDProfile fast {receiveInterval: 100, transmitInterval: 200, detectMultiplier: 5, echoInterval: 50, echoMode: true, passiveMode: true, minimumTtl: 200}
		BFDProfile plain`))
	checkVerdicts(t, verdictLines(got.Verdicts), "BGPPeer a: warning: bfd profile fast has echo mode, which works for IPv4 only: it is not used with eth0-red")
	if diff := cmp.Diff([]*lb.Peer{
		{
			Name: "a", MyASN: 1, Dynamic: lb.ExternalASN, LocalASN: 3, Interface: "eth0",
			Source: netip.MustParseAddr("10.0.0.2"), Port: 1179,
			Hold: new(10 * time.Second), Keepalive: new(1500 * time.Millisecond), Connect: new(5 * time.Second),
			RouterID: netip.MustParseAddr("1.2.3.4"), Nodes: lb.Selectors{selector(t, "rack=r")}, Password: "pass",
			BFDProfile: "fast", GracefulRestart: new(false), MultiHop: true, VRF: "red", DualStack: true,
		},
		{
			Name: "b", MyASN: 1, ASN: 2, Address: netip.MustParseAddr("10.0.0.1"), Port: 179,
			RestartTime: 20 * time.Second, RestartNotification: true, LongLivedStaleTime: time.Hour,
		},
		{
			Name: "c", MyASN: 1, ASN: 2, Port: 1179, Passive: true, RangeLimit: 100,
			Ranges: []netip.Prefix{netip.MustParsePrefix("10.0.1.0/24"), netip.MustParsePrefix("2001:db8::/64")},
		},
		{Name: "d", MyASN: 1, ASN: 2, Address: netip.MustParseAddr("10.0.0.9"), Port: 179, Passive: true},
		{Name: "e", MyASN: 1, ASN: 2, Port: 179, From: lb.AddressSource{Annotation: "lintel.dev/tor"}},
	}, got.Config.Peers, exact); diff != "" {
		t.Errorf("peers (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]*lb.BFDProfile{
		{
			Name: "fast", ReceiveInterval: 100 * time.Millisecond, TransmitInterval: 200 * time.Millisecond, DetectMultiplier: 5,
			EchoInterval: 50 * time.Millisecond, EchoMode: true, PassiveMode: true, MinimumTTL: 200,
		},
		{Name: "plain"},
	}, got.Config.BFD, exact); diff != "" {
		t.Errorf("BFD (-want +got):\n%s", diff)
	}
}

func TestSessionTimers(t *testing.T) {
	for _, tt := range []struct{ name, spec, hold, keepalive string }{
		{"neither", ``, "unset", "unset"},
		{"hold alone", `, holdTime: 90s`, "1m30s", "30s"},
		{"keepalive alone", `, keepaliveTime: 5s`, "15s", "5s"},
		{"both", `, holdTime: 90s, keepaliveTime: 10s`, "1m30s", "10s"},
		{"zero", `, holdTime: 0s`, "0s", "0s"},
		{"zero keepalive alone", `, keepaliveTime: 0s`, "0s", "0s"},
		{"fractions are cut off", `, holdTime: 3900ms, keepaliveTime: 3500ms`, "3s", "3s"},
		{"less than a second is zero", `, holdTime: 900ms`, "0s", "0s"},
		{"too long", `, holdTime: 100000s`, "18h12m15s", "9h15m33.333333333s"},
	} {
		t.Run("P8 "+tt.name, func(t *testing.T) {
			p := Parse(script(t, `BGPPeer p {myASN: 1, peerASN: 2, peerAddress: 10.0.0.1`+tt.spec+`}`)).Config.Peers[0]
			text := func(d *time.Duration) string {
				if d == nil {
					return "unset"
				}
				return d.String()
			}
			if hold, keepalive := text(p.Hold), text(p.Keepalive); hold != tt.hold || keepalive != tt.keepalive {
				t.Errorf("hold %s, keepalive %s, want %s, %s", hold, keepalive, tt.hold, tt.keepalive)
			}
		})
	}
}

// TestHeldPools has pools that are refused while Services have addresses from them.
func TestHeldPools(t *testing.T) {
	for _, tt := range []struct {
		name, in string
		want     map[string][]netipx.IPRange
	}{
		{
			"a bad entry", `
			IPAddressPool a {addresses: [10.0.0.0/24, nonsense, 10.1.0.0/24]}
			Assigned 10.0.0.1 a`,
			map[string][]netipx.IPRange{"a": ranges("10.0.0.0-10.0.0.255", "10.1.0.0-10.1.0.255")},
		},
		{
			"the entry that the addresses came from", `
			IPAddressPool a {addresses: [10.0.0.0/33, 10.1.0.0/24]}
			IPAddressPool b {addresses: [10.2.0.0/24]}
			Assigned 10.0.0.1 a
			Assigned 10.0.0.2 a
			Assigned 10.0.0.9 a
			Assigned 10.0.0.20 gone
			Assigned 10.2.0.1 a`,
			map[string][]netipx.IPRange{
				"a": ranges("10.1.0.0-10.1.0.255", "10.0.0.1-10.0.0.2", "10.0.0.9-10.0.0.9"),
				"b": ranges("10.2.0.0-10.2.0.255"),
			},
		},
		{
			"nothing assigned", `
			IPAddressPool a {addresses: [10.0.0.0/24, nonsense]}
			Assigned 10.0.0.1 b
			IPAddressPool b {addresses: [10.0.0.0/25]}`,
			map[string][]netipx.IPRange{"b": ranges("10.0.0.0-10.0.0.127")},
		},
		{
			"an overlap", `
			IPAddressPool a {addresses: [10.0.0.0/24]}
			IPAddressPool b {addresses: [10.0.0.128-10.0.1.255]}
			Assigned 10.0.0.1 a
			Assigned 10.0.1.1 b`,
			map[string][]netipx.IPRange{"a": ranges("10.0.0.0-10.0.0.255"), "b": ranges("10.0.1.0-10.0.1.255")},
		},
		{
			"an overlap that takes everything", `
			IPAddressPool a {addresses: [10.0.0.0/24]}
			IPAddressPool b {addresses: [10.0.0.128/25]}
			Assigned 10.0.0.1 a
			Assigned 10.0.0.129 gone`,
			map[string][]netipx.IPRange{"a": ranges("10.0.0.0-10.0.0.255")},
		},
		{
			"an edit that reaches for the addresses of a younger pool", `
			IPAddressPool a {addresses: [10.0.0.0/24]}
			IPAddressPool b {addresses: [10.0.0.128/25]}
			IPAddressPool c {addresses: [10.0.1.0/24]}
			Assigned 10.0.0.1 a
			Assigned 10.0.0.129 b`,
			map[string][]netipx.IPRange{
				"a": ranges("10.0.0.0-10.0.0.127"), "b": ranges("10.0.0.128-10.0.0.255"), "c": ranges("10.0.1.0-10.0.1.255"),
			},
		},
		{
			"two bad pools", `
			IPAddressPool a {addresses: [10.0.0.0/25, nonsense]}
			IPAddressPool b {addresses: [10.0.0.0/24, nonsense]}
			Assigned 10.0.0.1 a
			Assigned 10.0.0.129 b`,
			map[string][]netipx.IPRange{"a": ranges("10.0.0.0-10.0.0.127"), "b": ranges("10.0.0.128-10.0.0.255")},
		},
		{
			"in another namespace", `
			IPAddressPool other/a {addresses: [10.0.0.0/24]}
			Assigned 10.0.0.1 a`,
			map[string][]netipx.IPRange{},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			in := script(t, tt.in)
			in.L2Advertisements = []*v1beta1.L2Advertisement{{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "all"}}}
			res := Parse(in)
			got := map[string][]netipx.IPRange{}
			for _, p := range res.Config.Pools {
				got[p.Name] = p.Ranges
				if refused := !verdictOf(res, KindPool, p.Name).Accepted; refused != p.Drain {
					t.Errorf("pool %s: refused is %v, drained is %v", p.Name, refused, p.Drain)
				}
				if !res.Config.L2[0].SelectsPool(p.Name) {
					t.Errorf("pool %s is not announced", p.Name)
				}
			}
			if diff := cmp.Diff(tt.want, got, exact); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// TestNotYetCreated has an object that is only planned give way to one that exists.
func TestNotYetCreated(t *testing.T) {
	in := script(t, `
		IPAddressPool a {addresses: [10.0.0.0/24]}
		IPAddressPool b {addresses: [10.0.0.0/24]}`)
	in.Pools[0].CreationTimestamp = metav1.Time{}
	checkVerdicts(t, verdictLines(Parse(in).Verdicts), `IPAddressPool a: OverlappingPool`)
}

func verdictOf(r Result, kind Kind, name string) Verdict {
	for _, v := range r.Verdicts {
		if v.Object.Kind == kind && v.Object.Name == name {
			return v
		}
	}
	return Verdict{}
}

// TestExamples has the manifests that users apply accepted.
func TestExamples(t *testing.T) {
	in := Resources{Namespace: namespace}
	for file, into := range map[string]any{
		"pool-lan.yaml":          add(&in.Pools, &v1beta1.IPAddressPool{}),
		"arp-advertisement.yaml": add(&in.L2Advertisements, &v1beta1.L2Advertisement{}),
		"bgp-advertisement.yaml": add(&in.BGPAdvertisements, &v1beta1.BGPAdvertisement{}),
		"bgp-peer.yaml":          add(&in.Peers, &v1beta2.BGPPeer{}),
	} {
		text, err := os.ReadFile(filepath.Join("../../api/testdata/examples", file))
		if err != nil {
			t.Fatal(err)
		}
		if err := yaml.UnmarshalStrict(text, into); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
	}
	res := Parse(in)
	checkVerdicts(t, verdictLines(res.Verdicts), "")
	if c := res.Config; len(c.Pools) != 1 || !c.L2[0].SelectsPool("pool-lan") || !c.BGP[0].SelectsPool("pool-lan") || len(c.Peers) != 1 {
		t.Errorf("got %+v", c)
	}
}

func add[T any](list *[]T, item T) T {
	*list = append(*list, item)
	return item
}
