package ipam

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/lintel-lb/lintel/internal/lb"
)

// Annotations of a Service that the allocator knows. Each of the first three has a
// deprecated twin under the prefix DeprecatedPrefix.
const (
	AnnotationPool          = "metallb.io/address-pool"
	AnnotationAddresses     = "metallb.io/loadBalancerIPs"
	AnnotationSharingKey    = "metallb.io/allow-shared-ip"
	AnnotationAllocatedFrom = "metallb.io/ip-allocated-from-pool"
)

// DeprecatedPrefix starts every annotation key that the user should move to metallb.io.
const DeprecatedPrefix = "metallb.universe.tf"

// annotation gives the value of a key and the key that it was found under. A key that is
// present hides its deprecated twin, even where its value is empty.
func annotation(annotations map[string]string, key string) (value, found string) {
	if v, ok := annotations[key]; ok {
		return v, key
	}
	old := DeprecatedPrefix + strings.TrimPrefix(key, "metallb.io")
	return annotations[old], old
}

// ParseRequest reads what a Service asks for from its annotations and spec.loadBalancerIP.
// What cannot be read is told in Err, in words for the user; then Addresses is empty.
func ParseRequest(annotations map[string]string, specLoadBalancerIP string) lb.Request {
	var r lb.Request
	r.Pool, _ = annotation(annotations, AnnotationPool)
	value, key := annotation(annotations, AnnotationAddresses)
	switch {
	case value != "" && specLoadBalancerIP != "":
		r.Err = fmt.Sprintf("service can not have both %s and svc.Spec.LoadBalancerIP", key)
	case value != "":
		r.Addresses, r.Err = parseAddresses(key, value)
	case specLoadBalancerIP != "":
		a, ok := parseAddress(specLoadBalancerIP)
		if !ok {
			r.Err = fmt.Sprintf("invalid spec.loadBalancerIP %q", specLoadBalancerIP)
			break
		}
		r.Addresses = []netip.Addr{a}
	}
	return r
}

func parseAddresses(key, value string) ([]netip.Addr, string) {
	var out []netip.Addr
	for item := range strings.SplitSeq(value, ",") {
		a, ok := parseAddress(strings.TrimSpace(item))
		if !ok {
			return nil, fmt.Sprintf("invalid %s: %q", key, value)
		}
		out = append(out, a)
	}
	if !distinctFamilies(out) {
		return nil, fmt.Sprintf("invalid %s: %q: want one address, or one IPv4 and one IPv6 address", key, value)
	}
	return out, ""
}

// parseAddress reads an address without zone; 4-in-6 notation gives the IPv4 address.
func parseAddress(s string) (netip.Addr, bool) {
	a, err := netip.ParseAddr(s)
	if err != nil || a.Zone() != "" {
		return netip.Addr{}, false
	}
	return a.Unmap(), true
}

// SharingKey gives the key under which a Service shares its address; empty means never.
func SharingKey(annotations map[string]string) string {
	v, _ := annotation(annotations, AnnotationSharingKey)
	return v
}

// Deprecations gives one event for each annotation under the deprecated prefix, sorted by
// key. They are meant for passes that change the Service, not for each one.
func Deprecations(annotations map[string]string) []Event {
	var keys []string
	for k := range annotations {
		if strings.HasPrefix(k, DeprecatedPrefix) {
			keys = append(keys, k)
		}
	}
	slices.Sort(keys)
	var out []Event
	for _, k := range keys {
		out = append(out, warning(EventDeprecated, "Service uses deprecated annotation %s", k))
	}
	return out
}
