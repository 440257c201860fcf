package ipam_test

import "testing"

func TestDrain(t *testing.T) {
	check(t, []rule{
		{
			name: "keeps the old, gives nothing new",
			script: `pool a addresses=1.0.0.0/24
				config
				service d/old share=k ports=TCP/80
				sync d/old
				pool a addresses=1.0.0.0/24 drain
				config
				service d/auto
				service d/named pool=a
				service d/asks ips=1.0.0.9
				service d/share share=k ports=TCP/81
				sync d/old d/auto d/named d/asks d/share`,
			want: `d/old 1.0.0.0 Assigned
				d/auto - Draining
				d/named - Draining
				d/asks - Draining
				d/share - Draining`,
			prints: []string{"pool a is draining and gives no new addresses"},
		},
		{
			name: "after a restart too",
			script: `pool a addresses=1.0.0.0/24 drain
				config
				service d/old status=1.0.0.3
				adopt
				sync d/old`,
			want: "d/old 1.0.0.3 Assigned",
		},
		{
			name: "a change of the Service keeps the address",
			script: `pool a addresses=1.0.0.0/24,fc00::/64
				config
				service d/a families=4,6 policy=prefer
				sync d/a
				pool a addresses=1.0.0.0/24,fc00::/64 drain
				config
				service d/a families=4 policy=single ports=TCP/81
				sync d/a`,
			want: "d/a 1.0.0.0 Assigned",
		},
		{
			name: "reservations hold",
			script: `pool a addresses=1.0.0.0/24 drain reserve=d/b@1.0.0.1
				config
				service d/a status=1.0.0.1 from=a
				service d/c status=1.0.0.2 from=a
				sync d/a d/c`,
			want: `d/a - Draining
				d/c 1.0.0.2 Assigned`,
		},
		{
			name: "a status that must change counts as new, unless adopted",
			script: `pool a addresses=1.0.0.0/24,fc00::/64 drain
				config
				service d/a status=1.0.0.1,fc00::1 from=a
				adopt
				service d/b status=1.0.0.2,fc00::2 from=a
				sync d/a d/b`,
			want: `d/a 1.0.0.1 Assigned
				d/b - Draining`,
		},
		{
			name: "new ones go elsewhere",
			script: `pool a addresses=1.0.0.0/24 drain
				pool b addresses=2.0.0.0/24
				config
				service d/a
				sync d/a`,
			want: "d/a 2.0.0.0 Assigned",
		},
	})
}

func TestReservations(t *testing.T) {
	const pool = "pool a addresses=1.0.0.0/30,fc00::/126 reserve=d/mine@1.0.0.0,d/mine@fc00::3\nconfig\n"
	check(t, []rule{
		{
			name: "go to their Service alone",
			script: pool + `service d/other
				service d/asks ips=1.0.0.0
				service d/mine
				service d/dual families=4,6 policy=require
				sync d/other d/asks d/mine d/dual
				counts a`,
			want: `d/other 1.0.0.1 Assigned
				d/asks - AddressReserved
				d/mine 1.0.0.0 Assigned
				d/dual 1.0.0.2,fc00:: Assigned`,
			prints: []string{"address 1.0.0.0 of pool a is reserved for d/mine", "withheld 1"},
		},
		{
			name:   "in both families",
			script: pool + "service d/mine families=4,6 policy=prefer\nsync d/mine",
			want:   "d/mine 1.0.0.0,fc00::3 Assigned",
		},
		{
			name: "go before pinned pools, also without autoAssign",
			script: `pool a addresses=1.0.0.0/24 priority=1
				pool b addresses=2.0.0.0/24 no-auto reserve=d/mine@2.0.0.7
				config
				service d/mine
				sync d/mine`,
			want: "d/mine 2.0.0.7 Assigned",
		},
		{
			name: "may be given back and taken again",
			script: pool + `service d/mine
				sync d/mine
				release d/mine
				service d/other
				sync d/other d/mine`,
			want: `d/other 1.0.0.1 Assigned
				d/mine 1.0.0.0 Assigned`,
		},
		{
			name: "do not renumber their Service",
			script: `pool a addresses=1.0.0.0/24
				config
				service d/a
				sync d/a
				pool a addresses=1.0.0.0/24 reserve=d/a@1.0.0.9
				config
				sync d/a`,
			want: "d/a 1.0.0.0 Assigned",
		},
		{
			name: "do not evict a holder, and go to their Service afterwards",
			script: `pool a addresses=1.0.0.0/24
				config
				service d/a
				sync d/a
				pool a addresses=1.0.0.0/24 reserve=d/b@1.0.0.0
				config
				service d/b ips=1.0.0.0
				sync d/a d/b
				delete d/a
				service d/c
				sync d/c
				waiting`,
			want: `d/b 1.0.0.0 Assigned
				d/c 1.0.0.1 Assigned`,
		},
		{
			name: "are not to be shared with others",
			script: pool + `service d/mine share=k ports=TCP/80
				service d/b share=k ports=TCP/81
				service d/c share=k ports=TCP/82 ips=1.0.0.0
				sync d/mine d/b d/c`,
			want: `d/b 1.0.0.1 Assigned
				d/c - AddressReserved`,
		},
		{
			name: "are not to be had through the status",
			script: pool + `service d/a status=1.0.0.0 from=a
				sync d/a`,
			want: "d/a 1.0.0.1 Assigned",
		},
	})
}

func TestRetention(t *testing.T) {
	const pool = "pool a addresses=1.0.0.0/31 retention=1h\nconfig\nservice d/a\nsync d/a\ndelete d/a\n"
	check(t, []rule{
		{
			name: "keeps the address for the same name",
			script: pool + `service d/x
				service d/y
				service d/asks ips=1.0.0.0
				sync d/x d/y d/asks
				retained a
				counts a
				service d/a
				sync d/a
				retained a`,
			want: `d/x 1.0.0.1 Assigned
				d/y - PoolExhausted
				d/asks - AddressRetained
				d/a 1.0.0.0 Assigned`,
			prints: []string{
				"1.0.0.0 for d/a until 2030-01-01T01:00:00Z",
				"address 1.0.0.0 of pool a is kept for d/a until 2030-01-01T01:00:00Z",
				"v4 1/1 v6 0/0 withheld 1",
			},
		},
		{
			name: "ends",
			script: pool + `service d/x
				service d/y
				sync d/x d/y
				pass 59m
				sync d/y
				pass 2m
				waiting`,
			want: `d/y 1.0.0.0 Assigned`,
		},
		{
			name:   "is not for a Service that ceases to be ours",
			script: "pool a addresses=1.0.0.0/31 retention=1h\nconfig\nservice d/a\nsync d/a\nrelease d/a\nservice d/b\nsync d/b",
			want:   "d/b 1.0.0.0 Assigned",
		},
		{
			name: "is given up by a Service that asks for another address",
			script: pool + `service d/a ips=1.0.0.1
				sync d/a
				service d/b
				sync d/b`,
			want: `d/a 1.0.0.1 Assigned
				d/b 1.0.0.0 Assigned`,
			prints: []string{"freed 1.0.0.0"},
		},
		{
			name: "turned off frees what is kept",
			script: pool + `pool a addresses=1.0.0.0/31
				config
				service d/b
				sync d/b`,
			want: "d/b 1.0.0.0 Assigned",
		},
		{
			name: "sharers both come back",
			script: `pool a addresses=1.0.0.0/31 retention=1h
				config
				service d/a share=k ports=TCP/80
				service d/b share=k ports=TCP/81
				sync d/a d/b
				delete d/a d/b
				service d/x
				service d/b share=k ports=TCP/81
				service d/a share=k ports=TCP/80
				sync d/x d/b d/a`,
			want: `d/x 1.0.0.1 Assigned
				d/b 1.0.0.0 Assigned
				d/a 1.0.0.0 Assigned`,
		},
	})
}

func TestQuota(t *testing.T) {
	check(t, []rule{
		{
			name: "counts distinct addresses in a namespace",
			script: `pool a addresses=1.0.0.0/24 quota=1 quota.big=2 quota.free=-1
				config
				service d/a
				service d/b
				service e/a
				service big/a
				service big/b
				service big/c
				service free/a
				service free/b
				service free/c
				sync d/a d/b e/a big/a big/b big/c free/a free/b free/c`,
			want: `d/a 1.0.0.0 Assigned
				d/b - QuotaExceeded
				e/a 1.0.0.1 Assigned
				big/a 1.0.0.2 Assigned
				big/b 1.0.0.3 Assigned
				big/c - QuotaExceeded
				free/a 1.0.0.4 Assigned
				free/b 1.0.0.5 Assigned
				free/c 1.0.0.6 Assigned`,
			prints: []string{"namespace d holds 1 of the 1 addresses that it may have of pool a"},
		},
		{
			name: "sharing inside the namespace is free, across namespaces it is not",
			script: `pool a addresses=1.0.0.0/24 quota=1
				config
				service d/a share=k ports=TCP/80
				service d/b share=k ports=TCP/81
				service e/x
				service e/c share=k ports=TCP/82
				sync d/a d/b e/x e/c`,
			want: `d/a 1.0.0.0 Assigned
				d/b 1.0.0.0 Assigned
				e/x 1.0.0.1 Assigned
				e/c - QuotaExceeded`,
		},
		{
			name: "goes on to the next pool",
			script: `pool a addresses=1.0.0.0/24 quota=1
				pool b addresses=2.0.0.0/24
				config
				service d/a
				service d/b
				sync d/a d/b`,
			want: "d/b 2.0.0.0 Assigned",
		},
		{
			name: "two families are two addresses",
			script: `pool a addresses=1.0.0.0/24,fc00::/64 quota=1
				config
				service d/a families=4,6 policy=prefer
				service e/b families=4,6 policy=require
				sync d/a e/b`,
			want: `d/a 1.0.0.0 AssignedOneFamily
				e/b - QuotaExceeded`,
		},
		{
			name: "a request is counted",
			script: `pool a addresses=1.0.0.0/24 quota=0
				config
				service d/a ips=1.0.0.1
				sync d/a`,
			want: "d/a - QuotaExceeded",
		},
		{
			name: "a status does not get round it, except at adoption",
			script: `pool a addresses=1.0.0.0/24 quota=0
				config
				service d/old status=1.0.0.1 from=a
				adopt
				service d/new status=1.0.0.2 from=a
				sync d/old d/new`,
			want: `d/old 1.0.0.1 Assigned
				d/new - QuotaExceeded`,
		},
		{
			name: "lowered, it takes nothing away",
			script: `pool a addresses=1.0.0.0/24
				config
				service d/a
				service d/b
				sync d/a d/b
				pool a addresses=1.0.0.0/24 quota=1
				config
				sync d/a d/b
				service d/b ips=1.0.0.9
				sync d/b`,
			want: `d/a 1.0.0.0 Assigned
				d/b - QuotaExceeded`,
		},
		{
			name: "room that is left goes to whom waits for it",
			script: `pool a addresses=1.0.0.0/24 quota=1
				config
				service d/a
				service d/b
				service e/c
				sync d/a d/b e/c
				release d/a
				waiting`,
			want: "d/b 1.0.0.0 Assigned",
		},
		{
			name: "may be swapped for another address",
			script: `pool a addresses=1.0.0.0/24 quota=1
				config
				service d/a
				sync d/a
				service d/a ips=1.0.0.9
				sync d/a`,
			want: "d/a 1.0.0.9 Assigned",
		},
	})
}

func TestRequesters(t *testing.T) {
	check(t, []rule{{
		name: "only they may ask for an address",
		script: `pool a addresses=1.0.0.0/24 requesters=ops reserve=d/r@1.0.0.7
			config
			service d/a ips=1.0.0.5
			service d/b
			service d/r ips=1.0.0.7
			service ops/a ips=1.0.0.6
			sync d/a d/b d/r ops/a`,
		want: `d/a - RequestNotPermitted
			d/b 1.0.0.0 Assigned
			d/r 1.0.0.7 Assigned
			ops/a 1.0.0.6 Assigned`,
		prints: []string{"namespace d may not request specific addresses of pool a"},
	}, {
		name: "a request for the present address needs no permission",
		script: `pool a addresses=1.0.0.0/24 requesters=ops
			config
			service d/a
			sync d/a
			service d/a ips=1.0.0.0
			sync d/a`,
		want: "d/a 1.0.0.0 Assigned",
	}})
}
