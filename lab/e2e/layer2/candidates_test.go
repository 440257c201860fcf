package layer2

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	discoveryv1 "k8s.io/api/discovery/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// The rows in this file change nothing that other tests see, so they run side by side.

func onNode(name string) string {
	return fmt.Sprintf("nodeSelectors: [{matchLabels: {kubernetes.io/hostname: %s}}]", name)
}

func TestEveryNodeIsACandidate(t *testing.T) {
	t.Parallel()
	s := newScene(t, "Cluster", []string{"n1", "n3"})
	for a, owner := range s.agreed("web", s.all(candidate)) {
		if want := elected(a, s.nodes()...); owner != want {
			t.Errorf("%s is answered by %s; the hash says %s", a, owner, want)
		}
		s.served("c1", a, "n1", "n3")
		n, err := s.Neighbor("c1", a)
		if err != nil || s.HostOf(n.MAC) != owner {
			t.Errorf("the kernel of c1 sends packets for %s to %v, %v; want %s", a, n, err, owner)
		}
	}
}

// elected is the node that MetalLB elects: the lowest SHA-256 of "node#address".
func elected(a netip.Addr, nodes ...string) string {
	hash := func(n string) []byte { h := sha256.Sum256([]byte(n + "#" + a.String())); return h[:] }
	return slices.MinFunc(nodes, func(m, n string) int { return bytes.Compare(hash(m), hash(n)) })
}

func TestNodeSelectors(t *testing.T) {
	t.Parallel()
	s := newScene(t, "Cluster", []string{"n1"}, onNode("n2"))
	s.agreed("web", s.all("NodeNotSelected").with(candidate, "n2"))
	s.advertise("nodeSelectors: [{matchLabels: {kubernetes.io/hostname: n1}}, {matchExpressions: [{key: kubernetes.io/hostname, operator: In, values: [n3]}]}]")
	s.agreed("web", s.all(candidate).with("NodeNotSelected", "n2"))
	s.advertise(onNode("elsewhere"))
	s.agreed("web", s.all("NodeNotSelected"))
	s.advertise()
	s.agreed("web", s.all(candidate))
}

func TestServiceSelectors(t *testing.T) {
	t.Parallel()
	s := newScene(t, "Cluster", []string{"n1"}, "serviceSelectors: [{matchLabels: {public: 'yes'}}]")
	s.agreed("web", s.all("ServiceNotSelected"))
	s.patchService("web", `{"metadata":{"labels":{"public":"yes"}}}`)
	s.agreed("web", s.all(candidate))
	s.patchService("web", `{"metadata":{"labels":{"public":null}}}`)
	s.agreed("web", s.all("ServiceNotSelected"))
}

func TestInterfaces(t *testing.T) {
	t.Parallel()
	s := newScene(t, "Cluster", []string{"n1"}, "interfaces: [eth0, eth7]")
	s.agreed("web", s.all(candidate))
	// Names are whole names, not patterns.
	s.advertise("interfaces: [eth]")
	s.agreed("web", s.all("NoUsableLink"))
	e, err := s.why(t.Context(), "web")
	if err != nil || len(e.Nodes) == 0 || !bytes.Contains([]byte(e.Nodes[0].Sentence), []byte("(eth)")) {
		t.Errorf("why does not name the interface: %+v, %v", e.Nodes, err)
	}
}

// A link that appears is used, with its own MAC address, and one that goes is not any more.
func TestInterfaceComesAndGoes(t *testing.T) {
	t.Parallel()
	s := newScene(t, "Cluster", []string{"n1"}, "interfaces: [late0]")
	s.agreed("web", s.all("NoUsableLink"))
	s.exec("n2", "ip link add late0 link eth0 type macvlan mode bridge")
	t.Cleanup(func() { s.exec("n2", "ip link delete late0") })
	const mac = "02:99:00:00:00:02"
	s.exec("n2", "ip link set late0 address "+mac+" up")
	for _, a := range s.addresses("web") {
		s.answers(a, mac)
	}
	s.exec("n2", "ip link set late0 down")
	for _, a := range s.addresses("web") {
		s.answers(a, nobody)
	}
	s.agreed("web", s.all("NoUsableLink"))
}

func TestPoolWithoutAdvertisement(t *testing.T) {
	t.Parallel()
	s := newScene(t, "Cluster", []string{"n1"})
	s.agreed("web", s.all(candidate))
	s.Delete(advertisement, map[string]any{"Lines": nil})
	s.agreed("web", s.all("NoAdvertisement"))
	s.advertise()
	s.agreed("web", s.all(candidate))
}

func TestNoEndpoints(t *testing.T) {
	t.Parallel()
	s := newScene(t, "Cluster", nil)
	s.addresses("web")
	s.agreed("web", s.all("NoEndpoints"))
	s.pods("n2")
	s.agreed("web", s.all(candidate))
	s.endPod("n2")
	s.agreed("web", s.all("NoEndpoints"))
}

func TestLocalFollowsItsEndpoint(t *testing.T) {
	t.Parallel()
	// A link that another test gives to a node would answer too.
	s := newScene(t, "Local", []string{"n2"}, "interfaces: [eth0]")
	addrs := s.addresses("web")
	s.agreed("web", s.all("NoLocalEndpoint").with(candidate, "n2"))
	for _, a := range addrs {
		s.served("c1", a, "n2")
	}
	w := listen(t, s.Env, addrs...)
	s.pods("n3")
	s.endPod("n2")
	s.agreed("web", s.all("NoLocalEndpoint").with(candidate, "n3"))
	seen := w.close()
	for _, a := range addrs {
		s.served("c1", a, "n3")
		// n3 may have had the lower hash as soon as it had an endpoint; either way the address
		// goes there once.
		overlap, silence := checkPath(t, a, seen[a], "n2", "n3")
		t.Logf("%s moved with its endpoint: both answered for %v, no answer for %v", a, overlap, silence)
	}
	s.endPod("n3")
	for _, a := range addrs {
		s.answers(a, nobody)
	}
}

// An endpoint that terminates but still serves keeps the address, with either policy.
func TestServingTerminatingEndpoint(t *testing.T) {
	for _, policy := range []string{"Cluster", "Local"} {
		t.Run(policy, func(t *testing.T) {
			t.Parallel()
			s := newScene(t, policy, nil)
			s.drainingPods(4*time.Second, "n2")
			addrs := s.addresses("web")
			owners := map[netip.Addr]string{}
			for _, a := range addrs {
				owners[a] = s.answers(a, s.nodes()...)
			}
			w := listen(t, s.Env, addrs...)
			s.endPod("n2")
			s.Eventually("the endpoint serves and terminates", soon, s.servingTerminating)
			for _, a := range addrs {
				s.served("c1", a, "n2")
			}
			if err := s.servingTerminating(t.Context()); err != nil {
				t.Fatalf("the test was too slow for its Pod: %v", err)
			}
			for _, a := range addrs {
				s.answers(a, nobody)
			}
			seen := w.close()
			for _, a := range addrs {
				checkPath(t, a, seen[a], owners[a])
			}
		})
	}
}

func (s *scene) servingTerminating(ctx context.Context) error {
	var list discoveryv1.EndpointSliceList
	if err := s.Client.List(ctx, &list, client.InNamespace(s.Namespace)); err != nil {
		return err
	}
	for _, sl := range list.Items {
		for _, e := range sl.Endpoints {
			c := e.Conditions
			if *c.Ready || !*c.Serving || !*c.Terminating {
				return fmt.Errorf("%s: ready %v serving %v terminating %v", sl.Name, *c.Ready, *c.Serving, *c.Terminating)
			}
		}
		if len(sl.Endpoints) == 0 {
			return fmt.Errorf("%s is empty", sl.Name)
		}
	}
	return nil
}

func TestPreferredNodes(t *testing.T) {
	t.Parallel()
	prefer := func(weight int, node string) string {
		return fmt.Sprintf("- {weight: %d, nodeSelector: {matchLabels: {kubernetes.io/hostname: %s}}}", weight, node)
	}
	s := newScene(t, "Cluster", []string{"n1"})
	for _, row := range []struct {
		lines []string
		want  string
	}{
		{[]string{prefer(50, "n3")}, "n3"},
		{[]string{prefer(50, "n3"), prefer(30, "n2"), prefer(30, "n2")}, "n2"},
		{[]string{prefer(50, "n3"), prefer(30, "n2"), prefer(51, "n1")}, "n1"},
	} {
		s.advertise(append([]string{"preferredNodeSelectors:"}, row.lines...)...)
		for _, a := range s.addresses("web") {
			s.answers(a, row.want)
		}
		s.agreed("web", s.all(candidate))
	}
	// A wish is no condition.
	s.advertise(onNode("n2"), "preferredNodeSelectors:", prefer(100, "n3"))
	s.agreed("web", s.all("NodeNotSelected").with(candidate, "n2"))
}

// Addresses on no node's subnet are answered as well; once a node has a link on the subnet, only
// such nodes count.
func TestSubnetOfTheAddress(t *testing.T) {
	t.Parallel()
	s := newScene(t, "Cluster", []string{"n1"})
	routed4, routed6 := s.Routed4.Addr().Next(), s.Routed6.Addr().Next()
	s.Delete(service, map[string]any{"Name": "web", "Policy": "Cluster"})
	s.Apply(`
apiVersion: metallb.io/v1beta1
kind: IPAddressPool
metadata: {name: '{{.Name}}', namespace: metallb-system}
spec:
  autoAssign: false
  addresses: ['{{.Vars.V4}}/32', '{{.Vars.V6}}/128']
`, map[string]any{"V4": routed4, "V6": routed6})
	s.service("web", "Cluster")
	s.agreed("web", s.all(candidate))
	for _, p := range []netip.Prefix{netip.PrefixFrom(last(s.Routed4), s.Routed4.Bits()), netip.PrefixFrom(last(s.Routed6), s.Routed6.Bits())} {
		nodad := ""
		if p.Addr().Is6() {
			nodad = " nodad"
		}
		s.exec("n2", "ip address add "+p.String()+" dev eth0"+nodad)
		t.Cleanup(func() { s.exec("n2", "ip address delete "+p.String()+" dev eth0") })
	}
	s.agreed("web", s.all("NotOnSubnet").with(candidate, "n2"))
}

// last is the address 250 places after the first.
func last(p netip.Prefix) netip.Addr {
	a := p.Masked().Addr()
	for range 250 {
		a = a.Next()
	}
	return a
}

func TestAddressChange(t *testing.T) {
	t.Parallel()
	s := newScene(t, "Cluster", []string{"n1"})
	old := s.addresses("web")
	for _, a := range old {
		s.answers(a, s.nodes()...)
	}
	new4, new6 := s.Pool4.At(5), s.Pool6.At(5)
	s.patchService("web", fmt.Sprintf(`{"metadata":{"annotations":{"metallb.io/loadBalancerIPs":"%s,%s"}}}`, new4, new6))
	for _, a := range []netip.Addr{new4, new6} {
		s.answers(a, s.nodes()...)
	}
	for _, a := range old {
		s.answers(a, nobody)
	}
	s.agreed("web", s.all(candidate))
}

func TestDeletedServiceIsSilent(t *testing.T) {
	t.Parallel()
	s := newScene(t, "Cluster", []string{"n1"})
	addrs := s.addresses("web")
	for _, a := range addrs {
		s.answers(a, s.nodes()...)
	}
	s.Delete(service, map[string]any{"Name": "web", "Policy": "Cluster"})
	for _, a := range addrs {
		s.answers(a, nobody)
	}
	if _, err := s.why(t.Context(), "web"); err == nil {
		t.Error("why explains a Service that is gone")
	}
}

func TestNotALoadBalancerAnyMore(t *testing.T) {
	t.Parallel()
	s := newScene(t, "Cluster", []string{"n1"})
	addrs := s.addresses("web")
	for _, a := range addrs {
		s.answers(a, s.nodes()...)
	}
	s.patchService("web", `{"spec":{"type":"ClusterIP","externalTrafficPolicy":null}}`)
	for _, a := range addrs {
		s.answers(a, nobody)
	}
	e, err := s.why(t.Context(), "web")
	if err != nil || e.Reason != "NotLoadBalancer" {
		t.Errorf("why says %q, %v; want NotLoadBalancer", e.Reason, err)
	}
}
