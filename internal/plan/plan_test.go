package plan_test

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"pgregory.net/rapid"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/lintel-lb/lintel/api/v1beta1"
	"github.com/lintel-lb/lintel/internal/ipam"
	"github.com/lintel-lb/lintel/internal/lb"
	"github.com/lintel-lb/lintel/internal/plan"
)

// state draws a small cluster, in which Services may have addresses that they should not.
func state(t *rapid.T, label string) plan.State {
	s := plan.State{World: lb.NewWorld(), Namespaces: map[string]ipam.Namespace{}}
	for i := range rapid.IntRange(0, 3).Draw(t, label+" pools") {
		p := &v1beta1.IPAddressPool{ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("p%d", i), Namespace: "lb"}}
		first := rapid.IntRange(0, 6).Draw(t, "first")
		p.Spec.Addresses = []string{fmt.Sprintf("192.0.2.%d-192.0.2.%d", first, first+rapid.IntRange(0, 3).Draw(t, "size"))}
		p.Spec.Drain = rapid.Bool().Draw(t, "drain")
		s.Resources.Pools = append(s.Resources.Pools, p)
	}
	if rapid.Bool().Draw(t, "advertised") {
		s.Resources.L2Advertisements = []*v1beta1.L2Advertisement{{ObjectMeta: metav1.ObjectMeta{Name: "all", Namespace: "lb"}}}
	}
	for _, n := range []string{"n1", "n2"} {
		s.World.Nodes[n] = &lb.Node{Name: n}
	}
	for i := range rapid.IntRange(0, 5).Draw(t, label+" services") {
		k := lb.ServiceKey{Namespace: "shop", Name: fmt.Sprintf("s%d", i)}
		svc := &lb.Service{Key: k, UID: k.Name, ClusterIPs: []netip.Addr{netip.MustParseAddr("10.96.0.1")}, PrimaryFamily: lb.IPv4, Ports: []lb.Port{{Protocol: "TCP", Number: 80}}}
		if rapid.Bool().Draw(t, "has an address") {
			svc.Addresses = []netip.Addr{netip.AddrFrom4([4]byte{192, 0, 2, byte(rapid.IntRange(0, 9).Draw(t, "address"))})}
		}
		s.World.Services[k] = svc
		s.World.Endpoints[k] = lb.Endpoints{Total: 1, Usable: 1, ByNode: map[string]int{"n1": 1}}
	}
	return s
}

func TestNothingChangesNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := state(t, "s")
		if r := plan.Compare(s, s, time.Unix(1, 0)); !r.Empty() {
			t.Errorf("%+v", r)
		}
	})
}

// What is said holds together: addresses of no Service are given twice, kept ones are counted
// once, and what a plan leaves is what the next one begins with.
func TestPlansHoldTogether(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		before, after := state(t, "before"), state(t, "after")
		// Services have in after what they have in before, as a change of files cannot know better.
		for k, s := range after.World.Services {
			s.Addresses = nil
			if old := before.World.Services[k]; old != nil {
				s.Addresses = old.Addresses
			}
		}
		r := plan.Compare(before, after, time.Unix(1, 0))
		will := map[netip.Addr]lb.ServiceKey{}
		for _, c := range r.Services {
			if c.Was == nil && c.Will == nil {
				t.Errorf("%s neither was nor will be", c.Service)
			}
			if c.Will == nil {
				if after.World.Services[c.Service] != nil {
					t.Errorf("%s is said to be gone", c.Service)
				}
				continue
			}
			for _, a := range c.Will.Addresses {
				if other, twice := will[a]; twice {
					t.Errorf("%s goes to %s and to %s", a, other, c.Service)
				}
				will[a] = c.Service
				if r.After.PoolOf(a) == nil {
					t.Errorf("%s of %s is in no pool", a, c.Service)
				}
			}
		}
		for _, a := range r.Announcements {
			if len(a.Will) == 0 && len(a.Was) == 0 {
				t.Errorf("%s is announced by nobody before and after", a.Address)
			}
		}
	})
}
