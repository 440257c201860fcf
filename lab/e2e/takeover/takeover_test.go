package takeover

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/lintel-lb/lintel/lab"
	"github.com/lintel-lb/lintel/lab/e2e/install"
)

const routerASN = 65000

// TestTakeOver takes a MetalLB over that announces by layer 2 and by internal BGP, under load,
// breaks a way back off and goes forward again, and gives it back after the last step.
func TestTakeOver(t *testing.T) {
	s := newScene(t, 65007, plain)
	before, objects := s.byAddress(), s.objects()

	plan := s.mustMigrate("--manifests", targetFile)
	for _, want := range []string{"plain manifests", "native", "n1:", "n2:", "n3:", "LOCAL_PREF 0", "Nothing was changed"} {
		if !strings.Contains(plan, want) {
			t.Errorf("the plan does not say %q", want)
		}
	}
	if out := s.kubectl("-n", install.Namespace, "get", "secrets,cm", "-o", "name"); strings.Contains(out, "lintel") {
		t.Errorf("the dry run left\n%s", out)
	}
	stop := s.load()
	s.mustMigrate("--manifests", targetFile, "--yes")
	s.lossless(stop())
	s.Eventually("everything is announced", soon, func(ctx context.Context) error {
		return errors.Join(s.oneAnswers(ctx), s.paths(ctx, 3))
	})
	if got := s.byAddress(); got != before {
		t.Errorf("Services before\n%safter\n%s", before, got)
	}
	if got := s.objects(); got != objects {
		t.Errorf("objects before\n%safter\n%s", objects, got)
	}
	for _, gone := range []string{"validatingwebhookconfiguration metallb-webhook-configuration", "-n metallb-system service metallb-webhook-service",
		"-n metallb-system cm lintel-mixed-membership", "-n metallb-system role pod-lister", "-n metallb-system ds speaker-metallb"} {
		if out := s.kubectl(append([]string{"get", "--ignore-not-found", "-o", "name"}, strings.Fields(gone)...)...); out != "" {
			t.Errorf("left: %s", out)
		}
	}
	if again := s.mustMigrate("--yes"); !strings.Contains(again, "has been taken over") {
		t.Errorf("a second run says\n%s", again)
	}

	stop = s.load()
	speakers := s.speakers()
	s.breakOff("--revert", "--yes")
	s.mustMigrate("--yes")
	s.lossless(stop())
	s.rollout("daemonset/speaker")
	// The way back had come to the last node.
	if got := s.speakers(); len(got) != 3 || got["n1"] != speakers["n1"] || got["n2"] != speakers["n2"] {
		t.Errorf("speakers before a way back that broke off\n%v\nafter going forward again\n%v", speakers, got)
	}
	if got := s.kubectl("-n", install.Namespace, "get", "ds", "speaker", "-o", "jsonpath={.spec.updateStrategy.type} {.status.desiredNumberScheduled}"); got != "RollingUpdate 3" {
		t.Errorf("Lintel's DaemonSet is %s", got)
	}
	if got := s.kubectl("get", "nodes", "-l", "lintel.dev/taken-over", "-o", "name"); got != "" {
		t.Errorf("labelled: %s", got)
	}
	s.Eventually("everything is announced again", soon, func(ctx context.Context) error {
		return errors.Join(s.oneAnswers(ctx), s.paths(ctx, 3))
	})

	stop = s.load()
	s.mustMigrate("--revert", "--yes")
	s.lossless(stop())
	s.rollout("deployment/controller", "daemonset/speaker")
	s.Eventually("everything is announced by MetalLB", soon, func(ctx context.Context) error {
		return errors.Join(s.oneAnswers(ctx), s.paths(ctx, 3))
	})
	if got := s.byAddress(); got != before {
		t.Errorf("Services before\n%safter the way back\n%s", before, got)
	}
	if got := s.objects(); got != objects {
		t.Errorf("objects before\n%safter the way back\n%s", objects, got)
	}
	if image := s.kubectl("-n", install.Namespace, "get", "ds", "speaker", "-o", "jsonpath={.spec.template.spec.containers[0].image}"); !strings.Contains(image, version) {
		t.Errorf("the speaker's image is %s", image)
	}
}

// elected gives the node that MetalLB's rule elects.
func elected(address string, nodes []string) string {
	return slices.MinFunc(nodes, func(a, b string) int {
		x, y := sha256.Sum256([]byte(a+"#"+address)), sha256.Sum256([]byte(b+"#"+address))
		return strings.Compare(string(x[:]), string(y[:]))
	})
}

// TestMixedMembership takes only one node over, stays that way while a node dies and comes
// back, and is reverted in the middle. One BGP peer is down all the time.
func TestMixedMembership(t *testing.T) {
	s := newScene(t, routerASN, plain)
	s.Apply(deadPeer, nil)
	s.Eventually("MetalLB says that it announces to a peer that is down", soon, func(context.Context) error {
		if got := s.kubectl("-n", install.Namespace, "get", "servicebgpstatuses", "-o", "jsonpath={.items[*].status.peers}"); strings.Count(got, "dead") != 3 {
			return fmt.Errorf("peers %s", got)
		}
		return nil
	})
	stop := s.load()
	if out := s.mustMigrate("--manifests", targetFile, "--yes", "--nodes", "n1", "--down-peers", "dead"); !strings.Contains(out, "BGPPeer dead is ") {
		t.Error("nothing is said of the peer that is down")
	}
	owners := func(nodes ...string) func(context.Context) error {
		return func(ctx context.Context) error {
			var errs []error
			for _, a := range s.layer2 {
				want := elected(a.String(), nodes)
				for _, x := range s.of(a) {
					hosts, err := s.Answerers(ctx, near, x)
					if err == nil && !slices.Equal(hosts, []string{want}) {
						err = fmt.Errorf("%s is answered by %v, want %s", x, hosts, want)
					}
					errs = append(errs, err)
				}
			}
			return errors.Join(errs...)
		}
	}
	s.Eventually("both sides name the same owners", soon, owners("n1", "n2", "n3"))
	s.lossless(stop())

	// A node of MetalLB's dies, then the one of Lintel's.
	for _, dead := range []string{"n2", "n1"} {
		rest := slices.DeleteFunc([]string{"n1", "n2", "n3"}, func(n string) bool { return n == dead })
		s.Break(dead, lab.FaultCut)
		begin := time.Now()
		s.Eventually("the others have the addresses of "+dead, time.Minute, owners(rest...))
		t.Logf("the addresses of %s are with the others after %s", dead, time.Since(begin).Round(time.Millisecond))
		s.Repair(dead)
		s.Eventually(dead+" has its addresses back", 2*time.Minute, owners("n1", "n2", "n3"))
	}

	s.Eventually("the router has all paths", 3*time.Minute, func(ctx context.Context) error { return s.paths(ctx, 3) })
	stop = s.load()
	s.mustMigrate("--revert", "--yes")
	s.lossless(stop())
	s.rollout("deployment/controller", "daemonset/speaker")
	s.Eventually("MetalLB's owners", soon, owners("n1", "n2", "n3"))
}

// TestTakeOverOfARelease takes over what Helm has installed, has Helm go on with Lintel, and
// uninstalls it.
func TestTakeOverOfARelease(t *testing.T) {
	s := newScene(t, routerASN, byHelm)
	before, objects := s.byAddress(), s.objects()
	target := filepath.Join(t.TempDir(), "lintel.yaml")
	if err := os.WriteFile(target, []byte(s.helm(append([]string{"template"}, chart()...)...)), 0o600); err != nil {
		t.Fatal(err)
	}
	stop := s.load()
	s.mustMigrate("--manifests", target, "--yes")
	s.lossless(stop())
	pods := s.pods()
	s.helm(append([]string{"upgrade", "--install"}, chart()...)...)
	s.rollout("deployment/lintel-controller", "daemonset/lintel-speaker")
	if got := s.pods(); got != pods {
		t.Errorf("Helm replaced pods: before\n%safter\n%s", pods, got)
	}
	if list := s.helm("list", "-q"); strings.TrimSpace(list) != "lintel" {
		t.Errorf("Helm lists %q", list)
	}
	s.Eventually("everything is announced", soon, func(ctx context.Context) error {
		return errors.Join(s.oneAnswers(ctx), s.paths(ctx, 3))
	})
	if got := s.byAddress(); got != before {
		t.Errorf("Services before\n%safter\n%s", before, got)
	}
	if got := s.objects(); got != objects {
		t.Errorf("objects before\n%safter\n%s", objects, got)
	}
	s.helm("uninstall", "lintel", "--wait")
	if got := s.objects(); got != objects {
		t.Errorf("objects before\n%safter the uninstall\n%s", objects, got)
	}
}

// TestUninstallOfMetalLBInTheMiddle has Helm uninstall MetalLB during a take-over, which deletes
// everything that users wrote if nobody prevents it.
func TestUninstallOfMetalLBInTheMiddle(t *testing.T) {
	s := newScene(t, routerASN, byHelm)
	objects := s.objects()
	target := filepath.Join(t.TempDir(), "lintel.yaml")
	if err := os.WriteFile(target, []byte(s.helm(append([]string{"template"}, chart()...)...)), 0o600); err != nil {
		t.Fatal(err)
	}
	s.mustMigrate("--manifests", target, "--yes", "--nodes", "none")
	out := s.helm("uninstall", "metallb", "--wait")
	if !strings.Contains(out, "ipaddresspools.metallb.io") {
		t.Errorf("Helm does not say that it keeps the definitions:\n%s", out)
	}
	if got := s.objects(); got != objects {
		t.Errorf("objects before\n%safter\n%s", objects, got)
	}
	for _, o := range strings.Fields(s.kubectl("get", "crd", "-o", "jsonpath={.items[*].metadata.deletionTimestamp}")) {
		t.Errorf("a definition is being deleted since %s", o)
	}
}

// pods are Lintel's, with their UIDs.
func (s *scene) pods() string {
	s.t.Helper()
	return s.kubectl("-n", install.Namespace, "get", "pods", "--sort-by=.metadata.name", "-o", "jsonpath={range .items[*]}{.metadata.name} {.metadata.uid}{'\\n'}{end}")
}
