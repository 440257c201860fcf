package config

import (
	"net/netip"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/lintel-lb/lintel/api/v1beta1"
)

// A pool whose entries overlap one another is refused; Services keep what they have from any
// of its entries all the same.
func TestAPoolThatOverlapsItselfHoldsAllItsAddresses(t *testing.T) {
	last := netip.MustParseAddr("10.0.0.4")
	res := Parse(Resources{
		Namespace: namespace,
		Pools: []*v1beta1.IPAddressPool{{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "d"},
			Spec: v1beta1.IPAddressPoolSpec{Addresses: []string{"10.0.0.0/30", "10.0.0.0-10.0.0.4"}}}},
		Assigned: map[netip.Addr]string{last: "d", netip.MustParseAddr("10.0.0.1"): "d"},
	})
	if res.Verdicts[0].Accepted {
		t.Error("the pool is accepted")
	}
	for a := range map[string]bool{"10.0.0.0": true, "10.0.0.1": true, "10.0.0.3": true, "10.0.0.4": true} {
		if p := res.Config.PoolOf(netip.MustParseAddr(a)); p == nil || p.Name != "d" || !p.Drain {
			t.Errorf("%s is in %v", a, p)
		}
	}
	if n := len(res.Config.Pools[0].Ranges); n != 2 {
		t.Errorf("%d ranges, want two that are disjoint", n)
	}
}

// What is left of a pool that is held over may be smaller than the prefix that is announced of it.
func TestAPoolThatIsHeldOverStaysAggregated(t *testing.T) {
	for name, in := range map[string]string{
		"an entry that cannot be read": `
			IPAddressPool a {addresses: [10.0.0.0/33]}
			BGPAdvertisement a {aggregationLength: 24}
			Assigned 10.0.0.1 a`,
		"an overlap": `
			IPAddressPool b {addresses: [10.0.0.128/25]}
			IPAddressPool a {addresses: [10.0.0.0/24]}
			BGPAdvertisement a {aggregationLength: 24, ipAddressPools: [a]}
			Assigned 10.0.0.1 a
			Assigned 10.0.0.129 b`,
	} {
		t.Run(name, func(t *testing.T) {
			res := Parse(script(t, in))
			if v := verdictOf(res, KindPool, "a"); v.Accepted {
				t.Error("the pool is accepted")
			}
			if len(res.Config.BGP) != 1 || !res.Config.BGP[0].SelectsPool("a") {
				t.Errorf("the pool is not announced: %v", verdictLines(res.Verdicts))
			}
		})
	}
}

// A pool that is held over keeps what it keeps for Services that were deleted.
func TestAPoolThatIsHeldOverRetains(t *testing.T) {
	res := Parse(script(t, `
		IPAddressPool a {addresses: [10.0.0.0/24, nonsense], retention: 1h}
		Assigned 10.0.0.1 a`))
	if len(res.Config.Pools) != 1 || res.Config.Pools[0].Retention != time.Hour {
		t.Errorf("the pools in effect are %+v", res.Config.Pools)
	}
}
