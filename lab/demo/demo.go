package demo

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/lintel-lb/lintel/lab"
	"github.com/lintel-lb/lintel/lab/page"
	"github.com/lintel-lb/lintel/lab/probe"
)

//go:embed manifests
var manifests embed.FS

// Options say what to show.
type Options struct {
	// Lab is the name of the lab, which stays up afterwards.
	Lab string
	// Config is the directory with Lintel's kustomization, and Lintel the path of its binary.
	Config, Lintel string
	// Images are archives of the images that the manifests name.
	Images []string
	// LabCommand is how the user calls the lab's command line afterwards.
	LabCommand string
	// Out is for the user.
	Out io.Writer
}

const (
	// nodes is how many workers there are: as many as the router of the examples has.
	nodes = 6
	// client is the host outside of the cluster that fetches pages.
	client = "c1"
	// service is the example Service.
	service = "metallb-testing"
	// replicas is how many pods the example gets: some on every node.
	replicas = "12"
	// patience bounds every wait.
	patience = 60 * time.Second
)

// demo is one run.
type demo struct {
	Options
	lab    *lab.Lab
	kube   *kubernetes.Clientset
	began  time.Time
	v4, v6 netip.Addr
	routed netip.Addr // of the Service that is announced by BGP
}

// Run shows everything. It fails where something is not as it should be.
func Run(ctx context.Context, o Options) error {
	d := &demo{Options: o, began: time.Now()}
	for _, step := range []func(context.Context) error{
		d.cluster, d.install, d.examples, d.addresses, d.pages, d.explain,
		d.cable, d.noEndpoints, d.remove,
		d.router, d.sessions, d.spread, d.bfd, d.crash, d.stay,
	} {
		if err := step(ctx); err != nil {
			return fmt.Errorf("demo: %w", err)
		}
	}
	return nil
}

// title begins a step.
func (d *demo) title(format string, args ...any) {
	fmt.Fprintf(d.Out, "\n\033[1m[%5.1fs] %s\033[0m\n", time.Since(d.began).Seconds(), fmt.Sprintf(format, args...))
}

func (d *demo) say(format string, args ...any) {
	for line := range strings.SplitSeq(strings.TrimRight(fmt.Sprintf(format, args...), "\n"), "\n") {
		fmt.Fprintf(d.Out, "    %s\n", line)
	}
}

// kubectl runs and shows a kubectl command.
func (d *demo) kubectl(ctx context.Context, stdin string, args ...string) error {
	d.say("$ kubectl %s", strings.Join(args, " "))
	out, err := d.lab.Kubectl(ctx, strings.NewReader(stdin), args...)
	d.say("%s", out)
	return err
}

// lintel runs and shows a verb of Lintel's.
func (d *demo) lintel(ctx context.Context, args ...string) error {
	d.say("$ kubectl lintel %s", strings.Join(args, " "))
	out, err := d.lab.Exec(ctx, "cp", append([]string{d.Lintel, "--kubeconfig", d.lab.Kubeconfig()}, args...)...)
	d.say("%s", out)
	return err
}

// until waits for a condition.
func (d *demo) until(ctx context.Context, what string, done func(context.Context) (bool, error)) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	var last error
	for {
		ok, err := done(ctx)
		if ok && err == nil {
			return nil
		}
		if err != nil {
			last = err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s did not happen within %s: %w", what, patience, errors.Join(ctx.Err(), last))
		case <-tick.C:
		}
	}
}

func (d *demo) cluster(ctx context.Context) error {
	d.title("A Kubernetes with %d nodes, each a network namespace with containerd and kubelet", nodes)
	l, err := lab.Up(ctx, lab.Options{Name: d.Lab, Nodes: nodes, Images: d.Images, Progress: d.Out})
	if err != nil {
		return err
	}
	d.lab = l
	if d.kube, err = l.Client(); err != nil {
		return err
	}
	return d.kubectl(ctx, "", "get", "nodes", "-o", "wide")
}

func (d *demo) install(ctx context.Context) error {
	d.title("Lintel is installed")
	if err := d.kubectl(ctx, "", "apply", "-k", d.Config); err != nil {
		return err
	}
	if err := d.kubectl(ctx, "", "-n", "metallb-system", "rollout", "status", "deployment/controller", "--timeout=60s"); err != nil {
		return err
	}
	return d.kubectl(ctx, "", "-n", "metallb-system", "rollout", "status", "daemonset/speaker", "--timeout=60s")
}

func (d *demo) examples(ctx context.Context) error {
	d.title("The manifests that MetalLB's users have: a pool, an L2Advertisement, a Deployment and a Service")
	for _, name := range []string{"pool-lan.yaml", "arp-advertisement.yaml", "metallb-testing.yaml"} {
		b, err := manifests.ReadFile("manifests/" + name)
		if err != nil {
			return err
		}
		d.say("%s:", name)
		d.say("%s", indent(string(b)))
		if err := d.kubectl(ctx, string(b), "apply", "-f", "-"); err != nil {
			return err
		}
	}
	return nil
}

func indent(s string) string {
	return "  | " + strings.ReplaceAll(strings.TrimRight(s, "\n"), "\n", "\n  | ")
}

func (d *demo) addresses(ctx context.Context) error {
	d.title("The Service gets an address, and one node answers for it")
	if err := d.findAddresses(ctx, 1); err != nil {
		return err
	}
	if err := d.kubectl(ctx, "", "get", "service", service); err != nil {
		return err
	}
	d.title("With ipFamilyPolicy PreferDualStack it gets an IPv6 address as well; the first one stays")
	if err := d.kubectl(ctx, "", "patch", "service", service, "-p", `{"spec":{"ipFamilyPolicy":"PreferDualStack"}}`); err != nil {
		return err
	}
	if err := d.findAddresses(ctx, 2); err != nil {
		return err
	}
	if err := d.kubectl(ctx, "", "get", "service", service); err != nil {
		return err
	}
	for _, a := range []netip.Addr{d.v4, d.v6} {
		node, err := d.answering(ctx, a)
		if err != nil {
			return err
		}
		d.say("%s is answered by %s", a, node)
	}
	return nil
}

// findAddresses waits until the Service has n addresses, and remembers them.
func (d *demo) findAddresses(ctx context.Context, n int) error {
	return d.until(ctx, fmt.Sprintf("Service %s with %d address(es)", service, n), func(ctx context.Context) (bool, error) {
		svc, err := d.kube.CoreV1().Services("default").Get(ctx, service, metav1.GetOptions{})
		if err != nil {
			return false, err
		}
		for _, in := range svc.Status.LoadBalancer.Ingress {
			a, err := netip.ParseAddr(in.IP)
			if err != nil {
				return false, err
			}
			if a.Is4() {
				d.v4 = a
			} else {
				d.v6 = a
			}
		}
		return len(svc.Status.LoadBalancer.Ingress) == n, nil
	})
}

// answering asks the network, not the cluster, which node has an address.
func (d *demo) answering(ctx context.Context, a netip.Addr) (string, error) {
	var node string
	err := d.until(ctx, fmt.Sprintf("an answer for %s", a), func(ctx context.Context) (bool, error) {
		macs, err := d.who(ctx, a)
		if err != nil || len(macs) == 0 {
			return false, err
		}
		if len(macs) > 1 {
			return false, fmt.Errorf("%s is answered by %v", a, macs)
		}
		for _, h := range d.lab.Hosts(lab.RoleNode) {
			for _, port := range h.Ports {
				if port.MAC.String() == macs[0] {
					node = h.Name
				}
			}
		}
		return node != "", nil
	})
	return node, err
}

// who lists the MAC addresses that answer the client for an address.
func (d *demo) who(ctx context.Context, a netip.Addr) ([]string, error) {
	return probe.Who(ctx, d.lab.Namespace(client), "eth0", a)
}

func (d *demo) pages(ctx context.Context) error {
	d.title("A client outside of the cluster fetches pages over IPv4 and IPv6, from pods on every node")
	if err := d.kubectl(ctx, "", "scale", "deployment", service, "--replicas="+replicas); err != nil {
		return err
	}
	if err := d.kubectl(ctx, "", "rollout", "status", "deployment/"+service, "--timeout=60s"); err != nil {
		return err
	}
	nodes, err := d.podNodes(ctx)
	if err != nil {
		return err
	}
	all := map[string]bool{}
	for _, n := range nodes {
		all[n] = true
	}
	for _, a := range []netip.Addr{d.v4, d.v6} {
		seen := map[string]string{}
		url := "http://" + netip.AddrPortFrom(a, 8080).String() + "/"
		err := d.until(ctx, "pages from every node through "+url, func(ctx context.Context) (bool, error) {
			status, pod, err := d.fetch(ctx, client, url)
			if err != nil {
				return false, err
			}
			if _, known := seen[nodes[pod]]; !known {
				seen[nodes[pod]] = pod
				d.say("GET %s -> %s from pod %s on node %s", url, status, pod, nodes[pod])
			}
			return len(seen) == len(all), nil
		})
		if err != nil {
			return fmt.Errorf("%w; pages came from %v", err, slices.Collect(maps.Keys(seen)))
		}
	}
	return nil
}

// podNodes tells on which node each pod of the example is.
func (d *demo) podNodes(ctx context.Context) (map[string]string, error) {
	pods, err := d.kube.CoreV1().Pods("default").List(ctx, metav1.ListOptions{LabelSelector: "app=nginx"})
	if err != nil {
		return nil, err
	}
	out := map[string]string{}
	for _, p := range pods.Items {
		out[p.Name] = p.Spec.NodeName
	}
	return out, nil
}

// fetch gets a page over a new connection from a host.
func (d *demo) fetch(ctx context.Context, host, url string) (status, pod string, err error) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	transport := &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			return d.lab.Dial(ctx, host, network, address)
		},
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return "", "", err
	}
	resp, err := transport.RoundTrip(req)
	if err != nil {
		return "", "", err
	}
	defer resp.Body.Close()
	_, err = io.Copy(io.Discard, resp.Body)
	return resp.Status, resp.Header.Get(page.HeaderPod), err
}

func (d *demo) explain(ctx context.Context) error {
	d.title("One command says why")
	if err := d.lintel(ctx, "status"); err != nil {
		return err
	}
	return d.lintel(ctx, "why", service)
}

func (d *demo) cable(ctx context.Context) error {
	owner, err := d.answering(ctx, d.v4)
	if err != nil {
		return err
	}
	d.title("The cable of %s, which answers for %s, is cut", owner, d.v4)
	p, err := probe.Start(ctx, probe.Options{
		URL: "http://" + netip.AddrPortFrom(d.v4, 8080).String() + "/", Namespace: d.lab.Namespace(client),
	})
	if err != nil {
		return err
	}
	if err := p.Ready(ctx); err != nil {
		p.Stop()
		return err
	}
	p.Mark("cut " + owner)
	if err := d.lab.Cut(ctx, owner); err != nil {
		p.Stop()
		return err
	}
	next := ""
	err = d.until(ctx, "another node that answers", func(ctx context.Context) (bool, error) {
		node, err := d.answering(ctx, d.v4)
		next = node
		return err == nil && node != owner, err
	})
	if err == nil {
		// Endpoints on the node that is cut off go only when the cluster has noticed, so
		// single failures go on; what is of interest is when the address was back.
		err = d.until(ctx, "pages again", func(ctx context.Context) (bool, error) {
			_, _, err := d.fetch(ctx, client, "http://"+netip.AddrPortFrom(d.v4, 8080).String()+"/")
			return err == nil, err
		})
	}
	report := p.Stop()
	if err != nil {
		return err
	}
	d.say("%s answers now", next)
	for _, g := range report.GapsSince("cut " + owner) {
		if g.Fault == probe.FaultAddress {
			d.say("gap in new connections, opened every %s: %s (%d failed)", report.Interval, g.Length.Round(time.Millisecond), g.Failures)
		}
	}
	d.title("The cable of %s is plugged in again", owner)
	if err := d.lab.Heal(ctx, owner); err != nil {
		return err
	}
	return d.kubectl(ctx, "", "wait", "node", "--all", "--for=condition=Ready", "--timeout=60s")
}

func (d *demo) noEndpoints(ctx context.Context) error {
	d.title("Without endpoints nobody answers, and the reason is told")
	if err := d.kubectl(ctx, "", "scale", "deployment", service, "--replicas=0"); err != nil {
		return err
	}
	if err := d.silent(ctx, d.v4, d.v6); err != nil {
		return err
	}
	if err := d.lintel(ctx, "why", service); err != nil {
		return err
	}
	if err := d.kubectl(ctx, "", "scale", "deployment", service, "--replicas="+replicas); err != nil {
		return err
	}
	return d.kubectl(ctx, "", "rollout", "status", "deployment/"+service, "--timeout=60s")
}

// silent waits until nobody answers for the addresses.
func (d *demo) silent(ctx context.Context, addrs ...netip.Addr) error {
	for _, a := range addrs {
		err := d.until(ctx, fmt.Sprintf("silence about %s", a), func(ctx context.Context) (bool, error) {
			macs, err := d.who(ctx, a)
			return len(macs) == 0, err
		})
		if err != nil {
			return err
		}
		d.say("nobody answers for %s", a)
	}
	return nil
}

func (d *demo) remove(ctx context.Context) error {
	d.title("A Service that is deleted gives its addresses back, and nobody answers any more")
	if err := d.kubectl(ctx, "", "delete", "service", service); err != nil {
		return err
	}
	if err := d.silent(ctx, d.v4, d.v6); err != nil {
		return err
	}
	b, err := manifests.ReadFile("manifests/metallb-testing.yaml")
	if err != nil {
		return err
	}
	if err := d.kubectl(ctx, string(b), "apply", "-f", "-"); err != nil {
		return err
	}
	return d.findAddresses(ctx, 1)
}

func (d *demo) stay(context.Context) error {
	d.title("Done. The cluster stays for you")
	d.say(`%[1]s kubectl get services
%[1]s exec cp -- %[2]s --kubeconfig %[3]s status
%[1]s probe --from c1 --for 5s http://%[4]s:8080/
%[1]s probe --from %[5]s --for 5s %[6]s
%[1]s cut n1      and heal n1; or crash n1 and boot n1
make demo-down    remove every trace`, d.LabCommand, d.Lintel, d.lab.Kubeconfig(), d.v4, far, d.routedURL())
	return nil
}
