package ipam_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/lintel-lb/lintel/internal/lb"
)

// rule is a row of a table: after the script, the Services in want have had these outcomes.
// The script is written in the language of testdata/README.
type rule struct {
	name   string
	script string
	// want has one item a line: Service, addresses, reason.
	want string
	// prints are texts that the script must print, and lacks texts that it must not.
	prints, lacks []string
}

func check(t *testing.T, rules []rule) {
	t.Helper()
	for _, r := range rules {
		t.Run(r.name, func(t *testing.T) {
			s := play(t, r.script)
			var want, got []string
			for line := range strings.Lines(r.want) {
				words := strings.Fields(line)
				if len(words) == 0 {
					continue
				}
				key, err := lb.ParseServiceKey(words[0])
				if err != nil {
					t.Fatal(err)
				}
				o := s.last[key]
				want = append(want, strings.Join(words, " "))
				got = append(got, fmt.Sprintf("%s %s %s", key, text(o.Addresses), o.Reason))
				if diff := cmp.Diff(text(s.alloc.Held(key)), text(o.Addresses)); diff != "" {
					t.Errorf("%s: held and told addresses differ (-held +told):\n%s", key, diff)
				}
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("outcomes (-want +got):\n%s\n%s", diff, s.out.String())
			}
			for _, p := range r.prints {
				if !strings.Contains(s.out.String(), p) {
					t.Errorf("does not print %q:\n%s", p, s.out.String())
				}
			}
			for _, p := range r.lacks {
				if strings.Contains(s.out.String(), p) {
					t.Errorf("prints %q:\n%s", p, s.out.String())
				}
			}
		})
	}
}

func TestConvergence(t *testing.T) {
	check(t, []rule{
		{
			name: "3.3.4 deleting the last pool clears Services",
			script: `pool a addresses=1.2.3.0/30
				config
				service d/a
				sync d/a
				unpool a
				config
				sync d/a`,
			want:   "d/a - NoPool",
			prints: []string{"lost d/a 1.2.3.0 NotCovered", "released 1.2.3.0"},
		},
		{
			name: "3.3.5 no cluster address",
			script: `pool a addresses=1.2.3.0/30
				config
				service d/a
				sync d/a
				service d/a families=none
				sync d/a`,
			want: "d/a - WaitingForClusterIP",
		},
		{
			name: "3.3.6 host names in the status are overwritten",
			script: `pool a addresses=1.2.3.0/30
				config
				service d/a hostname=x.example status=1.2.3.1 from=a
				sync d/a`,
			want:   "d/a 1.2.3.1 Assigned",
			prints: []string{"Assigned changed"},
		},
		{
			name: "3.3.7 RequireDualStack with one cluster address",
			script: `pool a addresses=1.2.3.0/30,fc00::/126
				config
				service d/a policy=require status=1.2.3.1
				sync d/a`,
			want:   "d/a - NotEnoughClusterIPs",
			prints: []string{`event Warning not enough clusterips: Service requires dual stack but not enough clusterips [10.0.0.1]`},
		},
		{
			name: "3.3.8 an address of the wrong family is replaced",
			script: `pool a addresses=1.2.3.0/30,fc00::/126
				config
				service d/a status=fc00::1
				sync d/a`,
			want: "d/a 1.2.3.0 Assigned",
		},
		{
			name: "3.3.8 three addresses in the status",
			script: `pool a addresses=1.2.3.0/30
				config
				service d/a status=1.2.3.1,1.2.3.2,1.2.3.3
				sync d/a`,
			want:   "d/a 1.2.3.1 Assigned",
			prints: []string{"event Warning nolbIPsIPFamily: Failed to retrieve LBIPs IPFamily for"},
		},
		{
			name: "3.3.8 cluster addresses of one family keep what is there",
			script: `pool a addresses=1.2.3.0/30
				config
				service d/a
				sync d/a
				service d/a families=4,4
				sync d/a`,
			want:   "d/a 1.2.3.0 ClusterIPsInvalid",
			prints: []string{"event Warning noclusterIPsIPFamily: Failed to retrieve ClusterIPs IPFamily for [10.0.0.1 10.0.0.1] 10.0.0.1"},
		},
		{
			name: "3.3.8 from two families to one keeps the address that fits",
			script: `pool a addresses=1.2.3.0/30,fc00::/126
				config
				service d/first
				service d/a families=4,6 policy=prefer
				sync d/first d/a
				release d/first
				service d/a families=4 policy=single
				sync d/a`,
			want: "d/a 1.2.3.1 Assigned",
		},
		{
			name: "3.3.9 an address that no pool covers is replaced",
			script: `pool a addresses=1.2.3.0/30
				config
				service d/a status=9.9.9.9
				sync d/a`,
			want: "d/a 1.2.3.0 Assigned",
			prints: []string{
				`event Normal ClearAssignment: current IP for "d/a" not allowed by config, will attempt for new IP assignment: ["9.9.9.9"] is not allowed in config`,
			},
		},
		{
			name: "3.3.10 another pool by annotation",
			script: `pool a addresses=1.2.3.0/30
				pool b addresses=5.6.7.0/30
				config
				service d/a
				sync d/a
				service d/a pool=b
				sync d/a`,
			want: "d/a 5.6.7.0 Assigned",
		},
		{
			name: "3.3.10 the old pool is left even if the new one is full",
			script: `pool a addresses=1.2.3.0/30
				pool b addresses=5.6.7.0/32
				config
				service d/x pool=b
				service d/a
				sync d/x d/a
				service d/a pool=b
				sync d/a`,
			want:   "d/a - PoolExhausted",
			prints: []string{`event Warning AllocationFailed: Failed to allocate IP for "d/a": no available IPs in pool b`},
		},
		{
			name: "3.3.11 an unreadable request keeps the address",
			script: `pool a addresses=1.2.3.0/30
				config
				service d/a
				sync d/a
				service d/a ips=nonsense
				sync d/a
				sync d/a`,
			want:   "d/a 1.2.3.0 RequestInvalid",
			prints: []string{`event Warning LoadBalancerFailed: invalid requested loadbalancer IPs: invalid metallb.io/loadBalancerIPs: "nonsense"`},
		},
		{
			name: "3.3.11 a request of the wrong family keeps the address",
			script: `pool a addresses=1.2.3.0/30,fc00::/126
				config
				service d/a
				sync d/a
				service d/a ips=fc00::1
				sync d/a`,
			want:   "d/a 1.2.3.0 RequestInvalid",
			prints: []string{`requested loadBalancer IP(s) ["fc00::1"] does not match the ipFamily of the service`},
		},
		{
			name: "3.3.11 another address on request",
			script: `pool a addresses=1.2.3.0/30
				config
				service d/a
				sync d/a
				service d/a ips=1.2.3.3
				sync d/a`,
			want:   "d/a 1.2.3.3 Assigned",
			prints: []string{"released 1.2.3.0", "freed 1.2.3.0"},
		},
		{
			name: "3.3.12 a second address when the pool gains the family",
			script: `pool a addresses=1.2.3.0/30
				config
				service d/a families=4,6 policy=prefer
				sync d/a
				sync d/a
				pool a addresses=1.2.3.0/30,fc00::/126
				config
				sync d/a`,
			want:   "d/a 1.2.3.0,fc00:: Assigned",
			prints: []string{"cannot assign additional IP in PreferDualStack", "retry d/a", `event Normal IPAllocated: Assigned additional IP "fc00::"`},
		},
		{
			name: "3.3 requested addresses of two pools",
			script: `pool a addresses=1.2.3.0/30
				pool b addresses=fc00::/126
				config
				service d/a families=4,6 policy=prefer ips=1.2.3.0,fc00::1
				sync d/a`,
			want:   "d/a - RequestNotInPool",
			prints: []string{`["1.2.3.0" "fc00::1"] is not allowed in config`},
		},
		{
			name: "3.3 requested address outside the requested pool",
			script: `pool a addresses=1.2.3.0/30
				pool b addresses=5.6.7.0/30
				config
				service d/a ips=1.2.3.0 pool=b
				sync d/a`,
			want:   "d/a - RequestNotInPool",
			prints: []string{`requested loadBalancer IP(s) ["1.2.3.0"] is not compatible with requested address pool b`},
		},
		{
			name: "3.3 a request does not need autoAssign",
			script: `pool a addresses=1.2.3.0/30 no-auto
				config
				service d/a ips=1.2.3.2
				service d/b pool=a
				service d/c
				sync d/a d/b d/c`,
			want: `d/a 1.2.3.2 Assigned
				d/b 1.2.3.0 Assigned
				d/c - NotAllowedByPool`,
		},
		{
			name: "3.3 a request respects the pinning",
			script: `pool a addresses=1.2.3.0/30 namespaces=x
				config
				service d/a ips=1.2.3.2
				service d/b pool=a
				service x/c ips=1.2.3.2
				sync d/a d/b x/c`,
			want: `d/a - NotAllowedByPool
				d/b - NotAllowedByPool
				x/c 1.2.3.2 Assigned`,
			prints: []string{"pool a not compatible for ip assignment"},
		},
		{
			name: "3.3 a request for two addresses keeps its order",
			script: `pool a addresses=1.2.3.0/30,fc00::/126
				config
				service d/a families=4,6 policy=require ips=fc00::1,1.2.3.1
				sync d/a
				sync d/a`,
			want: "d/a fc00::1,1.2.3.1 Assigned",
		},
		{
			name: "3.3 a request for one address of two: the other is added",
			script: `pool a addresses=5.6.7.0/30,fd00::/126
				pool b addresses=1.2.3.0/30,fc00::/126
				pool c addresses=9.9.9.0/30
				config
				service d/prefer families=4,6 policy=prefer ips=1.2.3.1
				service d/require families=4,6 policy=require ips=fc00::2
				service d/alone families=4,6 policy=prefer ips=9.9.9.1
				service d/never families=4,6 policy=require ips=9.9.9.2
				sync d/prefer d/require d/alone d/never`,
			want: `d/prefer 1.2.3.1,fc00:: Assigned
				d/require fc00::2,1.2.3.0 Assigned
				d/alone 9.9.9.1 AssignedOneFamily
				d/never - FamilyNotInPool`,
		},
		{
			name: "3.3 a request that the Service satisfies changes nothing",
			script: `pool a addresses=1.2.3.0/30,fc00::/126
				config
				service d/a families=4,6 policy=prefer
				sync d/a
				service d/a ips=fc00::
				sync d/a`,
			want: "d/a 1.2.3.0,fc00:: Assigned",
		},
		{
			name: "3.3 one changed request of two families keeps the other address",
			script: `pool a addresses=1.2.3.0/30,fc00::/126
				config
				service d/x families=6
				service d/a families=4,6 policy=prefer
				sync d/x d/a
				release d/x
				service d/a ips=1.2.3.3
				sync d/a`,
			want: "d/a 1.2.3.3,fc00::1 Assigned",
		},
		{
			name: "another controller's status is left alone",
			script: `pool a addresses=1.2.3.0/30
				config
				service d/a other-controller=cloud
				sync d/a`,
			want:  "d/a - ForeignStatus",
			lacks: []string{"changed"},
		},
		{
			name: "a stale status does not move the Service",
			script: `pool a addresses=1.2.3.0/30
				config
				service d/a
				service d/b
				sync d/a d/b
				release d/a
				service d/b status=
				sync d/b`,
			want: "d/b 1.2.3.1 Assigned",
		},
	})
}

func TestAllocationFailureIsToldOnce(t *testing.T) {
	s := play(t, `pool a addresses=1.2.3.0/32
		config
		service d/a
		service d/b
		sync d/a d/b
		sync d/b
		sync d/b`)
	if n := strings.Count(s.out.String(), "AllocationFailed"); n != 1 {
		t.Errorf("%d events, want 1:\n%s", n, s.out.String())
	}
}

func TestChoiceOfPool(t *testing.T) {
	check(t, []rule{
		{
			name: "3.4 pinned pools by priority, then open ones by name",
			script: `pool a addresses=1.0.0.1/32
				pool b addresses=1.0.0.2/32
				pool p1 addresses=1.0.0.3/32 priority=10
				pool p2 addresses=1.0.0.4/32 priority=2
				pool p3 addresses=1.0.0.5/32 pinned
				pool p4 addresses=1.0.0.6/32 priority=-5
				pool p5 addresses=1.0.0.7/32 priority=-1
				pool p0 addresses=1.0.0.8/32 pinned
				config
				service d/1
				service d/2
				service d/3
				service d/4
				service d/5
				service d/6
				service d/7
				service d/8
				service d/9
				sync d/1 d/2 d/3 d/4 d/5 d/6 d/7 d/8 d/9`,
			want: `d/1 1.0.0.4 Assigned
				d/2 1.0.0.3 Assigned
				d/3 1.0.0.8 Assigned
				d/4 1.0.0.5 Assigned
				d/5 1.0.0.6 Assigned
				d/6 1.0.0.7 Assigned
				d/7 1.0.0.1 Assigned
				d/8 1.0.0.2 Assigned
				d/9 - PoolExhausted`,
		},
		{
			name: "3.4 namespaces and selectors are joined, Service selectors narrow",
			script: `namespace x team=red
				pool a addresses=1.0.0.0/24 namespaces=y namespace-selector=team:red service-selector=app:web
				config
				service x/a label=app:web
				service y/a label=app:web
				service z/a label=app:web
				service x/b
				sync x/a y/a z/a x/b`,
			want: `x/a 1.0.0.0 Assigned
				y/a 1.0.0.1 Assigned
				z/a - NotAllowedByPool
				x/b - NotAllowedByPool`,
		},
		{
			name: "3.4 dual stack goes to the first pool with both families",
			script: `pool a addresses=1.0.0.0/24
				pool b addresses=fc00::/64
				pool c addresses=2.0.0.0/24,fd00::/64
				config
				service d/prefer families=4,6 policy=prefer
				service d/require families=6,4 policy=require
				sync d/prefer d/require`,
			want: `d/prefer 2.0.0.0,fd00:: Assigned
				d/require 2.0.0.1,fd00::1 Assigned`,
		},
		{
			name: "3.4 without such a pool the primary family decides",
			script: `pool a addresses=1.0.0.0/24
				pool b addresses=fc00::/64
				config
				service d/4 families=4,6 policy=prefer
				service d/6 families=6,4 policy=prefer
				service d/r families=6,4 policy=require
				sync d/4 d/6 d/r`,
			want: `d/4 1.0.0.0 AssignedOneFamily
				d/6 fc00:: AssignedOneFamily
				d/r - FamilyNotInPool`,
		},
		{
			name: "3.4 without the primary family the other one does",
			script: `pool a addresses=1.0.0.0/24
				config
				service d/6 families=6,4 policy=prefer
				sync d/6`,
			want: "d/6 1.0.0.0 AssignedOneFamily",
		},
		{
			name: "3.5 order of addresses",
			script: `pool a addresses=1.0.0.8/31,1.0.0.2-1.0.0.3
				config
				service d/1
				service d/2
				service d/3
				service d/4
				service d/5
				sync d/1 d/2 d/3 d/4 d/5`,
			want: `d/1 1.0.0.8 Assigned
				d/2 1.0.0.9 Assigned
				d/3 1.0.0.2 Assigned
				d/4 1.0.0.3 Assigned
				d/5 - PoolExhausted`,
		},
		{
			name: "3.5 avoidBuggyIPs",
			script: `pool a addresses=1.0.0.254-1.0.1.1 avoid-buggy
				config
				service d/1
				service d/2
				service d/3
				service d/4 ips=1.0.1.0
				sync d/1 d/2 d/3 d/4`,
			want: `d/1 1.0.0.254 Assigned
				d/2 1.0.1.1 Assigned
				d/3 - PoolExhausted
				d/4 - RequestNotInPool`,
		},
		{
			name: "3.5 a pool of buggy addresses only",
			script: `pool a addresses=1.0.0.255-1.0.1.0 avoid-buggy
				config
				service d/1
				sync d/1
				counts a`,
			want:   "d/1 - PoolExhausted",
			prints: []string{"a known=true v4 0/0"},
		},
		{
			name: "3.5 the refusal says what is missing",
			script: `pool a addresses=1.0.0.0/32
				config
				service d/1 pool=a
				service d/2 pool=a
				service d/3 pool=a families=6
				service d/4 pool=b
				service d/5 pool=a families=4,6 policy=require
				sync d/1 d/2 d/3 d/4 d/5`,
			want: `d/1 1.0.0.0 Assigned
				d/2 - PoolExhausted
				d/3 - FamilyNotInPool
				d/4 - UnknownPool
				d/5 - FamilyNotInPool`,
			prints: []string{
				"no available IPs in pool a\n",
				"no available IPs in pool a: it has no IPv6 addresses",
				`unknown pool "b"`,
				"no available IPs in pool a for dual IPFamily: it has no IPv6 addresses",
			},
		},
	})
}

func TestSharing(t *testing.T) {
	const pool = "pool a addresses=1.0.0.0/24\nconfig\n"
	check(t, []rule{
		{
			name: "3.6 same key, distinct ports, any namespace",
			script: pool + `service d/a share=k ports=TCP/80
				service e/b share=k ports=UDP/80,TCP/81
				service d/c share=k
				sync d/a e/b d/c`,
			want: `d/a 1.0.0.0 Assigned
				e/b 1.0.0.0 Assigned
				d/c 1.0.0.0 Assigned`,
		},
		{
			name: "3.6 a port in common keeps apart",
			script: pool + `service d/a share=k ports=TCP/80
				service d/b share=k ports=TCP/443,TCP/80
				service d/c share=k ports=TCP/80 ips=1.0.0.0
				sync d/a d/b d/c`,
			want: `d/a 1.0.0.0 Assigned
				d/b 1.0.0.1 Assigned
				d/c - AddressInUse`,
			prints: []string{`port TCP/80 is already in use on "1.0.0.0" by d/a`},
		},
		{
			name: "3.6 no key, no sharing",
			script: pool + `service d/a ports=TCP/80
				service d/b ports=TCP/81
				service d/c ips=1.0.0.0 ports=TCP/81 share=k
				sync d/a d/b d/c`,
			want: `d/a 1.0.0.0 Assigned
				d/b 1.0.0.1 Assigned
				d/c - AddressInUse`,
			prints: []string{"address 1.0.0.0 is in use by d/a, which does not share it"},
			lacks:  []string{"can't change sharing key"},
		},
		{
			name: "3.6 another key, no sharing",
			script: pool + `service d/a share=k ports=TCP/80
				service d/b share=l ports=TCP/81
				service d/c share=l ports=TCP/82 ips=1.0.0.0
				sync d/a d/b d/c`,
			want: `d/a 1.0.0.0 Assigned
				d/b 1.0.0.1 Assigned
				d/c - AddressInUse`,
		},
		{
			name: "3.6 Local and Cluster never share",
			script: pool + `service d/a share=k ports=TCP/80 traffic=local selector=app=x
				service d/b share=k ports=TCP/81 selector=app=x
				sync d/a d/b`,
			want: `d/a 1.0.0.0 Assigned
				d/b 1.0.0.1 Assigned`,
		},
		{
			name: "3.6 Local and Cluster share where Local has no selector",
			script: pool + `service d/a share=k ports=TCP/80 traffic=local
				service d/b share=k ports=TCP/81 selector=app=x
				sync d/a d/b`,
			want: `d/a 1.0.0.0 Assigned
				d/b 1.0.0.0 Assigned`,
		},
		{
			name: "3.6 Local and Local share with equal selectors",
			script: pool + `service d/a share=k ports=TCP/80 traffic=local selector=app=x
				service d/b share=k ports=TCP/81 traffic=local selector=app=x
				service d/c share=k ports=TCP/82 traffic=local selector=app=y
				sync d/a d/b d/c`,
			want: `d/a 1.0.0.0 Assigned
				d/b 1.0.0.0 Assigned
				d/c 1.0.0.1 Assigned`,
		},
		{
			name: "3.6 a sole holder changes key, ports and policy in place",
			script: pool + `service d/a share=k ports=TCP/80
				sync d/a
				service d/a share=l ports=TCP/81 traffic=local selector=app=x
				sync d/a
				service d/b share=l ports=TCP/80 traffic=local selector=app=x
				sync d/b`,
			want: `d/a 1.0.0.0 Assigned
				d/b 1.0.0.0 Assigned`,
		},
		{
			name: "3.6 a holder among others that changes its key moves away",
			script: pool + `service d/a share=k ports=TCP/80
				service d/b share=k ports=TCP/81
				sync d/a d/b
				service d/b share=l
				sync d/b d/a`,
			want: `d/a 1.0.0.0 Assigned
				d/b 1.0.0.1 Assigned`,
			prints: []string{`ClearAssignment: current IP for "d/b" not allowed by config, will attempt for new IP assignment: can't change sharing key for "d/b", address also in use by d/a`},
		},
		{
			name: "3.6 a holder among others that takes their port moves away",
			script: pool + `service d/a share=k ports=TCP/80
				service d/b share=k ports=TCP/81
				sync d/a d/b
				service d/b ports=TCP/80
				sync d/b d/a`,
			want: `d/a 1.0.0.0 Assigned
				d/b 1.0.0.1 Assigned`,
		},
		{
			name: "3.6 a waiting Service profits when sharing becomes possible",
			script: `pool a addresses=1.0.0.0/32
				config
				service d/a share=k ports=TCP/80
				service d/b share=k ports=TCP/80
				sync d/a d/b
				service d/a ports=TCP/81
				sync d/a
				waiting`,
			want: `d/a 1.0.0.0 Assigned
				d/b 1.0.0.0 Assigned`,
		},
		{
			name: "3.5 an address to share goes before a lower free one",
			script: `pool a addresses=1.0.0.0/24
				config
				service d/x
				service d/a share=k ports=TCP/80
				sync d/x d/a
				release d/x
				service d/b share=k ports=TCP/81
				sync d/b`,
			want: "d/b 1.0.0.1 Assigned",
		},
		{
			name: "3.5 an address to share in a later pool goes before a free one in an earlier",
			script: `pool a addresses=1.0.0.0/24
				pool b addresses=2.0.0.0/24
				config
				service d/a share=k ports=TCP/80 pool=b
				service d/b share=k ports=TCP/81
				sync d/a d/b`,
			want: "d/b 2.0.0.0 Assigned",
		},
		{
			name: "3.4 priority goes before sharing",
			script: `pool a addresses=1.0.0.0/24 priority=1 namespaces=x
				pool b addresses=2.0.0.0/24
				config
				service d/a share=k ports=TCP/80
				service x/b share=k ports=TCP/81
				sync d/a x/b`,
			want: "x/b 1.0.0.0 Assigned",
		},
		{
			name: "3.6 both families are shared where that is possible",
			script: `pool a addresses=1.0.0.0/24,fc00::/64
				config
				service d/x families=4,6 policy=prefer
				service d/a families=4,6 policy=prefer share=k ports=TCP/80
				service d/b families=4,6 policy=prefer share=k ports=TCP/81
				service d/c families=6 share=k ports=TCP/82
				sync d/x d/a d/b d/c`,
			want: `d/a 1.0.0.1,fc00::1 Assigned
				d/b 1.0.0.1,fc00::1 Assigned
				d/c fc00::1 Assigned`,
		},
	})
}

func TestFamilyPolicy(t *testing.T) {
	check(t, []rule{
		{
			name: "3.7 one cluster address, SingleStack",
			script: `pool a addresses=1.0.0.0/24,fc00::/64
				config
				service d/a families=6
				sync d/a`,
			want: "d/a fc00:: Assigned",
		},
		{
			name: "3.7 two cluster addresses, RequireDualStack, two pools",
			script: `pool a addresses=1.0.0.0/24
				pool b addresses=fc00::/64
				config
				service d/a families=4,6 policy=require
				sync d/a`,
			want: "d/a - FamilyNotInPool",
		},
		{
			name: "3.7 no move to another pool in order to get both",
			script: `pool a addresses=1.0.0.0/24
				config
				service d/a families=4,6 policy=prefer
				sync d/a
				pool b addresses=2.0.0.0/24,fc00::/64
				config
				sync d/a`,
			want: "d/a 1.0.0.0 AssignedOneFamily",
		},
		{
			name: "3.7 RequireDualStack moves to a pool with both",
			script: `pool a addresses=1.0.0.0/24
				pool b addresses=2.0.0.0/24,fc00::/64
				config
				service d/a families=4,6 policy=single
				sync d/a
				service d/a policy=require
				sync d/a`,
			want: "d/a 2.0.0.0,fc00:: Assigned",
		},
		{
			name: "3.7 a pool that loses a family: both move to one that has both",
			script: `pool a addresses=1.0.0.0/24,fc00::/64
				pool b addresses=2.0.0.0/24,fd00::/64
				config
				service d/a families=4,6 policy=prefer
				sync d/a
				pool a addresses=1.0.0.0/24
				config
				sync d/a`,
			want:   "d/a 2.0.0.0,fd00:: Assigned",
			prints: []string{"lost d/a 1.0.0.0,fc00:: NotCovered"},
		},
		{
			name: "3.7 a pool that loses a family: what is left stays",
			script: `pool a addresses=1.0.0.0/24,fc00::/64
				config
				service d/x
				service d/a families=4,6 policy=prefer
				sync d/x d/a
				release d/x
				pool a addresses=1.0.0.0/24
				config
				sync d/a`,
			want: "d/a 1.0.0.1 AssignedOneFamily",
		},
		{
			name: "3.7 SingleStack with two cluster addresses",
			script: `pool a addresses=1.0.0.0/24,fc00::/64
				config
				service d/a families=6,4 policy=single
				sync d/a
				sync d/a`,
			want: "d/a fc00:: Assigned",
		},
	})
}

func TestPoolChanges(t *testing.T) {
	check(t, []rule{
		{
			name: "3.8 a pool that shrinks",
			script: `pool a addresses=1.0.0.0/30
				config
				service d/a
				service d/b
				sync d/a d/b
				pool a addresses=1.0.0.1-1.0.0.3
				config
				sync d/a d/b`,
			want: `d/a 1.0.0.2 Assigned
				d/b 1.0.0.1 Assigned`,
		},
		{
			name: "3.8 a pool that is renamed",
			script: `pool a addresses=1.0.0.0/30
				config
				service d/a
				sync d/a
				unpool a
				pool z addresses=1.0.0.0/30
				config
				sync d/a`,
			want:   "d/a 1.0.0.0 Assigned",
			prints: []string{"moved d/a", "d/a 1.0.0.0 pool=z Assigned changed"},
			lacks:  []string{"lost"},
		},
		{
			name: "3.8 pinning that excludes a holder",
			script: `pool a addresses=1.0.0.0/30
				pool b addresses=2.0.0.0/30
				config
				service d/a
				sync d/a
				pool a addresses=1.0.0.0/30 namespaces=x
				config
				sync d/a`,
			want:   "d/a 2.0.0.0 Assigned",
			prints: []string{"lost d/a 1.0.0.0 NotAllowedByPool: pool a not compatible for ip assignment"},
		},
		{
			name: "3.8 avoidBuggyIPs turned on",
			script: `pool a addresses=1.0.0.0/30
				config
				service d/a
				sync d/a
				pool a addresses=1.0.0.0/30 avoid-buggy
				config
				sync d/a`,
			want:   "d/a 1.0.0.1 Assigned",
			prints: []string{"pool a avoids addresses ending in .0 and .255"},
		},
		{
			name: "3.8 autoAssign turned off",
			script: `pool a addresses=1.0.0.0/30
				config
				service d/a
				sync d/a
				pool a addresses=1.0.0.0/30 no-auto
				config
				sync d/a`,
			want:  "d/a 1.0.0.0 Assigned",
			lacks: []string{"lost"},
		},
		{
			name: "3.8 addresses in the status are adopted",
			script: `pool a addresses=1.0.0.0/30
				config
				service d/new
				service d/old status=1.0.0.0
				adopt
				sync d/new d/old`,
			want: `d/new 1.0.0.1 Assigned
				d/old 1.0.0.0 Assigned`,
		},
		{
			name: "3.8 a freed address goes to whom waits for it",
			script: `pool a addresses=1.0.0.0/32
				config
				service d/a
				service d/b
				service d/c
				sync d/a d/b d/c
				release d/a
				waiting`,
			want: `d/b 1.0.0.0 Assigned
				d/c - PoolExhausted`,
		},
		{
			name: "3.8 a waiting Service is told of a new pool",
			script: `pool a addresses=1.0.0.0/32
				config
				service d/a
				service d/b pool=b
				service d/c ips=2.0.0.2
				service d/d pool=x
				sync d/a d/b d/c d/d
				pool b addresses=2.0.0.0/30
				config
				sync d/b d/c`,
			want: `d/b 2.0.0.0 Assigned
				d/c 2.0.0.2 Assigned`,
			prints: []string{"retry d/b\nretry d/c\n"},
			lacks:  []string{"retry d/d"},
		},
		{
			name: "3.8 another Service under the same name",
			script: `pool a addresses=1.0.0.0/30
				config
				service d/a uid=1 ips=1.0.0.3
				sync d/a
				service d/a uid=2 ips= status=
				sync d/a`,
			want: "d/a 1.0.0.0 Assigned",
		},
	})
}

func TestWaiting(t *testing.T) {
	check(t, []rule{
		{
			name: "those that ask for the address come first, then in order of time",
			script: `pool a addresses=1.0.0.0/31
				config
				service d/a
				service d/b
				service d/first
				service d/asks ips=1.0.0.1
				service d/second
				sync d/a d/b d/first d/asks d/second
				release d/a d/b
				waiting`,
			want: `d/first 1.0.0.0 Assigned
				d/asks 1.0.0.1 Assigned
				d/second - PoolExhausted`,
		},
		{
			name: "a second family is waited for",
			script: `pool a addresses=1.0.0.0/30,fc00::/128
				config
				service d/a families=6
				service d/b families=4,6 policy=prefer
				sync d/a d/b
				release d/a
				waiting`,
			want: "d/b 1.0.0.0,fc00:: Assigned",
		},
		{
			name: "room in a quota is left although the address finds a taker",
			script: `pool a addresses=1.0.0.1/32,fc00::9/128 quota=1 quota.e=-1
				config
				service d/a
				service e/c
				service d/b families=6
				sync d/a e/c d/b
				release d/a
				waiting`,
			want: `e/c 1.0.0.1 Assigned
				d/b fc00::9 Assigned`,
		},
		{
			name: "room in a quota is left although the address is retained",
			script: `pool a addresses=1.0.0.0/30 quota=1 retention=1h
				config
				service d/a
				service d/b
				sync d/a d/b
				delete d/a
				waiting`,
			want: "d/b 1.0.0.1 Assigned",
		},
		{
			name: "a pool that is pinned meanwhile",
			script: `pool a addresses=1.0.0.0/32
				config
				service d/a
				service e/b
				sync d/a e/b
				pool a addresses=1.0.0.0/32 namespaces=e
				config
				sync d/a
				waiting`,
			want: `d/a - NotAllowedByPool
				e/b 1.0.0.0 Assigned`,
		},
		{
			name: "the own retained address, held by a sharer",
			script: `pool a addresses=1.0.0.0/32 retention=1h
				config
				service d/a share=k ports=TCP/80
				service d/b share=k ports=TCP/81
				sync d/a d/b
				delete d/b
				service d/b
				sync d/b
				delete d/a
				waiting`,
			want: "d/b 1.0.0.0 Assigned",
		},
	})
}
