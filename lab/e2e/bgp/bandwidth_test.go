package bgp

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/lintel-lb/lintel/lab"
)

const replicas = `
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata:
  name: '{{.Vars.Name}}'
  labels: {kubernetes.io/service-name: '{{.Vars.Name}}', endpointslice.kubernetes.io/managed-by: labtest}
addressType: IPv4
ports: [{name: http, port: 80}]
endpoints:
{{range .Vars.Endpoints}}- {addresses: ['{{.Address}}'], nodeName: '{{.Node}}', conditions: {ready: true}}
{{end}}`

// replicas gives a Service so many endpoints on each node.
func (s *scene) replicas(name string, count map[string]int) {
	s.t.Helper()
	type endpoint struct{ Address, Node string }
	var list []endpoint
	for i, h := range s.Lab.Hosts(lab.RoleNode) {
		for j := range count[h.Name] {
			list = append(list, endpoint{fmt.Sprintf("10.244.%d.%d", i+1, 200+j), h.Name})
		}
	}
	s.Apply(replicas, map[string]any{"Name": name, "Endpoints": list})
}

// weights waits until FRR has a bandwidth of each of these nodes, in words, and the router's
// kernel has the weights for the next hops. Nil weights are not looked at.
func (s *scene) weights(p netip.Prefix, bandwidths map[string]string, weights map[string]int) time.Duration {
	s.t.Helper()
	began := time.Now()
	s.Eventually(fmt.Sprintf("FRR has the bandwidths %v for %v", bandwidths, p), 2*soon, func(ctx context.Context) error {
		paths, err := s.router.paths(ctx, p)
		if err != nil {
			return err
		}
		got := map[string]string{}
		for name, x := range paths {
			got[name] = x.Extended.String
		}
		if !maps.Equal(got, bandwidths) {
			return fmt.Errorf("it has %q", got)
		}
		return nil
	})
	took := time.Since(began).Round(time.Millisecond)
	if weights == nil {
		return took
	}
	s.Eventually(fmt.Sprintf("the router's kernel has the weights %v for %v", weights, p), soon, func(ctx context.Context) error {
		out, err := s.Lab.Exec(ctx, lab.RouterName, "ip", "-json", "route", "show", p.String())
		if err != nil {
			return err
		}
		var routes []struct {
			Nexthops []struct {
				Gateway string
				Weight  int
			}
		}
		if err := json.Unmarshal(out, &routes); err != nil {
			return err
		}
		got := map[string]int{}
		for _, r := range routes {
			for _, h := range r.Nexthops {
				got[s.router.nameOf(h.Gateway)] = h.Weight
			}
		}
		if !maps.Equal(got, weights) {
			return fmt.Errorf("it has %s", strings.TrimSpace(string(out)))
		}
		return nil
	})
	return took
}

// The router spreads traffic by the endpoints of the nodes. A weight that changes again waits,
// and routes do not.
func TestLinkBandwidth(t *testing.T) {
	s := newScene(t, over4())
	s.peer("four", router4)
	s.advertise("", "linkBandwidth: {megabitsPerEndpoint: 100}")
	v4, _ := s.service("web", "Local", "n1")
	before := s.router.sessions(false, s.nodes()...)
	s.weights(v4, map[string]string{"n1": "LB:65007:12500000 (100.000 Mbps)"}, nil)

	s.replicas("web", map[string]int{"n1": 1, "n2": 3})
	s.weights(v4, map[string]string{"n1": "LB:65007:12500000 (100.000 Mbps)", "n2": "LB:65007:37500000 (300.000 Mbps)"},
		map[string]int{"n1": 25, "n2": 75})

	// Nine endpoints count as eight.
	s.replicas("web", map[string]int{"n1": 1, "n2": 9, "n3": 1})
	took := s.weights(v4, map[string]string{
		"n1": "LB:65007:12500000 (100.000 Mbps)", "n2": "LB:65007:100000000 (800.000 Mbps)", "n3": "LB:65007:12500000 (100.000 Mbps)",
	}, map[string]int{"n1": 10, "n2": 80, "n3": 10})
	t.Logf("the second change of a weight was seen after %v", took)
	if took < 5*time.Second {
		t.Errorf("a weight changed twice within %v", took)
	}
	began := time.Now()
	s.replicas("web", map[string]int{"n1": 1})
	s.router.announced(v4, "n1")
	t.Logf("routes went after %v", time.Since(began).Round(time.Millisecond))

	// A Service whose traffic is spread within the cluster has no weight.
	other, _ := s.service("other", "Cluster", "n1")
	s.weights(other, map[string]string{"n1": "", "n2": "", "n3": ""}, map[string]int{"n1": 1, "n2": 1, "n3": 1})
	s.untouched(false, before)
}
