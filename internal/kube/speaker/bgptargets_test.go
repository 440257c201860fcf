package speaker

import (
	"net/netip"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/lintel-lb/lintel/api/v1beta2"
	"github.com/lintel-lb/lintel/internal/bgp"
	"github.com/lintel-lb/lintel/internal/lb"
)

func node1() ownNode {
	return ownNode{
		node: &lb.Node{
			Name: "n1", Addresses: []netip.Addr{netip.MustParseAddr("10.0.0.11"), netip.MustParseAddr("2001:db8::11")},
			Annotations: map[string]string{"lintel.dev/tor": "10.1.0.1"},
		},
		links: []lb.Link{
			{Name: "eth0", Usable: true, Prefixes: []netip.Prefix{netip.MustParsePrefix("10.0.0.11/24"), netip.MustParsePrefix("2001:db8::11/64")}},
			{Name: "eth1", Usable: true, Prefixes: []netip.Prefix{netip.MustParsePrefix("10.1.0.11/24")}},
		},
		gateways: []lb.Gateway{{Address: netip.MustParseAddr("10.0.0.1"), Metric: 100}},
	}
}

func targetsOf(o ownNode, last map[lb.Family]netip.Addr, peers ...*lb.Peer) map[string]target {
	out := map[string]target{}
	for _, p := range peers {
		p.MyASN, p.ASN, p.Port = 1, 2, 179
	}
	for _, t := range o.targets(peers, last) {
		out[t.name] = t
	}
	return out
}

// Every target is a configuration that the engine takes.
func TestTargets(t *testing.T) {
	prefix := netip.MustParsePrefix
	got := targetsOf(node1(), map[lb.Family]netip.Addr{},
		&lb.Peer{Name: "plain", Address: netip.MustParseAddr("10.0.0.9")},
		&lb.Peer{Name: "near", Address: netip.MustParseAddr("10.1.0.9"), Passive: true},
		&lb.Peer{Name: "distant", Address: netip.MustParseAddr("192.0.2.9"), Passive: true},
		&lb.Peer{Name: "chosen", Address: netip.MustParseAddr("10.1.0.8"), Passive: true, Source: netip.MustParseAddr("10.9.9.9")},
		&lb.Peer{Name: "many", Ranges: []netip.Prefix{prefix("10.1.0.0/28"), prefix("2001:db8::/64")}, RangeLimit: 7, Passive: true},
		&lb.Peer{Name: "gateway", From: lb.AddressSource{Gateway: lb.IPv4}},
		&lb.Peer{Name: "rack", From: lb.AddressSource{Annotation: "lintel.dev/tor"}},
		&lb.Peer{Name: "link", Interface: "eth1"},
	)
	for name, want := range map[string]struct {
		remote, source string
		mode           bgp.Mode
		families       bgp.Families
	}{
		"plain":              {"10.0.0.9", "", bgp.ModeActive, bgp.IPv4},
		"near":               {"10.1.0.9", "10.1.0.11", bgp.ModePassive, bgp.IPv4},
		"distant":            {"192.0.2.9", "10.0.0.11", bgp.ModePassive, bgp.IPv4},
		"chosen":             {"10.1.0.8", "10.9.9.9", bgp.ModePassive, bgp.IPv4},
		"many/10.1.0.0/28":   {"", "10.1.0.11", bgp.ModePassive, bgp.IPv4},
		"many/2001:db8::/64": {"", "2001:db8::11", bgp.ModePassive, bgp.IPv6},
		"gateway":            {"10.0.0.1", "", bgp.ModeActive, bgp.IPv4},
		"rack":               {"10.1.0.1", "", bgp.ModeActive, bgp.IPv4},
		"link":               {"", "", bgp.ModeActive, bgp.IPv4 | bgp.IPv6},
	} {
		c := got[name].Config
		text := func(a netip.Addr) string {
			if !a.IsValid() {
				return ""
			}
			return a.String()
		}
		if got[name].Trouble != "" || text(c.PeerAddress) != want.remote || text(c.Source) != want.source || c.Mode != want.mode || c.Families != want.families {
			t.Errorf("%s: %q, %+v", name, got[name].Trouble, c)
		}
		if err := c.Validate(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if peerOf(name) != got[name].peer.Name {
			t.Errorf("%s belongs to %s, not %s", name, got[name].peer.Name, peerOf(name))
		}
	}
	if len(got) != 9 || got["many/10.1.0.0/28"].Limit != 7 {
		t.Errorf("%d targets: %+v", len(got), got)
	}
}

func TestNamesOfSessions(t *testing.T) {
	for name, want := range map[string]struct{ peer, address, network string }{
		"tor":                           {"tor", "invalid IP", "invalid Prefix"},
		"tor/10.0.0.0/24":               {"tor", "invalid IP", "10.0.0.0/24"},
		"tor/10.0.0.0/24/10.0.0.7":      {"tor", "10.0.0.7", "invalid Prefix"},
		"tor/2001:db8::/64/2001:db8::7": {"tor", "2001:db8::7", "invalid Prefix"},
	} {
		if a, n := neighborOf(name); peerOf(name) != want.peer || a.String() != want.address || n.String() != want.network {
			t.Errorf("%s: %s, %v, %v", name, peerOf(name), a, n)
		}
	}
}

// A session outlives the default route that it was found by, and follows a new one.
func TestGatewayThatGoes(t *testing.T) {
	o, last := node1(), map[lb.Family]netip.Addr{}
	remote := func() string {
		return targetsOf(o, last, &lb.Peer{Name: "gateway", From: lb.AddressSource{Gateway: lb.IPv4}})["gateway"].Config.PeerAddress.String()
	}
	if got := remote(); got != "10.0.0.1" {
		t.Errorf("at first: %s", got)
	}
	o.gateways = nil
	if got := remote(); got != "10.0.0.1" {
		t.Errorf("without default route: %s", got)
	}
	o.gateways = []lb.Gateway{{Address: netip.MustParseAddr("10.0.0.2")}}
	if got := remote(); got != "10.0.0.2" {
		t.Errorf("with another default route: %s", got)
	}
}

func TestTargetsInTrouble(t *testing.T) {
	o := node1()
	o.gateways, o.node.Addresses = nil, o.node.Addresses[:1]
	got := targetsOf(o, map[lb.Family]netip.Addr{},
		&lb.Peer{Name: "gateway", From: lb.AddressSource{Gateway: lb.IPv4}},
		&lb.Peer{Name: "other", From: lb.AddressSource{Annotation: "lintel.dev/other"}},
		&lb.Peer{Name: "owner", Address: netip.MustParseAddr("10.1.0.1")},
		&lb.Peer{Name: "rack", From: lb.AddressSource{Annotation: "lintel.dev/tor"}},
		&lb.Peer{Name: "six", Address: netip.MustParseAddr("2001:db8:9::1"), Passive: true},
	)
	for name, want := range map[string]string{
		"gateway": "node n1 has no IPv4 default route",
		"other":   "node n1 has no annotation lintel.dev/other",
		"owner":   "",
		"rack":    "BGPPeer owner has the router 10.1.0.1 on node n1 already",
		"six":     "node n1 has no IPv6 address to listen on: set sourceAddress",
	} {
		if why := got[name].Trouble; !strings.Contains(why, want) || want == "" && why != "" {
			t.Errorf("%s: %q, want %q", name, why, want)
		}
	}
}

// Default routes are read only while a BGPPeer of this node has its router there.
func TestGatewaysAreReadOnDemand(t *testing.T) {
	h := start(t)
	source := h.speaker.Links.(*fixedLinks)
	meta := metav1.ObjectMeta{Namespace: "metallb-system", Name: "gateway"}
	peer := &v1beta2.BGPPeer{ObjectMeta: meta, Spec: v1beta2.BGPPeerSpec{MyASN: 65007, ASN: 65000,
		PeerAddressFrom: &v1beta2.PeerAddressSource{DefaultGateway: "IPv4"}}}
	changed := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		h.post(func(b *batch) { b.config = true })
	}
	changed(h.speaker.Client.Create(t.Context(), peer))
	h.until("that gateways are needed", source.gateways.Load)
	peer.Spec.NodeSelectors = []metav1.LabelSelector{{MatchLabels: map[string]string{"no": "such node"}}}
	changed(h.speaker.Client.Update(t.Context(), peer))
	h.until("that they are not", func() bool { return !source.gateways.Load() })
}
