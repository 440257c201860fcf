package announce

import (
	"strings"
	"testing"

	"github.com/lintel-lb/lintel/internal/lb"
)

func TestRouter(t *testing.T) {
	gateways := []lb.Gateway{
		{Address: addr("10.0.0.2"), Metric: 100}, {Address: addr("10.0.0.1"), Metric: 50}, {Address: addr("10.0.0.3"), Metric: 50},
		{Address: addr("fe80::1%eth0"), Metric: 10},
	}
	annotated := func(v string) *lb.Node {
		return &lb.Node{Name: "n1", Annotations: map[string]string{"lintel.dev/tor": v}}
	}
	from := func(s lb.AddressSource) *lb.Peer { return &lb.Peer{From: s} }
	tor := from(lb.AddressSource{Annotation: "lintel.dev/tor"})
	for _, r := range []struct {
		name string
		peer *lb.Peer
		node *lb.Node
		want string
		why  string
	}{
		{name: "an address of its own", peer: &lb.Peer{Address: addr("192.0.2.1")}, want: "192.0.2.1"},
		{name: "the gateway with the lowest metric", peer: from(lb.AddressSource{Gateway: lb.IPv4}), want: "10.0.0.1"},
		{name: "of the other family", peer: from(lb.AddressSource{Gateway: lb.IPv6}), want: "fe80::1%eth0"},
		{name: "an annotation", peer: tor, node: annotated("192.0.2.9"), want: "192.0.2.9"},
		{name: "IPv6", peer: tor, node: annotated("2001:db8::9"), want: "2001:db8::9"},
		{name: "IPv4 in IPv6", peer: tor, node: annotated("::ffff:192.0.2.9"), want: "192.0.2.9"},
		{name: "no annotation", peer: tor, why: "node n1 has no annotation lintel.dev/tor: annotate it"},
		{name: "no address", peer: tor, node: annotated("tor-1"), why: `annotation lintel.dev/tor of node n1 is "tor-1"`},
		{name: "nobody's address", peer: tor, node: annotated("0.0.0.0"), why: `is "0.0.0.0"`},
		{name: "link-local without link", peer: tor, node: annotated("fe80::1"), why: "with an interface"},
	} {
		t.Run(r.name, func(t *testing.T) {
			if r.node == nil {
				r.node = &lb.Node{Name: "n1"}
			}
			got, why := Router(r.peer, r.node, gateways)
			if r.want != "" && (got != addr(r.want) || why != "") {
				t.Errorf("got %v, %q; want %s", got, why, r.want)
			}
			if r.why != "" && (got.IsValid() || !strings.Contains(why, r.why)) {
				t.Errorf("got %v, %q; want %q", got, why, r.why)
			}
		})
	}
	if a, why := Router(from(lb.AddressSource{Gateway: lb.IPv4}), &lb.Node{Name: "n1"}, nil); a.IsValid() || !strings.Contains(why, "no IPv4 default route") {
		t.Errorf("without routes: %v, %q", a, why)
	}
}
