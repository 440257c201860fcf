package demo

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/lintel-lb/lintel/lab"
	"github.com/lintel-lb/lintel/lab/probe"
)

const (
	// far is the client behind the router.
	far = "f1"
	// routedService is the Service with an address that is on no subnet.
	routedService = "metallb-testing-bgp"
	// peerName is the BGPPeer.
	peerName = "router-2001"
)

// routerConfig is one group that takes a session of any worker, and balances over them.
const routerConfig = `
bfd
 profile fast
  transmit-interval 50
  receive-interval 50
 exit
exit
router bgp 65000
 bgp router-id 10.89.0.1
 no bgp ebgp-requires-policy
 bgp graceful-restart
 neighbor WORKERS peer-group
 neighbor WORKERS remote-as 65007
 neighbor WORKERS bfd profile fast
 bgp listen range 10.89.0.0/16 peer-group WORKERS
 address-family ipv4 unicast
  maximum-paths 8
 exit-address-family
exit
`

// vtysh runs and shows a command of FRR's shell.
func (d *demo) vtysh(ctx context.Context, command string) error {
	d.say("%s# %s", lab.RouterName, command)
	out, err := d.lab.Router().Vtysh(ctx, command)
	d.say("%s", out)
	return err
}

func (d *demo) router(ctx context.Context) error {
	d.title("BGP: FRR on the router takes sessions of all workers, and the manifests of MetalLB's users are applied")
	if err := d.lab.Router().StartFRR(ctx, routerConfig); err != nil {
		return err
	}
	d.say("frr.conf of the router:\n%s", indent(routerConfig[1:]))
	if err := d.kubectl(ctx, "", "scale", "deployment", service, "--replicas="+replicas); err != nil {
		return err
	}
	for _, name := range []string{"bgp-peer.yaml", "bgp-advertisement.yaml", "pool-routed.yaml", routedService + ".yaml"} {
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

func (d *demo) sessions(ctx context.Context) error {
	d.title("Every worker has a session, and the Service's address, which is on no subnet, has a route through each node with endpoints")
	if err := d.kubectl(ctx, "", "rollout", "status", "deployment/"+service, "--timeout=60s"); err != nil {
		return err
	}
	if err := d.allEstablished(ctx); err != nil {
		return err
	}
	if err := d.findRouted(ctx); err != nil {
		return err
	}
	if err := d.allRoutes(ctx); err != nil {
		return err
	}
	for _, command := range []string{"show bgp ipv4 unicast summary", "show bgp ipv4 unicast"} {
		if err := d.vtysh(ctx, command); err != nil {
			return err
		}
	}
	d.say("%s$ ip route show %s", lab.RouterName, d.routed)
	out, err := d.lab.Exec(ctx, lab.RouterName, "ip", "route", "show", d.routed.String())
	d.say("%s", out)
	return err
}

// allEstablished waits until the router has a session with every worker.
func (d *demo) allEstablished(ctx context.Context) error {
	return d.until(ctx, "a BGP session with every worker", func(ctx context.Context) (bool, error) {
		var doc struct {
			Peers map[string]struct{ State string }
		}
		if err := d.show(ctx, "show bgp ipv4 unicast summary", &doc); err != nil {
			return false, err
		}
		for _, h := range d.lab.Hosts(lab.RoleNode) {
			if doc.Peers[h.V4().String()].State != "Established" {
				return false, fmt.Errorf("sessions %v", doc.Peers)
			}
		}
		return true, nil
	})
}

// show reads JSON of FRR.
func (d *demo) show(ctx context.Context, command string, into any) error {
	out, err := d.lab.Router().Vtysh(ctx, command+" json")
	if err != nil {
		return err
	}
	return json.Unmarshal(out, into)
}

// findRouted waits for the address of the routed Service.
func (d *demo) findRouted(ctx context.Context) error {
	return d.until(ctx, "the address of "+routedService, func(ctx context.Context) (bool, error) {
		svc, err := d.kube.CoreV1().Services("default").Get(ctx, routedService, metav1.GetOptions{})
		if err != nil || len(svc.Status.LoadBalancer.Ingress) == 0 {
			return false, err
		}
		d.routed, err = netip.ParseAddr(svc.Status.LoadBalancer.Ingress[0].IP)
		return err == nil, err
	})
}

// allRoutes waits until the kernel of the router has a next hop for each node with endpoints.
func (d *demo) allRoutes(ctx context.Context) error {
	return d.until(ctx, "a route through each node with endpoints", func(ctx context.Context) (bool, error) {
		nodes, err := d.podNodes(ctx)
		if err != nil {
			return false, err
		}
		var want []string
		for _, node := range nodes {
			h, err := d.lab.Host(node)
			if err != nil {
				return false, err
			}
			want = append(want, h.V4().String())
		}
		slices.Sort(want)
		want = slices.Compact(want)
		got, err := d.nextHops(ctx)
		if err == nil && !slices.Equal(got, want) {
			err = fmt.Errorf("the next hops of %s are %v, wanted %v", d.routed, got, want)
		}
		return err == nil, err
	})
}

// nextHops are those of the routed address in the kernel of the router, sorted.
func (d *demo) nextHops(ctx context.Context) ([]string, error) {
	out, err := d.lab.Exec(ctx, lab.RouterName, "ip", "-json", "route", "show", d.routed.String())
	if err != nil {
		return nil, err
	}
	type hop struct{ Gateway string }
	var routes []struct {
		hop
		Nexthops []hop
	}
	if err := json.Unmarshal(out, &routes); err != nil {
		return nil, err
	}
	var hops []string
	for _, r := range routes {
		if len(r.Nexthops) == 0 {
			hops = append(hops, r.Gateway)
		}
		for _, h := range r.Nexthops {
			hops = append(hops, h.Gateway)
		}
	}
	slices.Sort(hops)
	return hops, nil
}

func (d *demo) spread(ctx context.Context) error {
	d.title("A client behind the router gets pages from all of them")
	count, err := d.countNodes(ctx)
	if err != nil {
		return err
	}
	for _, node := range slices.Sorted(maps.Keys(count)) {
		d.say("%-3s answered %d times", node, count[node])
	}
	return d.lintel(ctx, "why", "--peer", peerName)
}

// countNodes fetches pages until one came from each node with endpoints, and counts them.
func (d *demo) countNodes(ctx context.Context) (map[string]int, error) {
	nodes, err := d.podNodes(ctx)
	if err != nil {
		return nil, err
	}
	all := map[string]bool{}
	for _, n := range nodes {
		all[n] = true
	}
	count := map[string]int{}
	err = d.until(ctx, "pages from every node with endpoints", func(ctx context.Context) (bool, error) {
		for range 20 * len(all) {
			_, pod, err := d.fetch(ctx, far, d.routedURL())
			if err != nil {
				return false, err
			}
			count[nodes[pod]]++
		}
		return len(count) == len(all), nil
	})
	return count, err
}

func (d *demo) routedURL() string {
	return "http://" + netip.AddrPortFrom(d.routed, 8080).String() + "/"
}

func (d *demo) bfd(ctx context.Context) error {
	d.title("A BFD profile of 3 x 50 ms, so that the router notices a dead node at once")
	b, err := manifests.ReadFile("manifests/bfd-profile.yaml")
	if err != nil {
		return err
	}
	d.say("%s", indent(string(b)))
	if err := d.kubectl(ctx, string(b), "apply", "-f", "-"); err != nil {
		return err
	}
	if err := d.kubectl(ctx, "", "-n", "metallb-system", "patch", "bgppeer", peerName, "--type=merge", "-p", `{"spec":{"bfdProfile":"fast"}}`); err != nil {
		return err
	}
	if err := d.allWatched(ctx); err != nil {
		return err
	}
	return d.vtysh(ctx, "show bfd peers brief")
}

// allWatched waits until the router watches every worker by BFD and has all routes.
func (d *demo) allWatched(ctx context.Context) error {
	err := d.until(ctx, "a BFD session with every worker", func(ctx context.Context) (bool, error) {
		var sessions []struct{ Peer, Status string }
		if err := d.show(ctx, "show bfd peers", &sessions); err != nil {
			return false, err
		}
		up := 0
		for _, s := range sessions {
			if s.Status == "up" {
				up++
			}
		}
		return up == len(d.lab.Hosts(lab.RoleNode)), nil
	})
	if err != nil {
		return err
	}
	if err := d.allEstablished(ctx); err != nil {
		return err
	}
	return d.allRoutes(ctx)
}

func (d *demo) crash(ctx context.Context) error {
	victim, err := d.victim(ctx)
	if err != nil {
		return err
	}
	d.title("%s crashes under load", victim)
	p, err := probe.Start(ctx, probe.Options{URL: d.routedURL(), Namespace: d.lab.Namespace(far)})
	if err != nil {
		return err
	}
	defer p.Stop()
	if err := p.Ready(ctx); err != nil {
		return err
	}
	h, err := d.lab.Host(victim)
	if err != nil {
		return err
	}
	p.Mark("crash")
	if err := d.lab.Crash(ctx, victim); err != nil {
		return err
	}
	err = d.until(ctx, "no route through "+victim, func(ctx context.Context) (bool, error) {
		hops, err := d.nextHops(ctx)
		return len(hops) > 0 && !slices.Contains(hops, h.V4().String()), err
	})
	if err != nil {
		return err
	}
	ok := p.Progress().OK
	err = d.until(ctx, "pages again", func(context.Context) (bool, error) { return p.Progress().OK > ok+100, nil })
	if err != nil {
		return err
	}
	report := p.Stop()
	var lost time.Duration
	for _, g := range report.GapsSince("crash") {
		lost = max(lost, g.SinceMark+g.LastFailure-g.FirstFailure)
	}
	d.say("of %d new connections, one every %s, %d failed: those that began within %s of the crash and were sent to %s",
		report.Attempts, report.Interval, report.Failed(), lost.Round(time.Millisecond), victim)
	d.title("%s boots", victim)
	if err := d.lab.Boot(ctx, victim); err != nil {
		return err
	}
	if err := d.kubectl(ctx, "", "wait", "node", "--all", "--for=condition=Ready", "--timeout=60s"); err != nil {
		return err
	}
	if err := d.kubectl(ctx, "", "rollout", "status", "deployment/"+service, "--timeout=60s"); err != nil {
		return err
	}
	if err := d.allWatched(ctx); err != nil {
		return err
	}
	return d.vtysh(ctx, "show bgp ipv4 unicast summary")
}

// victim is a node that has endpoints and not the controller.
func (d *demo) victim(ctx context.Context) (string, error) {
	pods, err := d.podNodes(ctx)
	if err != nil {
		return "", err
	}
	controllers, err := d.kube.CoreV1().Pods("metallb-system").List(ctx, metav1.ListOptions{LabelSelector: "component=controller"})
	if err != nil {
		return "", err
	}
	for _, node := range slices.Backward(slices.Sorted(maps.Values(pods))) {
		spare := true
		for _, c := range controllers.Items {
			spare = spare && c.Spec.NodeName != node
		}
		if spare {
			return node, nil
		}
	}
	return "", fmt.Errorf("no node has endpoints of %s and not the controller", service)
}
