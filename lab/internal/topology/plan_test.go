package topology

import (
	"errors"
	"net/netip"
	"testing"
)

func largest(t *testing.T) Plan {
	t.Helper()
	p, err := New("x", Size{MaxNodes, MaxClients, MaxFarClients, MaxLightNodes})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestNoTwoHostsShareAnAddress(t *testing.T) {
	seen := map[string]string{}
	take := func(what, owner string) {
		if other, taken := seen[what]; taken {
			t.Errorf("%s belongs to %s and %s", what, other, owner)
		}
		seen[what] = owner
	}
	for _, h := range largest(t).Hosts {
		take(h.Name, h.Name)
		for _, p := range h.Ports {
			take(p.V4.Addr().String(), h.Name)
			take(p.V6.Addr().String(), h.Name)
			take(p.MAC.String(), h.Name)
			take("port "+p.Remote, h.Name)
			if len(p.Remote) > 15 {
				t.Errorf("%s is too long for the name of a link", p.Remote)
			}
		}
		if h.IsNode() {
			take(h.PodNet4.String(), h.Name)
			take(h.PodNet6.String(), h.Name)
		}
	}
}

func TestAddressesLieInTheirNetworksAndOutsideOfPools(t *testing.T) {
	free4, free6 := netip.MustParsePrefix(FreeNet4), netip.MustParsePrefix(FreeNet6)
	nets := map[string][2]netip.Prefix{
		NodeBridge: {netip.MustParsePrefix(NodeNet4), netip.MustParsePrefix(NodeNet6)},
		FarBridge:  {netip.MustParsePrefix(FarNet4), netip.MustParsePrefix(FarNet6)},
	}
	for _, h := range largest(t).Hosts {
		for _, p := range h.Ports {
			net := nets[p.Bridge]
			if p.V4.Masked() != net[0] || p.V6.Masked() != net[1] {
				t.Errorf("%s: %s and %s are not in %s", h.Name, p.V4, p.V6, net)
			}
			if free4.Contains(p.V4.Addr()) || free6.Contains(p.V6.Addr()) {
				t.Errorf("%s: %s or %s is meant for pools", h.Name, p.V4, p.V6)
			}
			if last := p.V4.Addr().As4()[3]; last == 0 || last == 255 {
				t.Errorf("%s: %s looks like a network or broadcast address", h.Name, p.V4)
			}
		}
		pods4, pods6 := netip.MustParsePrefix(PodNet4), netip.MustParsePrefix(PodNet6)
		if h.Role == RoleLight {
			pods4 = netip.MustParsePrefix(LightPodNet4)
		}
		if h.IsNode() && !(pods4.Contains(h.PodNet4.Addr()) && pods6.Contains(h.PodNet6.Addr())) {
			t.Errorf("%s: Pod ranges %s %s outside of %s %s", h.Name, h.PodNet4, h.PodNet6, pods4, pods6)
		}
	}
}

func TestAddressesReadAlike(t *testing.T) {
	p := largest(t)
	for host, want := range map[string][2]string{
		"tor": {"10.89.0.1", "fd89::1"}, "cp": {"10.89.0.10", "fd89::10"}, "n1": {"10.89.0.11", "fd89::11"},
		"c1": {"10.89.0.101", "fd89::101"}, "f1": {"10.90.0.11", "fd90::11"}, "l1": {"10.89.1.1", "fd89::1:1"},
		"l254": {"10.89.1.254", "fd89::1:254"}, "l255": {"10.89.2.1", "fd89::1:255"},
	} {
		h, err := p.Find(host)
		if err != nil {
			t.Fatal(err)
		}
		if got := [2]string{h.V4().String(), h.V6().String()}; got != want {
			t.Errorf("%s has %v, want %v", host, got, want)
		}
	}
}

func TestRoutes(t *testing.T) {
	p, err := New("x", Size{Nodes: 2, Clients: 1, FarClients: 1, LightNodes: 1})
	if err != nil {
		t.Fatal(err)
	}
	for host, want := range map[string][]string{
		"sw":  nil,
		"tor": {"10.244.1.0/24 10.89.0.11", "fd89:244:1::/64 fd89::11", "10.244.2.0/24 10.89.0.12", "fd89:244:2::/64 fd89::12"},
		"n1":  {"0.0.0.0/0 10.89.0.1", "::/0 fd89::1", "10.244.2.0/24 10.89.0.12", "fd89:244:2::/64 fd89::12"},
		"c1":  {"0.0.0.0/0 10.89.0.1", "::/0 fd89::1"},
		"f1":  {"0.0.0.0/0 10.90.0.1", "::/0 fd90::1"},
		"l1":  {"0.0.0.0/0 10.89.0.1", "::/0 fd89::1"},
	} {
		h, err := p.Find(host)
		if err != nil {
			t.Fatal(err)
		}
		got := p.Routes(h)
		if len(got) != len(want) {
			t.Errorf("%s: %v, want %v", host, got, want)
			continue
		}
		for i, r := range got {
			if s := r.To.String() + " " + r.Via.String(); s != want[i] {
				t.Errorf("%s: route %d is %s, want %s", host, i, s, want[i])
			}
		}
	}
}

func TestNewRefuses(t *testing.T) {
	for _, name := range []string{"", "-a", "a-", "A", "a.b", "a/b", "abcdefghijklmnopqrstu"} {
		if _, err := New(name, Size{}); !errors.Is(err, ErrName) {
			t.Errorf("name %q: %v", name, err)
		}
	}
	for _, size := range []Size{{Nodes: -1}, {Nodes: MaxNodes + 1}, {LightNodes: MaxLightNodes + 1}, {Clients: 21}, {FarClients: 21}} {
		if _, err := New("a", size); !errors.Is(err, ErrSize) {
			t.Errorf("size %+v: %v", size, err)
		}
	}
}

func TestNamespacesTellLabsApart(t *testing.T) {
	a, b := Plan{Name: "a"}, Plan{Name: "a-b"}
	for _, c := range []struct{ namespace, lab, host string }{
		{a.Namespace("n1"), "a", "n1"},
		{b.Namespace("n1"), "a-b", "n1"},
	} {
		lab, host, ok := LabOf(c.namespace)
		if !ok || lab != c.lab || host != c.host {
			t.Errorf("%s is %s/%s (%v), want %s/%s", c.namespace, lab, host, ok, c.lab, c.host)
		}
	}
	for _, other := range []string{"n1", "lintel-", "lintel-x", "lintel-x-", "lintel--n1", "cni-1"} {
		if lab, host, ok := LabOf(other); ok {
			t.Errorf("%q taken for %s/%s", other, lab, host)
		}
	}
}
