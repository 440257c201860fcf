package layer2

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/lintel-lb/lintel/lab/labtest"
)

// legacyConfigMap has pools and a peer as MetalLB before 0.13 read them. The names are such
// that objects cannot have them.
const legacyConfigMap = `
apiVersion: v1
kind: ConfigMap
metadata: {namespace: %[1]s, name: legacy}
data:
  config: |
    peers:
    - my-asn: 64512
      peer-asn: 64513
      peer-address: 10.89.0.250
      bfd-profile: Fast_Path
    bfd-profiles:
    - {name: Fast_Path, receive-interval: 100}
    bgp-communities: {no-advertise: 65535:65282}
    address-pools:
    - {name: Legacy_Pool, protocol: layer2, auto-assign: false, addresses: ["%[2]s"]}
    - name: legacy-pool
      protocol: bgp
      auto-assign: false
      addresses: ["%[3]s"]
      bgp-advertisements:
      - {localpref: 100, communities: [no-advertise]}
`

const askingService = `
apiVersion: v1
kind: Service
metadata: {name: asks, annotations: {metallb.universe.tf/address-pool: Legacy_Pool}}
spec: {type: LoadBalancer, selector: {app: web}, ports: [{port: 80}]}
`

// lintel migrate configmap | kubectl apply -f - : the ConfigMap is read from the cluster, what
// comes of it is accepted, and a Service gets an address of the pool that it names.
func TestMigrateConfigMap(t *testing.T) {
	s := &scene{Env: labtest.New(t), t: t}
	kubectl := func(stdin []byte, args ...string) string {
		t.Helper()
		out, err := s.Lab.Kubectl(t.Context(), bytes.NewReader(stdin), args...)
		if err != nil {
			t.Fatalf("kubectl %v: %v\n%s", args, err, out)
		}
		return string(out)
	}
	s.Apply(fmt.Sprintf(legacyConfigMap, s.Namespace, s.Pool4, s.Routed4), nil)
	s.Apply(askingService, nil)

	resources, err := s.lintel(t.Context(), "migrate", "configmap", "--configmap", s.Namespace+"/legacy", "--lintel-namespace", "metallb-system")
	if err != nil {
		t.Fatalf("%v\n%s", err, resources)
	}
	if want := fmt.Sprintf("Service %s/asks asks for pool \"Legacy_Pool\": change its annotation to \"legacy-pool-2\"", s.Namespace); !contains(resources, want) {
		t.Errorf("the Service is not named in\n%s", resources)
	}
	t.Cleanup(func() {
		if out, err := s.Lab.Kubectl(context.WithoutCancel(t.Context()), bytes.NewReader(resources), "delete", "--ignore-not-found", "-f", "-"); err != nil {
			t.Errorf("clean up: %v\n%s", err, out)
		}
	})
	applied := strings.Fields(kubectl(resources, "apply", "-f", "-", "-o", "name"))
	if len(applied) != 7 {
		t.Errorf("applied %v", applied)
	}
	kubectl(nil, append([]string{"-n", "metallb-system", "wait", "--for=condition=Accepted", "--timeout=20s"}, applied...)...)

	s.patchService("asks", `{"metadata":{"annotations":{"metallb.io/address-pool":"legacy-pool-2"}}}`)
	s.Eventually("the Service has an address of the pool", soon, func(ctx context.Context) error {
		addrs, err := s.ingress(ctx, "asks")
		if err != nil || len(addrs) != 1 || !s.Pool4.Contains(addrs[0]) {
			return fmt.Errorf("%v %v", addrs, err)
		}
		return nil
	})
}
