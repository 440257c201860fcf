package api_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const (
	beta1 = "metallb.io/v1beta1"
	beta2 = "metallb.io/v1beta2"
)

// TestAdmission has objects admitted as MetalLB 0.16 admits them, and what its webhook
// refuses on sight refused. Rows without a word in want are admitted.
func TestAdmission(t *testing.T) {
	s := newServer(t)
	for _, tt := range []struct {
		name          string
		version, kind string
		object        string
		want          string
	}{
		{"1.1 a pool", beta1, "IPAddressPool", `spec: {addresses: [10.0.0.0/24, "10.1.0.1 - 10.1.0.9", "2001:db8::/64"]}`, ""},
		{"1.1 spec is required", beta1, "IPAddressPool", ``, "spec: Required value"},
		{"1.1 addresses are required", beta1, "IPAddressPool", `spec: {autoAssign: false}`, "spec.addresses: Required value"},
		{"2.3 A2 no addresses", beta1, "IPAddressPool", `spec: {addresses: []}`, "pool has no prefixes defined"},
		{"2.3 A3 is left to the condition", beta1, "IPAddressPool", `spec: {addresses: [nonsense]}`, ""},
		{"1.1 allocation of everything", beta1, "IPAddressPool", `spec: {addresses: [10.0.0.0/24], serviceAllocation: {}}`, ""},
		{"1.1 negative priority", beta1, "IPAddressPool", `spec: {addresses: [10.0.0.0/24], serviceAllocation: {priority: -5, namespaces: [a, a]}}`, ""},
		{"1.0 any operator", beta1, "IPAddressPool", `spec: {addresses: [10.0.0.0/24], serviceAllocation: {serviceSelectors: [{matchExpressions: [{key: a, operator: Bogus}]}]}}`, ""},
		{"1.1 status of MetalLB", beta1, "IPAddressPool", `{spec: {addresses: [10.0.0.0/24]}, status: {assignedIPv4: 1, assignedIPv6: 0, availableIPv4: 255, availableIPv6: 9223372036854775807}}`, ""},
		{"extension: status of conditions alone", beta1, "IPAddressPool", `{spec: {addresses: [10.0.0.0/24]}, status: {conditions: [{type: Accepted, status: "True", reason: Accepted, message: "", lastTransitionTime: "2026-01-01T00:00:00Z"}]}}`, ""},
		{"extension: one condition of a type", beta1, "IPAddressPool", `{spec: {addresses: [10.0.0.0/24]}, status: {conditions: [{type: Accepted, status: "True", reason: A, message: "", lastTransitionTime: "2026-01-01T00:00:00Z"}, {type: Accepted, status: "True", reason: B, message: "", lastTransitionTime: "2026-01-01T00:00:00Z"}]}}`, "Duplicate value"},
		{"extension: all fields", beta1, "IPAddressPool", `{spec: {addresses: [10.0.0.0/24], drain: true, retention: 10m, reservations: [{namespace: a, name: b, addresses: [10.0.0.1]}], quota: {perNamespace: 0, namespaces: [{namespace: a, addresses: 3}]}, requesters: {namespaces: [a], namespaceSelectors: [{matchLabels: {a: b}}]}}, status: {retained: [{namespace: a, name: b, address: 10.0.0.1, until: "2026-01-01T00:00:00Z"}]}}`, ""},
		{"extension: retention is not negative", beta1, "IPAddressPool", `spec: {addresses: [10.0.0.0/24], retention: -10m}`, "retention must not be negative"},
		{"extension: retention is a duration", beta1, "IPAddressPool", `spec: {addresses: [10.0.0.0/24], retention: ten}`, "spec.retention"},
		{"extension: a Service has one reservation", beta1, "IPAddressPool", `spec: {addresses: [10.0.0.0/24], reservations: [{namespace: a, name: b, addresses: [10.0.0.1]}, {namespace: a, name: b, addresses: [10.0.0.2]}]}`, "Duplicate value"},
		{"extension: a reservation has addresses", beta1, "IPAddressPool", `spec: {addresses: [10.0.0.0/24], reservations: [{namespace: a, name: b, addresses: []}]}`, "spec.reservations[0].addresses"},
		{"extension: quota is not negative", beta1, "IPAddressPool", `spec: {addresses: [10.0.0.0/24], quota: {perNamespace: -1}}`, "spec.quota.perNamespace"},

		{"1.0 no spec", beta1, "L2Advertisement", ``, ""},
		{"1.2 all fields", beta1, "L2Advertisement", `spec: {ipAddressPools: [a, a], ipAddressPoolSelectors: [{}], nodeSelectors: [{matchLabels: {a: b}}], interfaces: [eth0], serviceSelectors: [{}]}`, ""},
		{"extension: preferred nodes", beta1, "L2Advertisement", `spec: {preferredNodeSelectors: [{weight: 100, nodeSelector: {matchLabels: {a: b}}}]}`, ""},
		{"extension: weight from 1", beta1, "L2Advertisement", `spec: {preferredNodeSelectors: [{weight: 0, nodeSelector: {}}]}`, "greater than or equal to 1"},
		{"extension: weight to 100", beta1, "L2Advertisement", `spec: {preferredNodeSelectors: [{weight: 101, nodeSelector: {}}]}`, "less than or equal to 100"},

		{"1.0 no spec", beta1, "BGPAdvertisement", ``, ""},
		{"1.3 all fields", beta1, "BGPAdvertisement", `spec: {aggregationLength: 24, aggregationLengthV6: 0, localPref: 100, communities: ["1:2", "large:1:2:3", name], ipAddressPools: [a], peers: [p, p], nodeSelectors: [{}]}`, ""},
		{"2.3 D7 literals and aliases", beta1, "BGPAdvertisement", `spec: {communities: ["65535:65535", "0:0", "065535:1", "59999:6553", "large:4294967295:0:1", "rt:65000:1", "rt:192.0.2.1:1", "soo:65000:1", "extended:0x0002FDE800000064", "a.b-c", "", "a:b:c", "a:b:c:d:e"]}`, ""},
		{"2.3 D7 the first number has 16 bits", beta1, "BGPAdvertisement", `spec: {communities: ["1:2", "65536:1"]}`, "spec.communities[1]"},
		{"2.3 D7 the second number has 16 bits", beta1, "BGPAdvertisement", `spec: {communities: ["65000:70000"]}`, "spec.communities[0]"},
		{"2.3 D7 no number", beta1, "BGPAdvertisement", `spec: {communities: ["65000:"]}`, "spec.communities[0]"},
		{"2.3 D7 three numbers are large", beta1, "BGPAdvertisement", `spec: {communities: ["big:1:2:3"]}`, "spec.communities[0]"},
		{"10.2 #30 localPref has 32 bits", beta1, "BGPAdvertisement", `spec: {localPref: 4294967295}`, ""},
		{"10.2 #30 localPref is not negative", beta1, "BGPAdvertisement", `spec: {localPref: -1}`, "spec.localPref"},
		{"1.3 aggregationLength from 1", beta1, "BGPAdvertisement", `spec: {aggregationLength: 0}`, "spec.aggregationLength"},
		{"2.3 D4 aggregationLength to 32", beta1, "BGPAdvertisement", `spec: {aggregationLength: 33}`, "spec.aggregationLength"},
		{"2.3 D4 aggregationLengthV6 to 128", beta1, "BGPAdvertisement", `spec: {aggregationLengthV6: 129}`, "spec.aggregationLengthV6"},
		{"2.3 D3 serviceSelectors", beta1, "BGPAdvertisement", `spec: {serviceSelectors: [{}]}`, ""},
		{"2.3 D3 serviceSelectors with the default", beta1, "BGPAdvertisement", `spec: {serviceSelectors: [{}], aggregationLength: 32, aggregationLengthV6: 128}`, ""},
		{"2.3 D3 no serviceSelectors", beta1, "BGPAdvertisement", `spec: {serviceSelectors: [], aggregationLength: 24}`, ""},
		{"2.3 D3 with aggregation", beta1, "BGPAdvertisement", `spec: {serviceSelectors: [{}], aggregationLength: 24}`, "serviceSelectors and aggregationLength are mutually exclusive"},
		{"2.3 D3 with IPv6 aggregation", beta1, "BGPAdvertisement", `spec: {serviceSelectors: [{}], aggregationLengthV6: 64}`, "serviceSelectors and aggregationLength are mutually exclusive"},

		{"1.0 no spec", beta2, "BGPPeer", ``, ""},
		{"1.4 a peer", beta2, "BGPPeer", `spec: {myASN: 65000, peerASN: 65001, peerAddress: 10.0.0.1}`, ""},
		{"1.4 all fields", beta2, "BGPPeer", `spec: {myASN: 4294967295, dynamicASN: external, localASN: 1, interface: eth0, sourceAddress: 10.0.0.2, peerPort: 16384, holdTime: 90s, keepaliveTime: 30s, connectTime: 10s, routerID: 1.1.1.1, nodeSelectors: [{}], passwordSecret: {name: sec, namespace: other}, bfdProfile: p, enableGracefulRestart: true, ebgpMultiHop: true, vrf: red, disableMP: true, dualStackAddressFamily: true}`, ""},
		{"1.4 myASN is required", beta2, "BGPPeer", `spec: {peerASN: 1, peerAddress: 10.0.0.1}`, "spec.myASN: Required value"},
		{"1.4 myASN has 32 bits", beta2, "BGPPeer", `spec: {myASN: 4294967296, peerASN: 1, peerAddress: 10.0.0.1}`, "spec.myASN"},
		{"2.3 P1", beta2, "BGPPeer", `spec: {myASN: 0, peerASN: 1, peerAddress: 10.0.0.1}`, "missing local ASN"},
		{"2.3 P2", beta2, "BGPPeer", `spec: {myASN: 1, peerAddress: 10.0.0.1}`, "missing peer ASN and dynamicASN"},
		{"2.3 P2 a zero is none", beta2, "BGPPeer", `spec: {myASN: 1, peerASN: 0, peerAddress: 10.0.0.1}`, "missing peer ASN and dynamicASN"},
		{"2.3 P2 a zero beside dynamicASN", beta2, "BGPPeer", `spec: {myASN: 1, peerASN: 0, dynamicASN: internal, peerAddress: 10.0.0.1}`, ""},
		{"2.3 P3", beta2, "BGPPeer", `spec: {myASN: 1, peerASN: 1, dynamicASN: internal, peerAddress: 10.0.0.1}`, "both peer ASN and dynamicASN specified"},
		{"2.3 P4", beta2, "BGPPeer", `spec: {myASN: 1, dynamicASN: any, peerAddress: 10.0.0.1}`, "spec.dynamicASN"},
		{"2.3 P5", beta2, "BGPPeer", `spec: {myASN: 1, peerASN: 1, ebgpMultiHop: true, peerAddress: 10.0.0.1}`, "invalid ebgp-multihop parameter set for an ibgp peer"},
		{"2.3 P5 dynamic is not caught", beta2, "BGPPeer", `spec: {myASN: 1, dynamicASN: internal, ebgpMultiHop: true, peerAddress: 10.0.0.1}`, ""},
		{"2.3 P6", beta2, "BGPPeer", `spec: {myASN: 1, peerASN: 2}`, "peer has no Address or Interface specified"},
		{"2.3 P6 empty", beta2, "BGPPeer", `spec: {myASN: 1, peerASN: 2, peerAddress: "", interface: ""}`, "peer has no Address or Interface specified"},
		{"2.3 P6 empty address beside an interface", beta2, "BGPPeer", `spec: {myASN: 1, peerASN: 2, peerAddress: "", interface: eth0}`, ""},
		{"2.3 P7", beta2, "BGPPeer", `spec: {myASN: 1, peerASN: 2, peerAddress: 10.0.0.1, interface: eth0}`, "peer has both Address and Interface specified"},
		{"2.3 P8 hold time of 2s", beta2, "BGPPeer", `spec: {myASN: 1, peerASN: 2, peerAddress: 10.0.0.1, holdTime: 2s}`, "must be 0 or >=3s"},
		{"2.3 P8 hold time of 0s", beta2, "BGPPeer", `spec: {myASN: 1, peerASN: 2, peerAddress: 10.0.0.1, holdTime: 0s, keepaliveTime: 0s}`, ""},
		{"2.3 P8 hold time is cut to seconds", beta2, "BGPPeer", `spec: {myASN: 1, peerASN: 2, peerAddress: 10.0.0.1, holdTime: 500ms}`, ""},
		{"2.3 P8 no upper bound", beta2, "BGPPeer", `spec: {myASN: 1, peerASN: 2, peerAddress: 10.0.0.1, holdTime: 100000s}`, ""},
		{"2.3 P8 keepalive above hold", beta2, "BGPPeer", `spec: {myASN: 1, peerASN: 2, peerAddress: 10.0.0.1, holdTime: 9s, keepaliveTime: 10s}`, "invalid keepaliveTime"},
		{"2.3 P8 keepalive equals hold", beta2, "BGPPeer", `spec: {myASN: 1, peerASN: 2, peerAddress: 10.0.0.1, holdTime: 9s, keepaliveTime: 9s}`, ""},
		{"1.4 connectTime too short", beta2, "BGPPeer", `spec: {myASN: 1, peerASN: 2, peerAddress: 10.0.0.1, connectTime: 0s}`, "connect time should be between 1 seconds to 65535"},
		{"1.4 connectTime too long", beta2, "BGPPeer", `spec: {myASN: 1, peerASN: 2, peerAddress: 10.0.0.1, connectTime: 65536s}`, "connect time should be between 1 seconds to 65535"},
		{"1.4 connectTime is whole seconds", beta2, "BGPPeer", `spec: {myASN: 1, peerASN: 2, peerAddress: 10.0.0.1, connectTime: 1500ms}`, "whole number of seconds"},
		{"2.3 P9", beta2, "BGPPeer", `spec: {myASN: 1, peerASN: 2, peerAddress: 10.0.0}`, "invalid BGPPeer address"},
		{"2.3 P9 a zone", beta2, "BGPPeer", `spec: {myASN: 1, peerASN: 2, peerAddress: "fe80::1%eth0"}`, "invalid BGPPeer address"},
		{"2.3 P9 IPv6", beta2, "BGPPeer", `spec: {myASN: 1, peerASN: 2, peerAddress: "2001:DB8::1"}`, ""},
		{"2.3 P9 IPv4 in IPv6", beta2, "BGPPeer", `spec: {myASN: 1, peerASN: 2, peerAddress: "::FFFF:10.0.0.1"}`, ""},
		{"2.3 P9 IPv4 in IPv6, in hex", beta2, "BGPPeer", `spec: {myASN: 1, peerASN: 2, peerAddress: "::ffff:a00:1"}`, ""},
		{"2.3 P10", beta2, "BGPPeer", `spec: {myASN: 1, peerASN: 2, peerAddress: 10.0.0.1, routerID: x}`, "invalid router ID"},
		{"2.3 P10 IPv6 is left to the condition", beta2, "BGPPeer", `spec: {myASN: 1, peerASN: 2, peerAddress: 10.0.0.1, routerID: "2001:db8::1"}`, ""},
		{"2.3 P11", beta2, "BGPPeer", `spec: {myASN: 1, peerASN: 2, peerAddress: 10.0.0.1, sourceAddress: x}`, "invalid source IP"},
		{"2.3 P13", beta2, "BGPPeer", `spec: {myASN: 1, peerASN: 2, peerAddress: 10.0.0.1, password: x, passwordSecret: {name: sec}}`, "can not have both password and secret ref set"},
		{"2.3 P13 a secret without a name", beta2, "BGPPeer", `spec: {myASN: 1, peerASN: 2, peerAddress: 10.0.0.1, password: x, passwordSecret: {}}`, ""},
		{"10.2 #14 disableMP is no way around", beta2, "BGPPeer", `spec: {myASN: 0, peerASN: 2, peerAddress: 10.0.0.1, disableMP: true}`, "missing local ASN"},
		{"1.4 port from 1", beta2, "BGPPeer", `spec: {myASN: 1, peerASN: 2, peerAddress: 10.0.0.1, peerPort: 0}`, "spec.peerPort"},
		{"1.4 port to 16384", beta2, "BGPPeer", `spec: {myASN: 1, peerASN: 2, peerAddress: 10.0.0.1, peerPort: 16385}`, "spec.peerPort"},
		{"extension gracefulRestart", beta2, "BGPPeer", `spec: {myASN: 1, peerASN: 2, peerAddress: 10.0.0.1, gracefulRestart: {restartTime: 20s, notification: true, longLivedStaleTime: 1h}}`, ""},
		{"extension gracefulRestart in fractions", beta2, "BGPPeer", `spec: {myASN: 1, peerASN: 2, peerAddress: 10.0.0.1, gracefulRestart: {restartTime: 1500ms}}`, "invalid restartTime: must be whole seconds"},
		{"extension gracefulRestart that is off", beta2, "BGPPeer", `spec: {myASN: 1, peerASN: 2, peerAddress: 10.0.0.1, enableGracefulRestart: false, gracefulRestart: {}}`, "gracefulRestart needs graceful restart"},
		{"extension peerAddressFrom", beta2, "BGPPeer", `spec: {myASN: 1, peerASN: 2, peerAddressFrom: {defaultGateway: IPv4}}`, ""},
		{"extension peerAddressFrom annotation", beta2, "BGPPeer", `spec: {myASN: 1, peerASN: 2, peerAddressFrom: {nodeAnnotation: lintel.dev/tor}}`, ""},
		{"extension peerAddressFrom of nothing", beta2, "BGPPeer", `spec: {myASN: 1, peerASN: 2, peerAddressFrom: {}}`, "set exactly one of defaultGateway and nodeAnnotation"},
		{"extension peerAddressFrom key", beta2, "BGPPeer", `spec: {myASN: 1, peerASN: 2, peerAddressFrom: {nodeAnnotation: example.com/tor}}`, "spec.peerAddressFrom.nodeAnnotation"},
		{"extension peerAddressFrom with an address", beta2, "BGPPeer", `spec: {myASN: 1, peerASN: 2, peerAddress: 10.0.0.1, peerAddressFrom: {defaultGateway: IPv4}}`, "peerAddressFrom takes the place of peerAddress"},
		{"extension dynamicNeighbors", beta2, "BGPPeer", `spec: {myASN: 1, peerASN: 2, dynamicNeighbors: {prefixes: [10.0.0.0/24, "2001:db8::/64"], limit: 8}}`, ""},
		{"extension dynamicNeighbors prefix", beta2, "BGPPeer", `spec: {myASN: 1, peerASN: 2, dynamicNeighbors: {prefixes: [10.0.0.0]}}`, "invalid prefix: must be an IPv4 or IPv6 network in CIDR notation"},
		{"extension dynamicNeighbors with an address", beta2, "BGPPeer", `spec: {myASN: 1, peerASN: 2, peerAddress: 10.0.0.1, dynamicNeighbors: {prefixes: [10.0.0.0/24]}}`, "dynamicNeighbors takes the place of peerAddress and interface"},
		{"extension dynamicNeighbors with BFD", beta2, "BGPPeer", `spec: {myASN: 1, peerASN: 2, bfdProfile: fast, dynamicNeighbors: {prefixes: [10.0.0.0/24]}}`, "bfdProfile cannot be used with dynamicNeighbors"},
		{"extension passive on a link", beta2, "BGPPeer", `spec: {myASN: 1, peerASN: 2, interface: eth0, passive: true}`, "passive cannot be used with interface"},
		{"1.4 localASN from 1", beta2, "BGPPeer", `spec: {myASN: 1, peerASN: 2, peerAddress: 10.0.0.1, localASN: 0}`, "spec.localASN"},

		{"1.4 a peer", beta1, "BGPPeer", `spec: {myASN: 1, peerASN: 2, peerAddress: 10.0.0.1, peerPort: 0, holdTime: 0s, keepaliveTime: 0s, nodeSelectors: [{}]}`, ""},
		{"1.4 required", beta1, "BGPPeer", `spec: {myASN: 1}`, "spec.peerAddress: Required value"},
		{"1.4 values are required", beta1, "BGPPeer", `spec: {myASN: 1, peerASN: 2, peerAddress: 10.0.0.1, nodeSelectors: [{matchExpressions: [{key: a, operator: Exists}]}]}`, "values: Required value"},
		{"1.4 values have an item", beta1, "BGPPeer", `spec: {myASN: 1, peerASN: 2, peerAddress: 10.0.0.1, nodeSelectors: [{matchExpressions: [{key: a, operator: In, values: []}]}]}`, "values"},
		{"2.3 P1", beta1, "BGPPeer", `spec: {myASN: 0, peerASN: 2, peerAddress: 10.0.0.1}`, "missing local ASN"},
		{"2.3 P2", beta1, "BGPPeer", `spec: {myASN: 1, peerASN: 0, peerAddress: 10.0.0.1}`, "missing peer ASN"},
		{"2.3 P5", beta1, "BGPPeer", `spec: {myASN: 1, peerASN: 1, peerAddress: 10.0.0.1, ebgpMultiHop: true}`, "invalid ebgp-multihop"},
		{"2.3 P6", beta1, "BGPPeer", `spec: {myASN: 1, peerASN: 2, peerAddress: ""}`, "peer has no Address"},
		{"2.3 P8", beta1, "BGPPeer", `spec: {myASN: 1, peerASN: 2, peerAddress: 10.0.0.1, holdTime: 1s}`, "must be 0 or >=3s"},
		{"2.3 P8 keepalive", beta1, "BGPPeer", `spec: {myASN: 1, peerASN: 2, peerAddress: 10.0.0.1, holdTime: 3s, keepaliveTime: 4s}`, "invalid keepaliveTime"},
		{"2.3 P9", beta1, "BGPPeer", `spec: {myASN: 1, peerASN: 2, peerAddress: x}`, "invalid BGPPeer address"},

		{"1.0 no spec", beta1, "BFDProfile", ``, ""},
		{"1.5 lower bounds", beta1, "BFDProfile", `spec: {receiveInterval: 10, transmitInterval: 10, detectMultiplier: 2, echoInterval: 10, minimumTtl: 1}`, ""},
		{"1.5 upper bounds", beta1, "BFDProfile", `spec: {receiveInterval: 60000, transmitInterval: 60000, detectMultiplier: 255, echoInterval: 60000, echoMode: true, passiveMode: true, minimumTtl: 254}`, ""},
		{"1.5 receiveInterval", beta1, "BFDProfile", `spec: {receiveInterval: 9}`, "spec.receiveInterval"},
		{"1.5 transmitInterval", beta1, "BFDProfile", `spec: {transmitInterval: 60001}`, "spec.transmitInterval"},
		{"1.5 detectMultiplier", beta1, "BFDProfile", `spec: {detectMultiplier: 1}`, "spec.detectMultiplier"},
		{"1.5 echoInterval", beta1, "BFDProfile", `spec: {echoInterval: 9}`, "spec.echoInterval"},
		{"1.5 minimumTtl", beta1, "BFDProfile", `spec: {minimumTtl: 255}`, "spec.minimumTtl"},

		{"1.0 no spec", beta1, "Community", ``, ""},
		{"2.3 D8 values", beta1, "Community", `spec: {communities: [{value: ""}, {value: "65535:65535"}, {value: "large:1:2:3"}, {value: "rt:192.0.2.1:1"}, {value: "extended:0x0002fde800000064"}]}`, ""},
		{"2.3 D8 no value", beta1, "Community", `spec: {communities: [{name: a, value: "65000:70000"}]}`, "spec.communities[0].value"},
		{"2.3 D8 no alias of an alias", beta1, "Community", `spec: {communities: [{name: a, value: b}]}`, "spec.communities[0].value"},
		{"1.6 nothing is required", beta1, "Community", `spec: {communities: [{}, {name: a, value: "1:2"}]}`, ""},

		{"1.7 status", beta1, "ServiceL2Status", `{spec: {}, status: {node: n1, serviceName: s, serviceNamespace: ns, interfaces: [{name: eth0}]}}`, ""},
		{"1.8 status", beta1, "ServiceBGPStatus", `{spec: {}, status: {node: n1, serviceName: s, serviceNamespace: ns, peers: [a]}}`, ""},
		{"1.9 status", beta1, "ConfigurationState", `status: {result: Valid, errorSummary: "", conditions: []}`, ""},
		{"1.9 result", beta1, "ConfigurationState", `status: {result: Fine}`, "status.result"},
	} {
		t.Run(tt.version+" "+tt.kind+" "+tt.name, func(t *testing.T) {
			_, errs := s.admit(t, object(t, tt.version, tt.kind, tt.object), nil)
			checkErrors(t, errs.ToAggregate(), tt.want)
		})
	}
}

// TestUpdate has rules that look at the object before the change.
func TestUpdate(t *testing.T) {
	s := newServer(t)
	peer := `spec: {myASN: 1, peerASN: 2, peerAddress: 10.0.0.1`
	for _, tt := range []struct {
		name          string
		version, kind string
		old, new      string
		want          string
	}{
		{"1.4 graceful restart stays", beta2, "BGPPeer", peer + `, enableGracefulRestart: true}`, peer + `, enableGracefulRestart: true, ebgpMultiHop: true}`, ""},
		{"1.4 graceful restart changes", beta2, "BGPPeer", peer + `, enableGracefulRestart: true}`, peer + `, enableGracefulRestart: false}`, "EnableGracefulRestart cannot be changed after creation"},
		{"1.4 graceful restart comes", beta2, "BGPPeer", peer + `}`, peer + `, enableGracefulRestart: true}`, ""},
		{"1.7 node", beta1, "ServiceL2Status", `status: {node: a}`, `status: {node: b}`, "Value is immutable"},
		{"1.7 name", beta1, "ServiceL2Status", `status: {serviceName: a}`, `status: {serviceName: b}`, "Value is immutable"},
		{"1.7 interfaces change", beta1, "ServiceL2Status", `status: {node: a}`, `status: {node: a, interfaces: [{name: eth0}]}`, ""},
		{"1.8 namespace", beta1, "ServiceBGPStatus", `status: {serviceNamespace: a}`, `status: {serviceNamespace: b}`, "Value is immutable"},
		{"1.8 peers change", beta1, "ServiceBGPStatus", `status: {peers: [a]}`, `status: {peers: [b]}`, ""},
	} {
		t.Run(tt.kind+" "+tt.name, func(t *testing.T) {
			old, errs := s.admit(t, object(t, tt.version, tt.kind, tt.old), nil)
			checkErrors(t, errs.ToAggregate(), "")
			_, errs = s.admit(t, object(t, tt.version, tt.kind, tt.new), old)
			checkErrors(t, errs.ToAggregate(), tt.want)
		})
	}
}

// TestDefaults compares what is stored with what was written.
func TestDefaults(t *testing.T) {
	s := newServer(t)
	for _, tt := range []struct {
		name          string
		version, kind string
		in, want      string
	}{
		{"1.1", beta1, "IPAddressPool", `spec: {addresses: []}`, `spec: {addresses: [], autoAssign: true, avoidBuggyIPs: false}`},
		{"1.2", beta1, "L2Advertisement", `spec: {}`, `spec: {}`},
		{"1.3", beta1, "BGPAdvertisement", `spec: {}`, `spec: {aggregationLength: 32, aggregationLengthV6: 128}`},
		{"1.4", beta2, "BGPPeer", `spec: {}`, `spec: {peerPort: 179, passwordSecret: {}, disableMP: false, dualStackAddressFamily: false}`},
		{"1.4 other fields are dropped", beta1, "BGPPeer", `spec: {interface: eth0, vrf: red}`, `spec: {}`},
		{"1.5", beta1, "BFDProfile", `spec: {}`, `spec: {}`},
	} {
		t.Run(tt.version+" "+tt.kind+" "+tt.name, func(t *testing.T) {
			got, _ := s.admit(t, object(t, tt.version, tt.kind, tt.in), nil)
			if diff := cmp.Diff(object(t, tt.version, tt.kind, tt.want), got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func checkErrors(t *testing.T, err error, want string) {
	t.Helper()
	switch {
	case want == "" && err != nil:
		t.Errorf("refused: %v", err)
	case want != "" && err == nil:
		t.Errorf("admitted, want an error with %q", want)
	case want != "" && !strings.Contains(err.Error(), want):
		t.Errorf("refused with %v, want %q", err, want)
	}
}
