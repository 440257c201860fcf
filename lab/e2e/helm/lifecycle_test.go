package helm

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/lintel-lb/lintel/lab/e2e/install"
	"github.com/lintel-lb/lintel/lab/probe"
)

// An upgrade and a rollback lose no request, but what is under way at the moment of a move: the
// addresses are handed from old speakers to new ones.
func TestUpgradeAndRollback(t *testing.T) {
	c := newCluster(t)
	c.fresh(c.withHelm)
	a := c.address()
	c.settled()
	p := c.Probe("c1", probe.Options{URL: url(a), Timeout: 3 * time.Second})
	p.Mark("upgrade")
	c.helm(upgradeArgs("--set", "controller.image.tag=next,speaker.image.tag=next,speaker.logLevel=debug", "--wait", "--timeout", "2m")...)
	c.settled()
	c.images(repository + ":next")
	p.Mark("rollback")
	c.helm("rollback", release, "--wait", "--timeout", "2m")
	c.settled()
	c.images(repository + ":dev")
	r := p.Stop()
	t.Logf("%d requests, %d answered, latency %v at most", r.Attempts, r.OK, r.Latency.Max)
	if r.Lost(4) > 0 { // twice from the owner, and back
		t.Errorf("%d requests were lost:\n%v", len(r.Failures), r)
	}
	if now := c.address(); now != a {
		t.Errorf("the address was %v and is %v", a, now)
	}
}

// settled waits until all Pods are of the current version and ready.
func (c *cluster) settled() {
	c.t.Helper()
	for _, name := range []string{"deployment/metallb-controller", "daemonset/metallb-speaker"} {
		c.kubectl("", "--namespace", install.Namespace, "rollout", "status", name, "--timeout=2m")
	}
}

// images checks which image all Pods of the release run.
func (c *cluster) images(want string) {
	c.t.Helper()
	out := c.kubectl("", "--namespace", install.Namespace, "get", "deployments,daemonsets",
		"--output=jsonpath={range .items[*]}{.spec.template.spec.containers[*].image}{\"\\n\"}{end}")
	for _, got := range strings.Fields(out) {
		if got != want {
			c.t.Errorf("image %s, not %s", got, want)
		}
	}
}

// After an uninstallation the nodes are as they were, Services and the user's objects are
// there, and nothing waits for a controller that is gone. Installed anew, everything goes on
// with the same address.
func TestUninstall(t *testing.T) {
	c := newCluster(t)
	before := c.footprint()
	c.fresh(c.withHelm)
	c.settled()
	a := c.address()
	definitions := c.kubectl("", "get", "crds", "--output=name")
	out := c.helm("uninstall", release, "--wait", "--cascade", "foreground")
	t.Logf("%s", out)

	c.Eventually("nobody answers for "+a.String(), soon, func(ctx context.Context) error {
		return c.silent(ctx, a)
	})
	if diff := cmp.Diff(before, c.footprint()); diff != "" {
		t.Errorf("nodes are not as they were (-before +after)\n%s", diff)
	}
	if diff := cmp.Diff(definitions, c.kubectl("", "get", "crds", "--output=name")); diff != "" {
		t.Errorf("definitions (-before +after)\n%s", diff)
	}
	for _, kind := range []string{"ipaddresspool", "l2advertisement"} {
		c.kubectl("", "--namespace", install.Namespace, "get", kind, "pool-lan")
	}
	if finalizers := c.kubectl("", "get", "services,ipaddresspools,l2advertisements,namespaces", "--all-namespaces",
		"--output=jsonpath={range .items[*]}{.metadata.finalizers}{end}"); finalizers != "" {
		t.Errorf("finalizers are left: %s", finalizers)
	}
	if now := c.address(); now != a {
		t.Errorf("the Service had %v and has %v", a, now)
	}
	left := c.kubectl("", "get", "deployments,daemonsets,serviceaccounts,roles,rolebindings,configmaps,secrets,clusterroles,clusterrolebindings",
		"--all-namespaces", "--selector=app.kubernetes.io/instance="+release, "--output=name", "--ignore-not-found")
	if left != "" {
		t.Errorf("there is still\n%s", left)
	}
	t.Logf("left in the namespace:\n%s", c.kubectl("", "--namespace", install.Namespace, "get",
		"secrets,leases,configmaps,servicel2statuses,servicebgpstatuses,configurationstates", "--output=name", "--ignore-not-found"))

	c.helm(upgradeArgs()...)
	c.settled()
	if now := c.served(); now != a {
		t.Errorf("installed anew, the address was %v and is %v", a, now)
	}
}

// silent asks on the segment who has an address; an answer is an error.
func (c *cluster) silent(ctx context.Context, a netip.Addr) error {
	who, err := c.Answerers(ctx, "c2", a)
	if err == nil && len(who) > 0 {
		err = fmt.Errorf("%v answers", who)
	}
	return err
}
