package config

import "testing"

func TestPoolRules(t *testing.T) {
	runRules(t, []ruleTest{
		{"2.1 wrong namespace", `
			IPAddressPool other/a {addresses: [10.0.0.0/24]}
			IPAddressPool b {addresses: [10.0.0.0/24]}`,
			`IPAddressPool a: WrongNamespace: resource must be created in metallb-system namespace`},
		{"A1 name", `IPAddressPool  {addresses: [10.0.0.0/24]}`, `IPAddressPool : MissingName: …missing pool name`},
		{"A2 no addresses", `IPAddressPool a {addresses: []}`, `IPAddressPool a: InvalidAddresses: parsing address pool a: pool has no prefixes defined`},
		{"A3 not a CIDR", `IPAddressPool a {addresses: [10.0.0.0/33]}`, `IPAddressPool a: InvalidAddresses: parsing address pool a: …invalid CIDR "10.0.0.0/33"`},
		{"A3 a bare address", `IPAddressPool a {addresses: [10.0.0.1]}`, `IPAddressPool a: InvalidAddresses: …invalid CIDR "10.0.0.1"…/32`},
		{"A3 spaces", `IPAddressPool a {addresses: [" 10.0.0.0/24"]}`, `IPAddressPool a: InvalidAddresses: …invalid CIDR " 10.0.0.0/24"`},
		{"A3 host bits", `IPAddressPool a {addresses: [10.0.0.7/24]}`, ``},
		{"A4 start", `IPAddressPool a {addresses: [x-10.0.0.1]}`, `IPAddressPool a: InvalidAddresses: …invalid IP range "x-10.0.0.1": invalid start IP "x"`},
		{"A4 end", `IPAddressPool a {addresses: [10.0.0.1 - 10.0.0]}`, `IPAddressPool a: InvalidAddresses: …invalid IP range "10.0.0.1 - 10.0.0": invalid end IP "10.0.0"`},
		{"A4 spaces around both", `IPAddressPool a {addresses: [" 10.0.0.1 - 10.0.0.3 "]}`, ``},
		{"A5 order", `IPAddressPool a {addresses: [10.0.0.2-10.0.0.1]}`, `IPAddressPool a: InvalidAddresses: …invalid IP range "10.0.0.2-10.0.0.1": start IP "10.0.0.2" is after the end IP "10.0.0.1"`},
		{"A6 10.2 #15 mixed families", `IPAddressPool a {addresses: ["1.2.3.4-fc00::1"]}`, `IPAddressPool a: InvalidAddresses: …invalid IP range "1.2.3.4-fc00::1"…same family`},
		{"A7 in one pool", `IPAddressPool a {addresses: [10.0.0.0/24, 10.0.0.255-10.0.1.3]}`,
			`IPAddressPool a: InvalidAddresses: …CIDR "10.0.0.255-10.0.1.3" in pool "a" overlaps with already defined CIDR "10.0.0.0/24"`},
		{"A7 across pools", `
			IPAddressPool a {addresses: [10.0.0.0/24]}
			IPAddressPool b {addresses: [10.1.0.0/24, 10.0.0.128/25]}`,
			`IPAddressPool b: OverlappingPool: CIDR "10.0.0.128/25" in pool "b" overlaps with already defined CIDR "10.0.0.0/24": pool "a" was there first; remove or narrow`},
		{"A7 the younger loses whatever its name", `
			IPAddressPool z {addresses: [10.0.0.0/24]}
			IPAddressPool a {addresses: [10.0.0.0/16]}`,
			`IPAddressPool a: OverlappingPool`},
		{"A7 assigned addresses win", `
			IPAddressPool a {addresses: [10.0.0.0/24]}
			IPAddressPool b {addresses: [10.0.0.128/25]}
			Assigned 10.0.0.130 b`,
			`IPAddressPool a: OverlappingPool: …pool "b" has assigned addresses`},
		{"A7 a pool that reaches for assigned addresses loses", `
			IPAddressPool a {addresses: [10.0.0.0/24]}
			IPAddressPool b {addresses: [10.0.0.128/25]}
			Assigned 10.0.0.1 a
			Assigned 10.0.0.130 b`,
			`IPAddressPool a: OverlappingPool: …pool "b" has assigned addresses`},
		{"A7 two pools that reach for one another's", `
			IPAddressPool a {addresses: [10.0.0.0/24]}
			IPAddressPool b {addresses: [10.0.0.0/24]}
			Assigned 10.0.0.1 a
			Assigned 10.0.0.130 b`,
			`IPAddressPool b: OverlappingPool: …pool "a" was there first`},
		{"A7 an assignment of unknown origin counts for both", `
			IPAddressPool a {addresses: [10.0.0.0/24]}
			IPAddressPool b {addresses: [10.0.0.128/25]}
			Assigned 10.0.0.130 gone`,
			`IPAddressPool b: OverlappingPool`},
		{"A7 a bad pool takes none with it", `
			IPAddressPool a {addresses: [10.0.0.0/24, nonsense]}
			IPAddressPool b {addresses: [10.0.0.0/24]}`,
			`IPAddressPool a: InvalidAddresses`},
		{"A7 a refused pool does not refuse another", `
			IPAddressPool a {addresses: [10.0.0.0/24]}
			IPAddressPool b {addresses: [10.0.0.0/16]}
			IPAddressPool c {addresses: [10.0.1.0/24]}`,
			`IPAddressPool b: OverlappingPool`},
		{"A8 namespaces", `IPAddressPool a {addresses: [10.0.0.0/24], serviceAllocation: {namespaces: [x, w, x]}}`,
			`IPAddressPool a: DuplicateEntry: parsing address pool a: duplicate definition in namespaces field…"x"`},
		{"A9 namespace selector", `IPAddressPool a {addresses: [10.0.0.0/24], serviceAllocation: {namespaceSelectors: [{matchLabels: {a: b}}, {matchLabels: {a: b}}]}}`,
			`IPAddressPool a: InvalidSelector: parsing address pool a: invalid namespace label selector…duplicate definition of namespaceSelectors`},
		{"A9 service selector", `IPAddressPool a {addresses: [10.0.0.0/24], serviceAllocation: {serviceSelectors: [{matchExpressions: [{key: a, operator: Like}]}]}}`,
			`IPAddressPool a: InvalidSelector: parsing address pool a: invalid service label selector…"Like" is not a valid label selector operator`},
		{"S values", `IPAddressPool a {addresses: [10.0.0.0/24], serviceAllocation: {serviceSelectors: [{matchExpressions: [{key: a, operator: In, values: [v, w, v]}]}]}}`,
			`IPAddressPool a: InvalidSelector: …duplicate definition of match expression value in label selector`},
		{"S expressions in any order", `IPAddressPool a {addresses: [10.0.0.0/24], serviceAllocation: {serviceSelectors: [{matchExpressions: [{key: a, operator: In, values: [v, w]}, {key: a, operator: In, values: [w, v]}]}]}}`,
			`IPAddressPool a: InvalidSelector: …duplicate definition of match expressions`},
		{"S selectors in any order", `IPAddressPool a {addresses: [10.0.0.0/24], serviceAllocation: {serviceSelectors: [{matchLabels: {a: b}, matchExpressions: [{key: a, operator: Exists}, {key: b, operator: In, values: [v, w]}]}, {matchLabels: {a: b}, matchExpressions: [{key: b, operator: In, values: [w, v]}, {key: a, operator: Exists}]}]}}`,
			`IPAddressPool a: InvalidSelector: …duplicate definition of serviceSelectors`},
		{"S a label and an expression differ", `IPAddressPool a {addresses: [10.0.0.0/24], serviceAllocation: {serviceSelectors: [{matchLabels: {a: b}}, {matchExpressions: [{key: a, operator: In, values: [b]}]}]}}`, ``},
		{"A10 duplicate name", `
			IPAddressPool a {addresses: [10.0.0.0/24]}
			IPAddressPool a {addresses: [10.1.0.0/24]}`,
			`IPAddressPool a: DuplicateName: duplicate definition of IPAddressPool "a"`},

		{"extension: reserved address outside", `IPAddressPool a {addresses: [10.0.0.0/24], reservations: [{namespace: n1, name: s, addresses: [10.0.1.1]}]}`,
			`IPAddressPool a: InvalidReservation: …address 10.0.1.1 is not in this pool`},
		{"extension: reserved address twice", `IPAddressPool a {addresses: [10.0.0.0/24], reservations: [{namespace: n1, name: s, addresses: [10.0.0.1]}, {namespace: n1, name: r, addresses: [10.0.0.1]}]}`,
			`IPAddressPool a: InvalidReservation: …address 10.0.0.1 is reserved for n1/s already`},
		{"extension: reserved nonsense", `IPAddressPool a {addresses: [10.0.0.0/24], reservations: [{namespace: n1, name: s, addresses: [x]}]}`,
			`IPAddressPool a: InvalidReservation: …invalid address "x"`},
		{"extension: Service reserved twice", `IPAddressPool a {addresses: [10.0.0.0/24], reservations: [{namespace: n1, name: s, addresses: [10.0.0.1]}, {namespace: n1, name: s, addresses: [10.0.0.2]}]}`,
			`IPAddressPool a: InvalidReservation: …n1/s comes twice`},
		{"extension: negative retention", `IPAddressPool a {addresses: [10.0.0.0/24], retention: -1s}`,
			`IPAddressPool a: InvalidRetention: …"-1s" is negative`},
		{"extension: negative quota", `IPAddressPool a {addresses: [10.0.0.0/24], quota: {perNamespace: -1}}`,
			`IPAddressPool a: InvalidQuota: …perNamespace -1 is negative`},
		{"extension: negative quota of a namespace", `IPAddressPool a {addresses: [10.0.0.0/24], quota: {namespaces: [{namespace: n1, addresses: -1}]}}`,
			`IPAddressPool a: InvalidQuota: …"n1" is negative`},
		{"extension: quota twice", `IPAddressPool a {addresses: [10.0.0.0/24], quota: {namespaces: [{namespace: n1, addresses: 1}, {namespace: n1, addresses: 2}]}}`,
			`IPAddressPool a: InvalidQuota: …"n1" comes twice`},
		{"extension: requesters", `IPAddressPool a {addresses: [10.0.0.0/24], requesters: {namespaceSelectors: [{matchExpressions: [{key: a, operator: Like}]}]}}`,
			`IPAddressPool a: InvalidSelector: …spec.requesters`},
	})
}
