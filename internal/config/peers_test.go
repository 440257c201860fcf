package config

import "testing"

func TestPeerRules(t *testing.T) {
	const good = `BGPPeer p {myASN: 1, peerASN: 2, peerAddress: 10.0.0.1`
	runRules(t, []ruleTest{
		{"1.4 a peer", good + `}`, ``},
		{"P1", `BGPPeer p {peerASN: 2, peerAddress: 10.0.0.1}`, `BGPPeer p: InvalidASN: parsing peer p missing local ASN`},
		{"P1 no spec", `BGPPeer p`, `BGPPeer p: InvalidASN: parsing peer p missing local ASN`},
		{"P2", `BGPPeer p {myASN: 1, peerAddress: 10.0.0.1}`, `BGPPeer p: InvalidASN: parsing peer p missing peer ASN and dynamicASN`},
		{"P3", good + `, dynamicASN: internal}`, `BGPPeer p: InvalidASN: parsing peer p both peer ASN and dynamicASN specified`},
		{"P4", `BGPPeer p {myASN: 1, dynamicASN: any, peerAddress: 10.0.0.1}`, `BGPPeer p: InvalidASN: parsing peer p invalid dynamicASN any`},
		{"P5", `BGPPeer p {myASN: 1, peerASN: 1, peerAddress: 10.0.0.1, ebgpMultiHop: true}`, `BGPPeer p: InvalidMultiHop: parsing peer p invalid ebgp-multihop parameter set for an ibgp peer`},
		{"P5 external", good + `, ebgpMultiHop: true}`, ``},
		{"P5 dynamic", `BGPPeer p {myASN: 1, dynamicASN: internal, peerAddress: 10.0.0.1, ebgpMultiHop: true}`, `BGPPeer p: warning: ebgpMultiHop has no effect`},
		{"P6", `BGPPeer p {myASN: 1, peerASN: 2}`, `BGPPeer p: InvalidAddress: parsing peer p peer has no Address or Interface specified`},
		{"P7", good + `, interface: eth0}`, `BGPPeer p: InvalidAddress: parsing peer p peer has both Address and Interface specified`},
		{"extension peerAddressFrom gateway", `BGPPeer p {myASN: 1, peerASN: 2, peerAddressFrom: {defaultGateway: IPv6}}`, ``},
		{"extension peerAddressFrom annotation", `BGPPeer p {myASN: 1, peerASN: 2, peerAddressFrom: {nodeAnnotation: lintel.dev/tor}}`, ``},
		{"extension peerAddressFrom of nothing", `BGPPeer p {myASN: 1, peerASN: 2, peerAddressFrom: {}}`, `BGPPeer p: InvalidAddress: …set exactly one of defaultGateway and nodeAnnotation`},
		{"extension peerAddressFrom of both", `BGPPeer p {myASN: 1, peerASN: 2, peerAddressFrom: {defaultGateway: IPv4, nodeAnnotation: lintel.dev/tor}}`, `BGPPeer p: InvalidAddress: …set exactly one`},
		{"extension peerAddressFrom family", `BGPPeer p {myASN: 1, peerASN: 2, peerAddressFrom: {defaultGateway: ipv4}}`, `BGPPeer p: InvalidAddress: …must be IPv4 or IPv6`},
		{"extension peerAddressFrom key", `BGPPeer p {myASN: 1, peerASN: 2, peerAddressFrom: {nodeAnnotation: example.com/tor}}`, `BGPPeer p: InvalidAddress: …the key must begin with "lintel.dev/"`},
		{"extension peerAddressFrom with an address", good + `, peerAddressFrom: {defaultGateway: IPv4}}`, `BGPPeer p: InvalidAddress: …remove all but one`},
		{"extension peerAddressFrom with a vrf", `BGPPeer p {myASN: 1, peerASN: 2, vrf: red, peerAddressFrom: {defaultGateway: IPv4}}`, `BGPPeer p: InvalidAddress: …use nodeAnnotation, or remove vrf`},
		{"extension peerAddressFrom with a source", `BGPPeer p {myASN: 1, peerASN: 2, sourceAddress: 10.0.0.2, peerAddressFrom: {defaultGateway: IPv6}}`, `BGPPeer p: warning: sourceAddress 10.0.0.2 is of another family than peerAddressFrom.defaultGateway IPv6`},
		{"extension passive", good + `, passive: true}`, ``},
		{"extension passive on a link", `BGPPeer p {myASN: 1, peerASN: 2, interface: eth0, passive: true}`, `BGPPeer p: InvalidAddress: …passive cannot be used with interface: remove passive`},
		{"extension passive with connectTime", good + `, passive: true, connectTime: 5s}`, `BGPPeer p: warning: connectTime has no effect`},
		{"extension dynamicNeighbors", `BGPPeer p {myASN: 1, peerASN: 2, dynamicNeighbors: {prefixes: [10.0.0.0/24, "2001:db8::/64"], limit: 3}}`, ``},
		{"extension dynamicNeighbors with an address", good + `, dynamicNeighbors: {prefixes: [10.0.0.0/24]}}`, `BGPPeer p: InvalidAddress: …dynamicNeighbors takes the place of peerAddress and interface: remove all but one of them`},
		{"extension dynamicNeighbors prefix", `BGPPeer p {myASN: 1, peerASN: 2, dynamicNeighbors: {prefixes: [10.0.0.0]}}`, `BGPPeer p: InvalidAddress: …invalid dynamicNeighbors prefix "10.0.0.0"`},
		{"extension dynamicNeighbors empty", `BGPPeer p {myASN: 1, peerASN: 2, dynamicNeighbors: {prefixes: []}}`, `BGPPeer p: InvalidAddress: …at least one network`},
		{"extension dynamicNeighbors overlap", `BGPPeer p {myASN: 1, peerASN: 2, dynamicNeighbors: {prefixes: [10.0.0.0/24, 10.0.0.128/25]}}`, `BGPPeer p: InvalidAddress: …prefix 10.0.0.128/25 overlaps with 10.0.0.0/24`},
		{"extension dynamicNeighbors limit", `BGPPeer p {myASN: 1, peerASN: 2, dynamicNeighbors: {prefixes: [10.0.0.0/24], limit: 1001}}`, `BGPPeer p: InvalidAddress: …invalid dynamicNeighbors.limit 1001: must be from 1 to 1000`},
		{"extension dynamicNeighbors with BFD", `BGPPeer p {myASN: 1, peerASN: 2, bfdProfile: b, dynamicNeighbors: {prefixes: [10.0.0.0/24]}}
			BFDProfile b`, `BGPPeer p: InvalidAddress: …remove bfdProfile`},
		{"extension dynamicNeighbors with a source", `BGPPeer p {myASN: 1, peerASN: 2, sourceAddress: 10.0.0.2, dynamicNeighbors: {prefixes: [10.0.0.0/24, "2001:db8::/64"]}}`, `BGPPeer p: warning: sourceAddress 10.0.0.2 is of another family than dynamicNeighbors prefix 2001:db8::/64`},
		{"P8 hold time", good + `, holdTime: 2s}`, `BGPPeer p: InvalidTimers: parsing peer p invalid BGPPeer timers: invalid hold time "2s": must be 0 or >=3s`},
		{"P8 hold time is cut to seconds", good + `, holdTime: 2900ms}`, `BGPPeer p: InvalidTimers: …must be 0 or >=3s`},
		{"P8 negative", good + `, holdTime: -500ms}`, `BGPPeer p: InvalidTimers: …must be 0 or >=3s`},
		{"P8 negative keepalive", good + `, holdTime: 9s, keepaliveTime: -1s}`, `BGPPeer p: InvalidTimers: …invalid keepaliveTime "-1s"`},
		{"P8 derived hold time", good + `, keepaliveTime: 500ms}`, `BGPPeer p: InvalidTimers: …invalid hold time "nil": must be 0 or >=3s`},
		{"P8 keepalive", good + `, holdTime: 9s, keepaliveTime: 10s}`, `BGPPeer p: InvalidTimers: …invalid keepaliveTime "10s", must be lower than holdTime "9s"`},
		{"P8 keepalive equals hold", good + `, holdTime: 9s, keepaliveTime: 9s}`, ``},
		{"P8 zero", good + `, holdTime: 0s, keepaliveTime: 0s}`, `BGPPeer p: warning: a hold time of 0s turns the hold timer off`},
		{"P8 zero keepalive", good + `, holdTime: 9s, keepaliveTime: 0s}`, `BGPPeer p: warning: a keepaliveTime of 0s`},
		{"P8 no upper bound", good + `, holdTime: 100000s}`, `BGPPeer p: warning: holdTime "27h46m40s" is more than the protocol can express`},
		{"1.4 connectTime", good + `, connectTime: 0s}`, `BGPPeer p: InvalidTimers: …connect time should be between 1 seconds to 65535`},
		{"1.4 connectTime in whole seconds", good + `, connectTime: 1500ms}`, `BGPPeer p: InvalidTimers: …whole number of seconds`},
		{"extension gracefulRestart", good + `, gracefulRestart: {restartTime: 20s, notification: true, longLivedStaleTime: 1h}}`, ``},
		{"extension gracefulRestart of nothing", good + `, gracefulRestart: {restartTime: 0s}}`, `BGPPeer p: InvalidGracefulRestart: parsing peer p invalid gracefulRestart.restartTime "0s": must be whole seconds from 1s to 4095s`},
		{"extension restartTime in fractions", good + `, gracefulRestart: {restartTime: 1500ms}}`, `BGPPeer p: InvalidGracefulRestart`},
		{"extension restartTime too long", good + `, gracefulRestart: {restartTime: 4096s}}`, `BGPPeer p: InvalidGracefulRestart`},
		{"extension longLivedStaleTime too long", good + `, gracefulRestart: {longLivedStaleTime: 16777216s}}`, `BGPPeer p: InvalidGracefulRestart: …to 16777215s`},
		{"extension gracefulRestart that is off", good + `, enableGracefulRestart: false, gracefulRestart: {notification: true}}`, `BGPPeer p: InvalidGracefulRestart: …remove gracefulRestart`},
		{"P9", `BGPPeer p {myASN: 1, peerASN: 2, peerAddress: 10.0.0}`, `BGPPeer p: InvalidAddress: parsing peer p invalid BGPPeer address "10.0.0"`},
		{"P10", good + `, routerID: here}`, `BGPPeer p: InvalidRouterID: parsing peer p invalid router ID "here"`},
		{"P10 10.2 #12 IPv6", good + `, routerID: "2001:db8::1"}`, `BGPPeer p: InvalidRouterID: …IPv4`},
		{"P11", good + `, sourceAddress: here}`, `BGPPeer p: InvalidSourceAddress: parsing peer p invalid source IP "here"`},
		{"P11 other family", good + `, sourceAddress: "2001:db8::1"}`, `BGPPeer p: warning: sourceAddress 2001:db8::1 is of another family`},
		{"P12 duplicates", good + `, nodeSelectors: [{}, {}]}`, `BGPPeer p: InvalidSelector: …duplicate definition of nodeSelectors`},
		{"P12 operator", good + `, nodeSelectors: [{matchExpressions: [{key: a, operator: Like}]}]}`, `BGPPeer p: InvalidSelector: …failed to convert peer p node selector`},
		{"P13", good + `, password: secret, passwordSecret: {name: s}}`, `BGPPeer p: TwoPasswords: parsing peer p can not have both password and secret ref set in peer config "metallb-system"/"p"`},
		{"P14", good + `, passwordSecret: {name: s}}`, `BGPPeer p: UnknownSecret: …failed to parse peer p password secret…secret ref not found for peer config "metallb-system"/"p"`},
		{"P14 in another namespace", good + `, passwordSecret: {name: s}}
			Secret other/s {type: kubernetes.io/basic-auth, data: {password: cGFzcw==}}`, `BGPPeer p: UnknownSecret`},
		{"P14 found", good + `, passwordSecret: {name: s}}
			Secret s {type: kubernetes.io/basic-auth, data: {password: cGFzcw==}}`, ``},
		{"P14 the namespace of the reference is ignored", good + `, passwordSecret: {name: s, namespace: other}}
			Secret s {type: kubernetes.io/basic-auth, data: {password: cGFzcw==}}`, `BGPPeer p: warning: passwordSecret.namespace "other" is ignored`},
		{"P15", good + `, passwordSecret: {name: s}}
			Secret s {type: Opaque, data: {password: cGFzcw==}}`,
			`BGPPeer p: InvalidSecret: …secret type mismatch on "metallb-system"/"s", type "kubernetes.io/basic-auth" is expected `},
		{"P16", good + `, passwordSecret: {name: s}}
			Secret s {type: kubernetes.io/basic-auth, data: {username: cGFzcw==}}`,
			`BGPPeer p: InvalidSecret: …password not specified in the secret "metallb-system"/"s"`},
		{"P17", good + `, bfdProfile: b}`, `BGPPeer p: UnknownBFDProfile: peer p referencing non existing bfd profile b`},
		{"P17 refused profile", good + `, bfdProfile: b}
			BFDProfile b {detectMultiplier: 1}`, `
			BFDProfile b: InvalidBFDParameter
			BGPPeer p: UnknownBFDProfile: peer p referencing bfd profile b, which is refused: …must be in 2-255 range`},
		{"P17 found", good + `, bfdProfile: b}
			BFDProfile b`, ``},
		{"1.4 echo with IPv6", `
			BGPPeer p {myASN: 1, peerASN: 2, peerAddress: "2001:db8::1", bfdProfile: b}
			BFDProfile b {echoMode: true}`, `BGPPeer p: warning: bfd profile b has echo mode`},
		{"2.1 10.2 #14 disableMP", good + `, disableMP: true}`, `BGPPeer p: warning: disable mp is deprecated and has no effect`},
		{"1.4 long password", good + `, password: "` + string(make81()) + `"}`, `BGPPeer p: warning: the password is longer than 80 bytes`},
		{"1.4 port", good + `, peerPort: 70000}`, `BGPPeer p: InvalidPort: …invalid peerPort 70000`},
		{"2.1 wrong namespace", `BGPPeer other/p {myASN: 1, peerASN: 2, peerAddress: 10.0.0.1}`, `BGPPeer p: WrongNamespace: resource must be created in metallb-system namespace`},
	})
}

func make81() []byte {
	out := make([]byte, 81)
	for i := range out {
		out[i] = 'x'
	}
	return out
}

func TestPeersOnOneNode(t *testing.T) {
	runRules(t, []ruleTest{
		{"2.4 the same router twice", `
			BGPPeer z {myASN: 1, peerASN: 2, peerAddress: 10.0.0.1}
			BGPPeer a {myASN: 1, peerASN: 2, peerAddress: 10.0.0.1, peerPort: 1179}`,
			`BGPPeer a: DuplicatePeer: peer 10.0.0.1 already exists: BGPPeer "z" has it too; delete one of the two`},
		{"2.4 in another vrf", `
			BGPPeer a {myASN: 1, peerASN: 2, peerAddress: 10.0.0.1}
			BGPPeer b {myASN: 1, peerASN: 2, peerAddress: 10.0.0.1, vrf: red}`, ``},
		{"2.4 twice in a vrf", `
			BGPPeer a {myASN: 1, peerASN: 2, interface: eth0, vrf: red}
			BGPPeer b {myASN: 1, peerASN: 2, interface: eth0, vrf: red}`, `BGPPeer b: DuplicatePeer: peer eth0-red already exists`},
		{"extension networks overlap", `
			BGPPeer a {myASN: 1, peerASN: 2, dynamicNeighbors: {prefixes: [10.0.0.0/24]}}
			BGPPeer b {myASN: 1, peerASN: 2, dynamicNeighbors: {prefixes: [10.1.0.0/24, 10.0.0.0/16]}}`,
			`BGPPeer b: DuplicatePeer: peer from 10.0.0.0/16, 10.1.0.0/24 already exists: BGPPeer "a" has it too`},
		{"extension an address within networks", `
			BGPPeer a {myASN: 1, peerASN: 2, dynamicNeighbors: {prefixes: [10.0.0.0/24]}}
			BGPPeer b {myASN: 1, peerASN: 2, peerAddress: 10.0.0.1}`, ``},
		{"extension the same gateway", `
			BGPPeer a {myASN: 1, peerASN: 2, peerAddressFrom: {defaultGateway: IPv4}}
			BGPPeer b {myASN: 1, peerASN: 2, peerAddressFrom: {defaultGateway: IPv6}}
			BGPPeer c {myASN: 1, peerASN: 2, peerAddressFrom: {defaultGateway: IPv4}}`, `BGPPeer c: DuplicatePeer: peer at the IPv4 default gateway already exists: BGPPeer "a"`},
		{"extension the same annotation", `
			BGPPeer a {myASN: 1, peerASN: 2, peerAddressFrom: {nodeAnnotation: lintel.dev/a}}
			BGPPeer b {myASN: 1, peerASN: 2, peerAddressFrom: {nodeAnnotation: lintel.dev/b}}
			BGPPeer c {myASN: 1, peerASN: 2, peerAddressFrom: {nodeAnnotation: lintel.dev/b}}`, `BGPPeer c: DuplicatePeer: peer of the annotation lintel.dev/b already exists: BGPPeer "b"`},
		{"2.4 on nodes of their own", `
			Node n1[zone=a]
			Node n2[zone=b]
			BGPPeer a {myASN: 1, peerASN: 2, peerAddress: 10.0.0.1, nodeSelectors: [{matchLabels: {zone: a}}]}
			BGPPeer b {myASN: 1, peerASN: 2, peerAddress: 10.0.0.1, nodeSelectors: [{matchLabels: {zone: b}}]}`, ``},
		{"2.4 on a common node", `
			Node n1[zone=a]
			Node n2[zone=b,rack=r]
			BGPPeer a {myASN: 1, peerASN: 2, peerAddress: 10.0.0.1, nodeSelectors: [{matchLabels: {rack: r}}]}
			BGPPeer b {myASN: 1, peerASN: 2, peerAddress: 10.0.0.1, nodeSelectors: [{matchLabels: {zone: b}}]}`,
			`BGPPeer b: DuplicatePeer: …for example on node n2`},
		{"2.4 no nodes known", `
			BGPPeer a {myASN: 1, peerASN: 2, peerAddress: 10.0.0.1, nodeSelectors: [{matchLabels: {zone: a}}]}
			BGPPeer b {myASN: 1, peerASN: 2, peerAddress: 10.0.0.1, nodeSelectors: [{matchLabels: {zone: b}}]}`,
			`BGPPeer b: DuplicatePeer`},
		{"2.4 a refused peer is no duplicate", `
			BGPPeer a {myASN: 0, peerASN: 2, peerAddress: 10.0.0.1}
			BGPPeer b {myASN: 1, peerASN: 2, peerAddress: 10.0.0.1}`, `BGPPeer a: InvalidASN`},
		{"2.4 router IDs and ASNs may differ", `
			BGPPeer a {myASN: 1, peerASN: 2, peerAddress: 10.0.0.1, routerID: 1.1.1.1}
			BGPPeer b {myASN: 3, peerASN: 2, peerAddress: 10.0.0.2, routerID: 2.2.2.2}`, ``},
	})
}
