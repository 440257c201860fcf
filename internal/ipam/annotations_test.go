package ipam_test

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/lintel-lb/lintel/internal/ipam"
	"github.com/lintel-lb/lintel/internal/lb"
)

func TestParseRequest(t *testing.T) {
	addrs := func(s ...string) (out []netip.Addr) {
		for _, a := range s {
			out = append(out, netip.MustParseAddr(a))
		}
		return out
	}
	for _, c := range []struct {
		name        string
		annotations map[string]string
		spec        string
		want        lb.Request
	}{
		{name: "3.2 nothing"},
		{name: "3.2 new prefix", annotations: map[string]string{"metallb.io/loadBalancerIPs": "1.2.3.4", "metallb.io/address-pool": "p"},
			want: lb.Request{Addresses: addrs("1.2.3.4"), Pool: "p"}},
		{name: "3.2 old prefix", annotations: map[string]string{"metallb.universe.tf/loadBalancerIPs": "1.2.3.4", "metallb.universe.tf/address-pool": "p"},
			want: lb.Request{Addresses: addrs("1.2.3.4"), Pool: "p"}},
		{name: "3.2 the new key hides the old one, even if empty", annotations: map[string]string{
			"metallb.io/loadBalancerIPs": "", "metallb.universe.tf/loadBalancerIPs": "1.2.3.4",
			"metallb.io/address-pool": "", "metallb.universe.tf/address-pool": "p"}},
		{name: "3.3 order and spaces", annotations: map[string]string{"metallb.io/loadBalancerIPs": " fc00::5 , 1.2.3.5"},
			want: lb.Request{Addresses: addrs("fc00::5", "1.2.3.5")}},
		{name: "3.3 spec", spec: "1.2.3.4", want: lb.Request{Addresses: addrs("1.2.3.4")}},
		{name: "3.3 4-in-6 is IPv4", spec: "::ffff:1.2.3.4", want: lb.Request{Addresses: addrs("1.2.3.4")}},
		{name: "3.3 both", annotations: map[string]string{"metallb.io/loadBalancerIPs": "1.2.3.4"}, spec: "1.2.3.4",
			want: lb.Request{Err: "service can not have both metallb.io/loadBalancerIPs and svc.Spec.LoadBalancerIP"}},
		{name: "3.3 bad annotation", annotations: map[string]string{"metallb.io/loadBalancerIPs": "1.2.3.4,x"},
			want: lb.Request{Err: `invalid metallb.io/loadBalancerIPs: "1.2.3.4,x"`}},
		{name: "3.3 bad spec", spec: "1.2.3", want: lb.Request{Err: `invalid spec.loadBalancerIP "1.2.3"`}},
		{name: "3.3 zone", spec: "fe80::1%eth0", want: lb.Request{Err: `invalid spec.loadBalancerIP "fe80::1%eth0"`}},
		{name: "3.3 two of a family", annotations: map[string]string{"metallb.io/loadBalancerIPs": "1.2.3.4,1.2.3.5"},
			want: lb.Request{Err: `invalid metallb.io/loadBalancerIPs: "1.2.3.4,1.2.3.5": want one address, or one IPv4 and one IPv6 address`}},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := ipam.ParseRequest(c.annotations, c.spec)
			if diff := cmp.Diff(c.want, got, cmpopts.EquateComparable(netip.Addr{})); diff != "" {
				t.Errorf("request (-want +got):\n%s", diff)
			}
		})
	}
}

func TestSharingKey(t *testing.T) {
	if got := ipam.SharingKey(map[string]string{"metallb.io/allow-shared-ip": "", "metallb.universe.tf/allow-shared-ip": "k"}); got != "" {
		t.Errorf("hidden key gives %q", got)
	}
	if got := ipam.SharingKey(map[string]string{"metallb.universe.tf/allow-shared-ip": "k"}); got != "k" {
		t.Errorf("old key gives %q", got)
	}
}

func TestDeprecations(t *testing.T) {
	got := ipam.Deprecations(map[string]string{"metallb.universe.tf/b": "", "metallb.universe.tf-a": "", "metallb.io/x": "", "other": ""})
	want := []ipam.Event{
		{Type: ipam.Warning, Reason: "deprecatedAnnotation", Message: "Service uses deprecated annotation metallb.universe.tf-a"},
		{Type: ipam.Warning, Reason: "deprecatedAnnotation", Message: "Service uses deprecated annotation metallb.universe.tf/b"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
}

// FuzzParseRequest checks that a request is read in full or not at all, and that what was
// read can be written and read again.
func FuzzParseRequest(f *testing.F) {
	for _, s := range []string{"", "1.2.3.4", "1.2.3.4,fc00::1", "::ffff:1.2.3.4", "fe80::1%eth0", ",", "1.2.3.4, ", "x"} {
		f.Add(s, s, "")
		f.Add(s, "", s)
	}
	f.Fuzz(func(t *testing.T, newKey, oldKey, spec string) {
		r := ipam.ParseRequest(map[string]string{
			"metallb.io/loadBalancerIPs": newKey, "metallb.universe.tf/loadBalancerIPs": oldKey,
		}, spec)
		if r.Err != "" {
			if len(r.Addresses) > 0 {
				t.Fatalf("addresses %v besides error %q", r.Addresses, r.Err)
			}
			return
		}
		if asked := newKey != "" || spec != ""; asked != (len(r.Addresses) > 0) {
			t.Fatalf("%q and %q give %v", newKey, spec, r.Addresses)
		}
		if len(r.Addresses) > 2 || (len(r.Addresses) == 2 && lb.FamilyOf(r.Addresses[0]) == lb.FamilyOf(r.Addresses[1])) {
			t.Fatalf("%v", r.Addresses)
		}
		var words []string
		for _, a := range r.Addresses {
			if a.Zone() != "" || a.Is4In6() {
				t.Fatalf("%v", a)
			}
			words = append(words, a.String())
		}
		again := ipam.ParseRequest(map[string]string{ipam.AnnotationAddresses: strings.Join(words, ",")}, "")
		if diff := cmp.Diff(r, again, cmpopts.EquateComparable(netip.Addr{})); diff != "" {
			t.Fatalf("read again (-first +again):\n%s", diff)
		}
	})
}
