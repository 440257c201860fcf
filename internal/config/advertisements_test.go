package config

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/lintel-lb/lintel/internal/lb"
)

func TestL2Rules(t *testing.T) {
	const pool = `IPAddressPool a[zone=x] {addresses: [10.0.0.0/24]}
		L2Advertisement l `
	runRules(t, []ruleTest{
		{"1.2 no spec", `IPAddressPool a {addresses: [10.0.0.0/24]}
			L2Advertisement l`, ``},
		{"1.2 unknown pools", pool + `{ipAddressPools: [a, b, c]}`, `L2Advertisement l: warning: no IPAddressPool is named b, c`},
		{"1.2 no pool matches", pool + `{ipAddressPoolSelectors: [{matchLabels: {zone: q}}]}`, `L2Advertisement l: warning: no IPAddressPool is selected`},
		{"1.2 a refused pool exists", `
			IPAddressPool a {addresses: []}
			L2Advertisement l {ipAddressPools: [a]}`, `
			IPAddressPool a: InvalidAddresses
			L2Advertisement l: warning: no IPAddressPool is selected`},
		{"D1", pool + `{ipAddressPools: [a, a]}`, `L2Advertisement l: DuplicateEntry: …duplicate definition of ipAddressPools "a"`},
		{"D2 pools", pool + `{ipAddressPoolSelectors: [{}, {}]}`, `L2Advertisement l: InvalidSelector: …duplicate definition of ipAddressPoolSelectors`},
		{"D2 nodes", pool + `{nodeSelectors: [{}, {}]}`, `L2Advertisement l: InvalidSelector: …duplicate definition of nodeSelectors`},
		{"D2 services", pool + `{serviceSelectors: [{}, {}]}`, `L2Advertisement l: InvalidSelector: …duplicate definition of serviceSelectors`},
		{"extension: weight", pool + `{preferredNodeSelectors: [{weight: 101, nodeSelector: {}}]}`, `L2Advertisement l: InvalidWeight: …invalid weight 101, must be in 1-100 range`},
		{"extension: selector", pool + `{preferredNodeSelectors: [{weight: 1, nodeSelector: {matchExpressions: [{key: a, operator: Like}]}}]}`, `L2Advertisement l: InvalidSelector: …preferredNodeSelectors[0].nodeSelector`},
		{"2.1 wrong namespace", `L2Advertisement other/l`, `L2Advertisement l: WrongNamespace`},
	})
}

func TestBGPRules(t *testing.T) {
	const pool = `IPAddressPool a {addresses: [1.1.1.0/28]}
		BGPAdvertisement b `
	const ranges = `IPAddressPool a {addresses: [10.0.0.0-10.0.0.5]}
		BGPAdvertisement b `
	const pool6 = `IPAddressPool a {addresses: ["2001:db8::/64"]}
		BGPAdvertisement b `
	runRules(t, []ruleTest{
		{"1.3 no spec", `IPAddressPool a {addresses: [10.0.0.0/24]}
			BGPAdvertisement b`, ``},
		{"1.3 unknown peers and pools", pool + `{peers: [p, q], ipAddressPools: [c]}`, `
			BGPAdvertisement b: warning: no IPAddressPool is named c
			BGPAdvertisement b: warning: no BGPPeer is named p, q`},
		{"1.3 refused peer", pool + `{peers: [p]}
			BGPPeer p`, `
			BGPAdvertisement b: warning: BGPPeer p is refused
			BGPPeer p: InvalidASN`},
		{"D1 pools", pool + `{ipAddressPools: [a, a]}`, `BGPAdvertisement b: DuplicateEntry: …duplicate definition of ipAddressPools "a"`},
		{"D1 peers", pool + `{peers: [p, p]}`, `BGPAdvertisement b: DuplicateEntry: …duplicate definition of peers "p"`},
		{"D1 communities", pool + `{communities: ["1:2", "1:2"]}`, `BGPAdvertisement b: DuplicateEntry: …duplicate definition of community "1:2"`},
		{"D2 pools", pool + `{ipAddressPoolSelectors: [{}, {}]}`, `BGPAdvertisement b: InvalidSelector: …duplicate definition of ipAddressPoolSelectors`},
		{"D2 nodes", pool + `{nodeSelectors: [{}, {}]}`, `BGPAdvertisement b: InvalidSelector: …duplicate definition of nodeSelectors`},
		{"D2 services", pool + `{serviceSelectors: [{}, {}]}`, `BGPAdvertisement b: InvalidSelector: …duplicate definition of serviceSelectors`},
		{"D3", pool + `{serviceSelectors: [{}], aggregationLength: 30}`, `BGPAdvertisement b: SelectorsWithAggregation: …serviceSelectors and aggregationLength are mutually exclusive, both cannot be set in b`},
		{"D3 IPv6", pool + `{serviceSelectors: [{}], aggregationLengthV6: 64}`, `BGPAdvertisement b: SelectorsWithAggregation: …serviceSelectors and aggregationLengthV6 are mutually exclusive, both cannot be set in b`},
		{"D3 defaults", pool + `{serviceSelectors: [{}], aggregationLength: 32, aggregationLengthV6: 128}`, ``},
		{"D4 10.2 #28", pool + `{aggregationLength: 33}`, `BGPAdvertisement b: InvalidAggregationLength: …invalid aggregation length 33 for IPv4`},
		{"D4 IPv6", pool + `{aggregationLengthV6: 129}`, `BGPAdvertisement b: InvalidAggregationLength: …invalid aggregation length 129 for IPv6`},
		{"D4 below 1", pool + `{aggregationLength: 0}`, `BGPAdvertisement b: InvalidAggregationLength: …invalid aggregation length 0 for IPv4`},
		{"D4 IPv6 below 1 and not used", pool + `{aggregationLengthV6: 0}`, `BGPAdvertisement b: warning: aggregationLengthV6 0 is not in 1-128 range`},
		{"D4 IPv6 below 1", pool6 + `{aggregationLengthV6: 0}`, `BGPAdvertisement b: InvalidAggregationLength: …invalid aggregation length 0`},
		{"D5", pool + `{aggregationLength: 26}`, `BGPAdvertisement b: InvalidAggregationLength: …invalid aggregation length 26: prefix 28 in this pool is more specific than the aggregation length for addresses 1.1.1.0/28`},
		{"D5 equal", pool + `{aggregationLength: 28}`, ``},
		{"D5 IPv6", pool6 + `{aggregationLengthV6: 63}`, `BGPAdvertisement b: InvalidAggregationLength: …invalid aggregation length 63: prefix 64 in this pool is more specific than the aggregation length for addresses 2001:db8::/64`},
		{"D5 a range by its largest block", ranges + `{aggregationLength: 29}`, `BGPAdvertisement b: InvalidAggregationLength: …invalid aggregation length 29: prefix 30 in this pool is more specific`},
		{"D5 10.2 #16 addresses outside", ranges + `{aggregationLength: 30}`, `BGPAdvertisement b: warning: aggregation length 30 announces 10.0.0.4/30, which has addresses outside of 10.0.0.0-10.0.0.5 in pool a`},
		{"D5 addresses outside on both ends", `IPAddressPool a {addresses: [10.0.0.2-10.0.0.13]}
			BGPAdvertisement b {aggregationLength: 30}`, `BGPAdvertisement b: warning: aggregation length 30 announces 10.0.0.0/30 and 10.0.0.12/30`},
		{"D5 nothing outside", ranges + `{aggregationLength: 31}`, ``},
		{"D5 a small pool does not end the announcement of others", `
			IPAddressPool a {addresses: [10.0.0.0/24]}
			IPAddressPool b {addresses: [10.1.0.0/28]}
			BGPAdvertisement b {aggregationLength: 24}`, `BGPAdvertisement b: warning: pool b is not announced: invalid aggregation length 24`},
		{"D7 number", pool + `{communities: ["1:70000"]}`, `BGPAdvertisement b: InvalidCommunity: …invalid community value: invalid section`},
		{"D7 large number", pool + `{communities: ["large:1:2:x"]}`, `BGPAdvertisement b: InvalidCommunity: …invalid community value: invalid section`},
		{"D7 marker", pool + `{communities: ["big:1:2:3"]}`, `BGPAdvertisement b: InvalidCommunity: …invalid community value: expected community to be of format large`},
		{"D7 unknown name", pool + `{communities: [vip]}`, `BGPAdvertisement b: InvalidCommunity: …invalid community "vip" in BGP advertisement…invalid community format: vip`},
		{"D7 shape", pool + `{communities: ["1:2:3"]}`, `BGPAdvertisement b: InvalidCommunity: …invalid community format: 1:2:3`},
		{"D7 name", pool + `{communities: [vip]}
			Community c {communities: [{name: vip, value: "1:2"}]}`, ``},
		{"extension communities", pool + `{communities: ["rt:64500:100", "rt:4200000001:100", "soo:192.0.2.1:7", "extended:0x030b000000000064", target]}
			Community c {communities: [{name: target, value: "rt:64500:4294967295"}]}`, ``},
		{"extension an alias goes before", pool + `{communities: ["rt:1"]}
			Community c {communities: [{name: "rt:1", value: "1:2"}]}`, ``},
		{"extension rt number", pool + `{communities: ["rt:4200000001:65536"]}`, `BGPAdvertisement b: InvalidCommunity: …"rt:4200000001:65536": the last part must be a number from 0 to 65535`},
		{"extension rt administrator", pool + `{communities: ["rt:x:1"]}`, `BGPAdvertisement b: InvalidCommunity: …"x" is neither an AS number nor an IPv4 address`},
		{"extension soo without number", pool + `{communities: ["soo:1"]}`, `BGPAdvertisement b: InvalidCommunity: …want soo:ASN:NUMBER`},
		{"extension digits", pool + `{communities: ["extended:0x64"]}`, `BGPAdvertisement b: InvalidCommunity: …0x and 16 hexadecimal digits`},
		{"extension alias", `Community c {communities: [{name: target, value: "rt:1:x"}]}`, `Community c: InvalidCommunity: parsing community "target": invalid community value: invalid extended community "rt:1:x"`},
		{"extension linkBandwidth", pool + `{linkBandwidth: {}}`, ``},
		{"extension linkBandwidth rate", pool + `{linkBandwidth: {megabitsPerEndpoint: 1000001}}`, `BGPAdvertisement b: InvalidLinkBandwidth: parsing BGPAdvertisement b: invalid linkBandwidth.megabitsPerEndpoint 1000001: must be from 1 to 1000000`},
		{"extension linkBandwidth of aggregates", pool + `{linkBandwidth: {}, aggregationLength: 30}`, `BGPAdvertisement b: warning: linkBandwidth has no effect on IPv4 routes of aggregationLength 30`},
		{"D8 value", `Community c {communities: [{name: vip, value: "1:x"}]}`, `Community c: InvalidCommunity: parsing community "vip": invalid community value`},
		{"D8 twice in one", `Community c {communities: [{name: vip, value: "1:1"}, {name: vip, value: "1:2"}]}`, `Community c: DuplicateCommunity: duplicate definition of community "vip"`},
		{"D8 twice in two", pool + `{communities: [vip]}
			Community z {communities: [{name: vip, value: "1:1"}]}
			Community c {communities: [{name: other, value: "1:3"}, {name: vip, value: "1:2"}]}`,
			`Community c: DuplicateCommunity: duplicate definition of community "vip": Community "z" defines it already`},
		{"D8 names of a refused object are unknown", pool + `{communities: [vip]}
			Community c {communities: [{name: vip, value: "1:1"}, {name: bad, value: x}]}`, `
			BGPAdvertisement b: InvalidCommunity: …"vip"
			Community c: InvalidCommunity`},
		{"BFD echo and IPv6", pool6 + `{}
			BGPPeer p {myASN: 1, peerASN: 2, peerAddress: 10.0.0.1, bfdProfile: e}
			BGPPeer q {myASN: 1, peerASN: 2, peerAddress: 10.0.0.2}
			BFDProfile e {echoMode: true}`,
			`BGPAdvertisement b: warning: pool a has bgpadvertisement b which references peer p which has bfd echo enabled`},
		{"BFD echo and IPv6, other peers", pool6 + `{peers: [q]}
			BGPPeer p {myASN: 1, peerASN: 2, peerAddress: 10.0.0.1, bfdProfile: e}
			BGPPeer q {myASN: 1, peerASN: 2, peerAddress: 10.0.0.2}
			BFDProfile e {echoMode: true}`, ``},
	})
}

func TestLocalPref(t *testing.T) {
	const pool = `IPAddressPool a {addresses: [10.0.0.0/24]}
		`
	runRules(t, []ruleTest{
		{"D6", pool + `BGPAdvertisement z {localPref: 100}
			BGPAdvertisement b {localPref: 200}`,
			`BGPAdvertisement b: ConflictingLocalPref: invalid local preference 200: local preferernce 100 was already set for the same type of BGP update. Check existing BGP advertisements with common pools and aggregation lengths…"z"`},
		{"D6 unset is a value", pool + `BGPAdvertisement z
			BGPAdvertisement b {localPref: 200}`, `BGPAdvertisement b: ConflictingLocalPref`},
		{"D6 equal", pool + `BGPAdvertisement z {localPref: 100}
			BGPAdvertisement b {localPref: 100}`, ``},
		{"D6 service selectors", pool + `BGPAdvertisement z {localPref: 100}
			BGPAdvertisement b {localPref: 200, serviceSelectors: [{}]}`, ``},
		{"D6 lengths differ", pool + `BGPAdvertisement z {localPref: 100}
			BGPAdvertisement b {localPref: 200, aggregationLength: 24}`, ``},
		{"D6 lengths of the other family differ", pool + `BGPAdvertisement z {localPref: 100}
			BGPAdvertisement b {localPref: 200, aggregationLengthV6: 64}`, `BGPAdvertisement b: ConflictingLocalPref`},
		{"D6 one of two lengths differs", `IPAddressPool a {addresses: [10.0.0.0/24, "2001:db8::/64"]}
			BGPAdvertisement z {localPref: 100}
			BGPAdvertisement b {localPref: 200, aggregationLengthV6: 64}`, `BGPAdvertisement b: ConflictingLocalPref`},
		{"D6 both lengths differ", `IPAddressPool a {addresses: [10.0.0.0/24, "2001:db8::/64"]}
			BGPAdvertisement z {localPref: 100}
			BGPAdvertisement b {localPref: 200, aggregationLength: 24, aggregationLengthV6: 64}`, ``},
		{"D6 no peer in common", pool + `BGPAdvertisement z {localPref: 100, peers: [p]}
			BGPAdvertisement b {localPref: 200, peers: [q]}
			BGPPeer p {myASN: 1, peerASN: 2, peerAddress: 10.0.0.1}
			BGPPeer q {myASN: 1, peerASN: 2, peerAddress: 10.0.0.2}`, ``},
		{"D6 all peers", pool + `BGPAdvertisement z {localPref: 100}
			BGPAdvertisement b {localPref: 200, peers: [q]}
			BGPPeer q {myASN: 1, peerASN: 2, peerAddress: 10.0.0.2}`, `BGPAdvertisement b: ConflictingLocalPref`},
		{"D6 no node in common", pool + `BGPAdvertisement z {localPref: 100, nodeSelectors: [{matchLabels: {zone: a}}]}
			BGPAdvertisement b {localPref: 200, nodeSelectors: [{matchLabels: {zone: b}}]}
			Node n1[zone=a]
			Node n2[zone=b]`, ``},
		{"D6 a node in common", pool + `BGPAdvertisement z {localPref: 100, nodeSelectors: [{matchLabels: {zone: a}}]}
			BGPAdvertisement b {localPref: 200, nodeSelectors: [{matchLabels: {rack: r}}]}
			Node n1[zone=a,rack=r]`, `BGPAdvertisement b: ConflictingLocalPref`},
		{"D6 no pool in common", `IPAddressPool a {addresses: [10.0.0.0/24]}
			IPAddressPool b {addresses: [10.0.1.0/24]}
			BGPAdvertisement z {localPref: 100, ipAddressPools: [a]}
			BGPAdvertisement b {localPref: 200, ipAddressPools: [b]}`, ``},
		{"D6 10.2 #15 an empty pool does no harm", `IPAddressPool a {addresses: ["1.2.3.4-fc00::1"]}
			BGPAdvertisement z {localPref: 100, ipAddressPools: [a]}
			BGPAdvertisement b {localPref: 200, ipAddressPools: [a]}`, `
			BGPAdvertisement b: warning: no IPAddressPool is selected
			BGPAdvertisement z: warning: no IPAddressPool is selected
			IPAddressPool a: InvalidAddresses`},
	})
}

func TestBFDRules(t *testing.T) {
	runRules(t, []ruleTest{
		{"1.5 bounds", `
			BFDProfile a {receiveInterval: 10, transmitInterval: 10, detectMultiplier: 2, echoInterval: 10, minimumTtl: 1}
			BFDProfile b {receiveInterval: 60000, transmitInterval: 60000, detectMultiplier: 255, echoInterval: 60000, minimumTtl: 254}`, ``},
		{"1.5 multiplier", `BFDProfile a {detectMultiplier: 1}`, `BFDProfile a: InvalidBFDParameter: …invalid detect multiplier value…invalid value 1, must be in 2-255 range`},
		{"1.5 receive", `BFDProfile a {receiveInterval: 9}`, `BFDProfile a: InvalidBFDParameter: …invalid receive interval value…invalid value 9, must be in 10-60000 range`},
		{"1.5 transmit", `BFDProfile a {transmitInterval: 60001}`, `BFDProfile a: InvalidBFDParameter: …invalid transmit interval value…must be in 10-60000 range`},
		{"1.5 echo", `BFDProfile a {echoInterval: 0}`, `BFDProfile a: InvalidBFDParameter: …invalid echo interval value…must be in 10-60000 range`},
		{"1.5 ttl", `BFDProfile a {minimumTtl: 255}`, `BFDProfile a: InvalidBFDParameter: …invalid minimum ttl value…must be in 1-254 range`},
	})
}

func TestBFDAuthRules(t *testing.T) {
	const sha1 = `
		BFDProfile a {auth: {type: KeyedSHA1, keyID: 7, secretRef: {name: s}}}
		BGPPeer p {myASN: 1, peerASN: 2, peerAddress: 10.0.0.1, bfdProfile: a}
		`
	const refused = "\n\t\tBGPPeer p: UnknownBFDProfile: …referencing bfd profile a, which is refused"
	runRules(t, []ruleTest{
		{"a key", sha1 + `Secret s {type: Opaque, data: {"7": c2VjcmV0}}`, ``},
		{"no Secret", sha1 + `Secret other {type: Opaque, data: {"7": c2VjcmV0}}`,
			`BFDProfile a: UnknownSecret: parsing bfd profile a: there is no Secret "s" in namespace "metallb-system": create it, or correct auth.secretRef.name` + refused},
		{"a Secret elsewhere", sha1 + `Secret other/s {type: Opaque, data: {"7": c2VjcmV0}}`, `BFDProfile a: UnknownSecret` + refused},
		{"a Secret of another type", sha1 + `Secret s {type: kubernetes.io/basic-auth, data: {"7": c2VjcmV0}}`,
			`BFDProfile a: InvalidSecret: …the Secret "s" of auth.secretRef is of type "kubernetes.io/basic-auth": it must be of type "Opaque"` + refused},
		{"no such key", sha1 + `Secret s {type: Opaque, data: {"8": c2VjcmV0}}`,
			`BFDProfile a: InvalidSecret: …the Secret "s" of auth.secretRef has no entry "7": add the key under that name, or correct auth.keyID` + refused},
		{"a key that is too long", sha1 + `Secret s {type: Opaque, data: {"7": MTIzNDU2Nzg5MDEyMzQ1Njc4OTAx}}`,
			`BFDProfile a: InvalidSecret: …the entry "7" of Secret "s" has 21 bytes: a key for KeyedSHA1 has 1 to 20` + refused},
		{"an empty key", sha1 + `Secret s {type: Opaque, data: {"7": ""}}`, `BFDProfile a: InvalidSecret` + refused},
		{"a line feed", sha1 + `Secret s {type: Opaque, data: {"7": c2VjcmV0Cg==}}`, `BFDProfile a: warning: the entry "7" of Secret "s" ends in a line feed`},
		{"an entry that is no number", sha1 + `Secret s {type: Opaque, data: {"7": c2VjcmV0, "07": eA==, "256": eA==, key: eA==}}`, `
			BFDProfile a: warning: the entry "07" of Secret "s" is not used
			BFDProfile a: warning: the entry "256" of Secret "s" is not used
			BFDProfile a: warning: the entry "key" of Secret "s" is not used`},
		{"MD5 takes 16 bytes", `
			BFDProfile a {auth: {type: MeticulousKeyedMD5, keyID: 0, secretRef: {name: s}}}
			Secret s {type: Opaque, data: {"0": MTIzNDU2Nzg5MDEyMzQ1Njc=}}`, `BFDProfile a: InvalidSecret: …has 17 bytes: a key for MeticulousKeyedMD5 has 1 to 16`},
		{"an unknown type", `BFDProfile a {auth: {type: Simple, keyID: 0, secretRef: {name: s}}}`, `BFDProfile a: InvalidBFDParameter: …invalid auth.type "Simple"`},
		{"a key ID out of range", `BFDProfile a {auth: {type: KeyedMD5, keyID: 256, secretRef: {name: s}}}`, `BFDProfile a: InvalidBFDParameter: …invalid auth.keyID 256`},
	})
}

// The key that keyID names signs; the others are accepted, so that keys can be changed one
// after another.
func TestBFDKeys(t *testing.T) {
	got := Parse(script(t, `
		BFDProfile a {auth: {type: MeticulousKeyedSHA1, keyID: 2, secretRef: {name: s}}}
		Secret s {type: Opaque, data: {"1": b25l, "2": dHdv, "30": dGhyZWU=}}`))
	want := lb.BFDAuth{Type: lb.MeticulousKeyedSHA1, Keys: []lb.BFDKey{{ID: 2, Secret: "two"}, {ID: 1, Secret: "one"}, {ID: 30, Secret: "three"}}}
	if diff := cmp.Diff(want, got.Config.BFD[0].Auth); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
