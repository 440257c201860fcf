package bgp

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/lintel-lb/lintel/lab"
)

const (
	// many is how many Services there are while changes are measured, and changes how many
	// are.
	many, changes = 1000, 400
)

const widePool = `
apiVersion: metallb.io/v1beta1
kind: IPAddressPool
metadata: {name: '{{.Name}}-wide', namespace: metallb-system}
spec:
  autoAssign: false
  addresses: [10.91.128.0/20]
`

const wideAdvertisement = `
apiVersion: metallb.io/v1beta1
kind: BGPAdvertisement
metadata: {name: '{{.Name}}-wide', namespace: metallb-system}
spec: {ipAddressPools: ['{{.Name}}-wide']}
`

// BenchmarkChangeToUpdate measures, with 1,000 Services, the time from before a change of an
// endpoint is written to the API until the last of three nodes has sent the UPDATE, of which
// the write itself is a part, and what memory the speakers need.
func BenchmarkChangeToUpdate(b *testing.B) {
	for b.Loop() {
		s := newScene(b, over4())
		s.Client = unlimited(b, s.Lab)
		s.peer("four", router4)
		s.Apply(widePool, nil)
		s.Apply(wideAdvertisement, nil)
		before := s.router.sessions(false, s.nodes()...)
		prefixes := s.createMany(b)
		w := listen(b, s.Env)
		took := map[bool][]time.Duration{}
		var wrote []time.Duration
		for i := range changes {
			k := i / 2 * 7 % many
			ready := i%2 == 1
			w.expect(prefixes[k])
			began := time.Now()
			s.setReady(b, k, ready)
			wrote = append(wrote, time.Since(began))
			ctx, cancel := context.WithTimeout(b.Context(), soon)
			at, err := w.updated(ctx, len(s.nodes()))
			cancel()
			if err != nil {
				b.Fatalf("change %d of %s: %v", i, prefixes[k], err)
			}
			took[ready] = append(took[ready], at.Sub(began))
		}
		for ready, name := range map[bool]string{true: "announce", false: "withdraw"} {
			d := slices.Sorted(slices.Values(took[ready]))
			b.ReportMetric(ms(d[len(d)/2]), name+"-p50-ms")
			b.ReportMetric(ms(d[len(d)*99/100]), name+"-p99-ms")
			b.ReportMetric(ms(d[len(d)-1]), name+"-max-ms")
		}
		slices.Sort(wrote)
		b.ReportMetric(ms(wrote[len(wrote)/2]), "api-write-p50-ms")
		b.ReportMetric(ms(wrote[len(wrote)*99/100]), "api-write-p99-ms")
		for _, n := range s.nodes() {
			b.ReportMetric(s.memory(b, n), n+"-rss-MiB")
		}
		s.untouched(false, before)
		s.removeMany(b)
	}
	b.ReportMetric(0, "ns/op")
}

// unlimited is a client that does not hold requests back, as they are what is measured.
func unlimited(b *testing.B, l *lab.Lab) client.Client {
	b.Helper()
	config, err := l.RESTConfig()
	if err != nil {
		b.Fatal(err)
	}
	config.QPS = -1
	c, err := client.New(config, client.Options{})
	if err != nil {
		b.Fatal(err)
	}
	return c
}

func ms(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

func manyName(i int) string { return fmt.Sprintf("s%04d", i) }

// createMany makes the Services, each with one endpoint, and waits until the router has all.
func (s *scene) createMany(b *testing.B) []netip.Prefix {
	b.Helper()
	g, ctx := errgroup.WithContext(b.Context())
	g.SetLimit(16)
	for i := range many {
		g.Go(func() error {
			svc := &corev1.Service{
				ObjectMeta: metav1.ObjectMeta{Namespace: s.Namespace, Name: manyName(i), Annotations: map[string]string{"metallb.io/address-pool": s.Name + "-wide"}},
				Spec:       corev1.ServiceSpec{Type: corev1.ServiceTypeLoadBalancer, Ports: []corev1.ServicePort{{Name: "http", Port: 80}}},
			}
			if err := s.Client.Create(ctx, svc); err != nil {
				return err
			}
			return s.Client.Create(ctx, slice(s.Namespace, i, true))
		})
	}
	if err := g.Wait(); err != nil {
		b.Fatal(err)
	}
	out := make([]netip.Prefix, many)
	s.Eventually("all Services have addresses", 3*time.Minute, func(ctx context.Context) error {
		var list corev1.ServiceList
		if err := s.Client.List(ctx, &list, client.InNamespace(s.Namespace)); err != nil {
			return err
		}
		n := 0
		for _, svc := range list.Items {
			i, err := strconv.Atoi(strings.TrimPrefix(svc.Name, "s"))
			if err != nil || len(svc.Status.LoadBalancer.Ingress) == 0 {
				continue
			}
			a, err := netip.ParseAddr(svc.Status.LoadBalancer.Ingress[0].IP)
			if err != nil {
				return err
			}
			out[i], n = netip.PrefixFrom(a, 32), n+1
		}
		if n != many {
			return fmt.Errorf("%d have", n)
		}
		return nil
	})
	s.prefixes(many)
	return out
}

// prefixes waits until every node has announced so many prefixes to the router.
func (s *scene) prefixes(n int) {
	s.t.Helper()
	s.Eventually(fmt.Sprintf("the router has %d prefixes of each node", n), time.Minute, func(ctx context.Context) error {
		var doc struct {
			Peers map[string]struct{ PfxRcd int }
		}
		if err := s.router.show(ctx, "show bgp ipv4 unicast summary", &doc); err != nil {
			return err
		}
		for _, node := range s.nodes() {
			if got := doc.Peers[s.host(node).String()].PfxRcd; got != n {
				return fmt.Errorf("%d of %s", got, node)
			}
		}
		return nil
	})
}

func (s *scene) removeMany(b *testing.B) {
	b.Helper()
	// One by one: to delete all with one request takes a busy API server longer than it allows.
	g, ctx := errgroup.WithContext(b.Context())
	g.SetLimit(16)
	for i := range many {
		g.Go(func() error {
			return s.Client.Delete(ctx, &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: s.Namespace, Name: manyName(i)}})
		})
	}
	if err := g.Wait(); err != nil {
		b.Fatal(err)
	}
	s.prefixes(0)
}

func slice(namespace string, i int, ready bool) *discoveryv1.EndpointSlice {
	port, name, node := int32(80), "http", "n1"
	return &discoveryv1.EndpointSlice{
		ObjectMeta:  metav1.ObjectMeta{Namespace: namespace, Name: manyName(i), Labels: map[string]string{discoveryv1.LabelServiceName: manyName(i), discoveryv1.LabelManagedBy: "labtest"}},
		AddressType: discoveryv1.AddressTypeIPv4,
		Ports:       []discoveryv1.EndpointPort{{Name: &name, Port: &port}},
		Endpoints:   []discoveryv1.Endpoint{{Addresses: []string{"10.244.1.250"}, NodeName: &node, Conditions: discoveryv1.EndpointConditions{Ready: &ready}}},
	}
}

func (s *scene) setReady(b *testing.B, i int, ready bool) {
	b.Helper()
	if err := s.patchReady(b.Context(), i, ready); err != nil {
		b.Fatal(err)
	}
}

func (s *scene) patchReady(ctx context.Context, i int, ready bool) error {
	patch := fmt.Sprintf(`[{"op":"replace","path":"/endpoints/0/conditions/ready","value":%t}]`, ready)
	return s.Client.Patch(ctx, slice(s.Namespace, i, ready), client.RawPatch("application/json-patch+json", []byte(patch)))
}

// memory is what the speaker of a node has resident, in MiB.
func (s *scene) memory(b *testing.B, node string) float64 {
	b.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.pid(node)))
	if err != nil {
		b.Fatal(err)
	}
	for line := range strings.Lines(string(status)) {
		if f := strings.Fields(line); len(f) > 1 && f[0] == "VmRSS:" {
			kib, err := strconv.Atoi(f[1])
			if err != nil {
				b.Fatal(err)
			}
			return float64(kib) / 1024
		}
	}
	b.Fatalf("no VmRSS in %s", status)
	return 0
}
