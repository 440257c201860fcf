package layer2

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/lintel-lb/lintel/lab"
)

// Each benchmark measures once, whatever b.N is: what it prints are figures of a run.

const (
	// many is the network for benchmarks: addresses on the nodes' segment that no test uses.
	many = "10.89.16.0/20"
	// intake bounds making thousands of Services on a machine that may be busy.
	intake = 10 * time.Minute
	// atOnce is how many requests to the API server are under way.
	atOnce = 8
)

// crowd is many Services, each with an address and an endpoint by hand.
type crowd struct {
	*scene
	b    *testing.B
	core kubernetes.Interface
	wire *wire
	n    int
}

// newCrowd prepares n Services without making them yet.
func newCrowd(b *testing.B, n int) *crowd {
	s := newScene(b, "Cluster", nil)
	s.Apply(`
apiVersion: metallb.io/v1beta1
kind: IPAddressPool
metadata: {name: '{{.Name}}-many', namespace: metallb-system}
spec: {autoAssign: false, addresses: ['{{.Vars.Net}}']}
---
apiVersion: metallb.io/v1beta1
kind: L2Advertisement
metadata: {name: '{{.Name}}-many', namespace: metallb-system}
spec: {ipAddressPools: ['{{.Name}}-many']}
`, map[string]any{"Net": many})
	config, err := s.Lab.RESTConfig()
	if err != nil {
		b.Fatal(err)
	}
	config.QPS = -1
	core, err := kubernetes.NewForConfig(config)
	if err != nil {
		b.Fatal(err)
	}
	c := &crowd{scene: s, b: b, core: core, n: n, wire: listen(b, s.Env)}
	b.Cleanup(c.remove)
	return c
}

// address is that of Service number i.
func (c *crowd) address(i int) netip.Addr {
	a := netip.MustParsePrefix(many).Addr().As4()
	a[2] += byte((i + 1) >> 8)
	a[3] = byte(i + 1)
	return netip.AddrFrom4(a)
}

// each calls f for all numbers below n, some at a time.
func (c *crowd) each(ctx context.Context, n int, f func(ctx context.Context, i int) error) {
	c.b.Helper()
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(atOnce)
	for i := range n {
		g.Go(func() error { return f(ctx, i) })
	}
	if err := g.Wait(); err != nil {
		c.b.Fatal(err)
	}
}

// make makes all Services.
func (c *crowd) make(ctx context.Context) {
	c.b.Helper()
	c.each(ctx, c.n, func(ctx context.Context, i int) error {
		if _, err := c.core.DiscoveryV1().EndpointSlices(c.Namespace).Create(ctx, c.slice(i, true), metav1.CreateOptions{}); err != nil {
			return err
		}
		_, err := c.core.CoreV1().Services(c.Namespace).Create(ctx, &corev1.Service{
			ObjectMeta: metav1.ObjectMeta{Name: name(i), Annotations: map[string]string{
				"metallb.io/address-pool": c.Name + "-many", "metallb.io/loadBalancerIPs": c.address(i).String()}},
			Spec: corev1.ServiceSpec{Type: corev1.ServiceTypeLoadBalancer, Ports: []corev1.ServicePort{{Port: 80}},
				// Node ports run out at 2,768, and are of no interest here.
				AllocateLoadBalancerNodePorts: new(bool)},
		}, metav1.CreateOptions{})
		return err
	})
}

func name(i int) string { return fmt.Sprintf("s%04d", i) }

func (c *crowd) slice(i int, ready bool) *discoveryv1.EndpointSlice {
	node, port := "n"+strconv.Itoa(1+i%3), int32(80)
	return &discoveryv1.EndpointSlice{
		ObjectMeta:  metav1.ObjectMeta{Name: name(i), Namespace: c.Namespace, Labels: map[string]string{discoveryv1.LabelServiceName: name(i)}},
		AddressType: discoveryv1.AddressTypeIPv4,
		Ports:       []discoveryv1.EndpointPort{{Port: &port}},
		Endpoints: []discoveryv1.Endpoint{{Addresses: []string{"10.244.200.1"}, NodeName: &node,
			Conditions: discoveryv1.EndpointConditions{Ready: &ready, Serving: &ready}}},
	}
}

// announced waits until the first announcement of each address after a moment was seen.
func (c *crowd) announced(ctx context.Context, after time.Time) {
	c.b.Helper()
	for i := range c.n {
		if _, err := c.wire.first(ctx, c.address(i), after, unasked); err != nil {
			c.b.Fatal(err)
		}
	}
}

func unasked(s sighting) bool { return !s.asked }

// remove deletes all Services at once, which a namespace's end would do one by one.
func (c *crowd) remove() {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(c.b.Context()), intake)
	defer cancel()
	g := errgroup.Group{}
	g.SetLimit(atOnce)
	for i := range c.n {
		g.Go(func() error {
			_ = c.core.DiscoveryV1().EndpointSlices(c.Namespace).Delete(ctx, name(i), metav1.DeleteOptions{})
			return client.IgnoreNotFound(c.core.CoreV1().Services(c.Namespace).Delete(ctx, name(i), metav1.DeleteOptions{}))
		})
	}
	if err := g.Wait(); err != nil {
		c.b.Error(err)
	}
}

// BenchmarkFirstGratuitousPacket is the time from the request that makes an endpoint ready until
// the first gratuitous packet reaches a client, with 1,000 Services, most of them announced.
func BenchmarkFirstGratuitousPacket(b *testing.B) {
	const services, changes = 1000, 300
	c := newCrowd(b, services)
	ctx, cancel := context.WithTimeout(b.Context(), intake)
	defer cancel()
	c.make(ctx)
	c.announced(ctx, time.Time{})
	c.each(ctx, changes, func(ctx context.Context, i int) error {
		_, err := c.core.DiscoveryV1().EndpointSlices(c.Namespace).Update(ctx, c.slice(i, false), metav1.UpdateOptions{})
		return err
	})
	c.Eventually("the addresses without endpoint are announced no more, and status writing is done", intake, func(ctx context.Context) error {
		o, err := c.status(ctx)
		if err != nil {
			return err
		}
		n := 0
		for _, a := range o.Addresses {
			n += len(a.Nodes)
		}
		if n != services-changes {
			return fmt.Errorf("%d are announced", n)
		}
		return c.statusesWritten(ctx, n)
	})
	// The slow refresh of other addresses goes on; bursts of earlier changes are over.
	var fromRequest, fromResponse []time.Duration
	for i := range changes {
		began := time.Now()
		if _, err := c.core.DiscoveryV1().EndpointSlices(c.Namespace).Update(ctx, c.slice(i, true), metav1.UpdateOptions{}); err != nil {
			b.Fatal(err)
		}
		answered := time.Now()
		seen, err := c.wire.first(ctx, c.address(i), began, unasked)
		if err != nil {
			b.Fatal(err)
		}
		fromRequest = append(fromRequest, seen.at.Sub(began))
		fromResponse = append(fromResponse, max(0, seen.at.Sub(answered)))
	}
	report(b, "request", fromRequest)
	report(b, "response", fromResponse)
}

// statusesWritten says whether as many ServiceL2Status objects exist.
func (c *crowd) statusesWritten(ctx context.Context, want int) error {
	var got int
	out, err := c.Lab.Kubectl(ctx, nil, "-n", "metallb-system", "get", "servicel2statuses", "-o", "name", "-l", "metallb.io/service-namespace="+c.Namespace)
	if err != nil {
		return err
	}
	if got = len(strings.Fields(string(out))); got != want {
		return fmt.Errorf("%d objects, want %d", got, want)
	}
	return nil
}

// report prints quantiles in milliseconds.
func report(b *testing.B, what string, d []time.Duration) {
	slices.Sort(d)
	ms := func(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
	b.ReportMetric(ms(d[len(d)/2]), "ms-p50-from-"+what)
	b.ReportMetric(ms(d[len(d)*99/100]), "ms-p99-from-"+what)
	b.ReportMetric(0, "ns/op")
}

// BenchmarkIntake is what a speaker needs for 2,000 Services: that come while it runs, and that
// are there when it starts. The figures are those of the speaker that needs most.
func BenchmarkIntake(b *testing.B) {
	const services = 2000
	c := newCrowd(b, services)
	ctx, cancel := context.WithTimeout(b.Context(), intake)
	defer cancel()
	c.serveProfiles()
	c.kubectl("-n", "metallb-system", "rollout", "restart", "daemonset/speaker")
	c.kubectl("-n", "metallb-system", "rollout", "status", "daemonset/speaker", "--timeout=120s")
	before := c.usage()
	profiled := c.profile(ctx, "created", 40*time.Second)
	began := time.Now()
	c.make(ctx)
	made := time.Since(began)
	c.announced(ctx, time.Time{})
	announced := time.Since(began)
	after := c.usage()
	b.ReportMetric(made.Seconds(), "s-to-create")
	b.ReportMetric(announced.Seconds(), "s-to-announce")
	b.ReportMetric(worst(before, after).cpu.Seconds(), "cpu-s-created")
	b.ReportMetric(float64(worst(before, after).rss)/1e6, "MB-created")
	c.Eventually("all statuses are written", intake, func(ctx context.Context) error { return c.statusesWritten(ctx, services) })
	after = c.usage()
	b.ReportMetric(time.Since(began).Seconds(), "s-to-status")
	b.ReportMetric(worst(before, after).cpu.Seconds(), "cpu-s-created-and-status")
	b.ReportMetric(float64(worst(before, after).rss)/1e6, "MB-created-and-status")
	profiled()

	profiled = c.profile(ctx, "restarted", 15*time.Second)
	c.kubectl("-n", "metallb-system", "rollout", "restart", "daemonset/speaker")
	c.kubectl("-n", "metallb-system", "rollout", "status", "daemonset/speaker", "--timeout=300s")
	c.Eventually("all addresses are announced after a restart", intake, func(ctx context.Context) error {
		o, err := c.status(ctx)
		if err != nil {
			return err
		}
		n := 0
		for _, a := range o.Addresses {
			n += len(a.Nodes)
		}
		if n != services {
			return fmt.Errorf("%d are announced", n)
		}
		return nil
	})
	after = c.usage()
	b.ReportMetric(worst(nil, after).cpu.Seconds(), "cpu-s-restarted")
	b.ReportMetric(float64(worst(nil, after).rss)/1e6, "MB-restarted")
	profiled()
	b.ReportMetric(0, "ns/op")
}

// use is what a process has used.
type use struct {
	cpu time.Duration
	rss int64 // the most so far, in bytes
}

// usage reads what the speaker of each node has used.
func (c *crowd) usage() map[string]use {
	c.b.Helper()
	out := map[string]use{}
	for _, h := range c.Lab.Hosts(lab.RoleNode) {
		text, err := exec.CommandContext(c.b.Context(), "ip", "netns", "pids", c.Lab.Namespace(h.Name)).Output()
		if err != nil {
			c.b.Fatal(err)
		}
		for pid := range strings.FieldsSeq(string(text)) {
			cmdline, err := os.ReadFile("/proc/" + pid + "/cmdline")
			if err != nil || !strings.HasPrefix(string(cmdline), "/lintel\x00speaker\x00") {
				continue
			}
			u, err := used(pid)
			if err != nil {
				c.b.Fatal(err)
			}
			out[h.Name] = u
		}
	}
	if len(out) != 3 {
		c.b.Fatalf("found the speakers of %d nodes", len(out))
	}
	return out
}

// used reads proc(5): utime and stime in hundredths of a second, and the high water mark.
func used(pid string) (use, error) {
	stat, err := os.ReadFile("/proc/" + pid + "/stat")
	if err != nil {
		return use{}, err
	}
	f := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
	utime, err1 := strconv.Atoi(f[11])
	stime, err2 := strconv.Atoi(f[12])
	if err1 != nil || err2 != nil {
		return use{}, fmt.Errorf("stat of %s: %v %v", pid, err1, err2)
	}
	u := use{cpu: time.Duration(utime+stime) * 10 * time.Millisecond}
	status, err := os.ReadFile("/proc/" + pid + "/status")
	if err != nil {
		return use{}, err
	}
	for line := range strings.Lines(string(status)) {
		if rest, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			kb, err := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
			if err != nil {
				return use{}, err
			}
			u.rss = kb << 10
		}
	}
	return u, nil
}

// worst is the most that any speaker has used since before.
func worst(before, after map[string]use) use {
	var w use
	for n, u := range after {
		w.cpu = max(w.cpu, u.cpu-before[n].cpu)
		w.rss = max(w.rss, u.rss)
	}
	return w
}

// BenchmarkGap is for how long no new connection is possible when the node that answers is
// lost, over five runs.
func BenchmarkGap(b *testing.B) {
	for _, fault := range []lab.Fault{lab.FaultCut, lab.FaultCrashed} {
		b.Run(string(fault), func(b *testing.B) {
			s := newScene(b, "Cluster", nil)
			addrs, _ := s.ownedApartFromPods()
			var gaps []time.Duration
			for range 5 {
				owner := s.answersWithin(moveBound, addrs[0], s.nodes()...)
				gaps = append(gaps, s.loseOwner(addrs[0], owner, fault))
				s.Repair(owner)
				s.agreed("web", s.all(candidate))
			}
			b.Logf("gaps: %v", gaps)
			slices.Sort(gaps)
			b.ReportMetric(gaps[2].Seconds(), "s-median")
			b.ReportMetric(gaps[4].Seconds(), "s-max")
			b.ReportMetric(0, "ns/op")
		})
	}
}
