package layer2

import (
	"maps"
	"testing"
)

// A Service without selector, whose endpoints are given by hand: only such Services may share an
// address under policy Local and have endpoints on different nodes.
const sharing = `
apiVersion: v1
kind: Service
metadata:
  name: '{{.Vars.Name}}'
  annotations:
    metallb.io/address-pool: '{{.Name}}'
    metallb.io/allow-shared-ip: together
    metallb.io/loadBalancerIPs: '{{.Pool4.At 2}},{{.Pool6.At 2}}'
spec:
  type: LoadBalancer
  ipFamilyPolicy: RequireDualStack
  externalTrafficPolicy: {{.Vars.Policy}}
  ports: [{port: {{.Vars.Port}}, targetPort: 80}]
`

const endpoints = `
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata:
  name: '{{.Vars.Name}}-by-hand'
  labels: {kubernetes.io/service-name: '{{.Vars.Name}}'}
addressType: IPv4
ports: [{port: 80, protocol: TCP}]
endpoints: [
{{range $i, $n := .Vars.Nodes}}  {addresses: ['10.244.200.{{$i}}'], nodeName: {{$n}}, conditions: {ready: true}},
{{end}}]
`

// endpointsOn gives a Service ready endpoints on the nodes.
func (s *scene) endpointsOn(name string, nodes ...string) {
	s.t.Helper()
	s.Apply(endpoints, map[string]any{"Name": name, "Nodes": nodes})
}

func newSharing(t *testing.T, policy string) *scene {
	t.Helper()
	s := newScene(t, policy, nil)
	for name, port := range map[string]int{"shop": 80, "admin": 8080} {
		s.Apply(sharing, map[string]any{"Name": name, "Port": port, "Policy": policy})
	}
	return s
}

func TestSharedAddressHasOneOwner(t *testing.T) {
	t.Parallel()
	s := newSharing(t, "Cluster")
	s.endpointsOn("shop", "n1")
	s.endpointsOn("admin", "n3")
	shop := s.agreed("shop", s.all(candidate))
	if admin := s.agreed("admin", s.all(candidate)); !maps.Equal(shop, admin) {
		t.Errorf("shop is announced by %v, admin by %v", shop, admin)
	}
	// A Service without any endpoint does not hold up the other.
	s.endpointsOn("admin")
	s.agreed("shop", s.all(candidate))
	s.endpointsOn("shop")
	s.agreed("shop", s.all("NoEndpoints"))
	s.agreed("admin", s.all("NoEndpoints"))
}

func TestSharedLocalServicesIntersect(t *testing.T) {
	t.Parallel()
	s := newSharing(t, "Local")
	s.endpointsOn("shop", "n1", "n2")
	s.endpointsOn("admin", "n2", "n3")
	for _, name := range []string{"shop", "admin"} {
		s.agreed(name, s.all("NoLocalEndpoint").with(candidate, "n2"))
	}
	s.endpointsOn("shop", "n1")
	for _, name := range []string{"shop", "admin"} {
		s.agreed(name, s.all("SharedNoCommonNode"))
	}
	s.endpointsOn("admin")
	s.agreed("shop", s.all("NoLocalEndpoint").with(candidate, "n1"))
}
