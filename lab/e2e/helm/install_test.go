package helm

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/lintel-lb/lintel/lab/e2e/install"
)

// enough bounds an installation on a busy machine. BenchmarkFreshInstall measures it.
const enough = time.Minute

// timings of an installation, all from its begin.
type timings struct{ installed, applied, answered time.Duration }

// fresh installs with one command, applies the user's manifests with the next, and waits for
// the first page. Nothing is tried twice, and kubectl knows nothing from before.
func (c *cluster) fresh(installation func(cache string)) timings {
	c.t.Helper()
	cache := "--cache-dir=" + c.t.TempDir()
	var t timings
	begin := time.Now()
	installation(cache)
	t.installed = time.Since(begin)
	c.kubectl(c.manifests(), "apply", cache, "--filename", "-")
	t.applied = time.Since(begin)
	c.served()
	t.answered = time.Since(begin)
	if t.answered > enough {
		c.t.Errorf("the first page came after %v", t.answered)
	}
	return t
}

func (c *cluster) withHelm(string) { c.t.Helper(); c.helm(upgradeArgs()...) }

func (c *cluster) withKubectl(cache string) {
	c.t.Helper()
	c.kubectl("", "apply", cache, "--filename", filepath.Join(install.Root(), "config", "lintel.yaml"))
}

func TestInstallWithHelm(t *testing.T) {
	c := newCluster(t)
	c.fresh(c.withHelm)
	for _, name := range []string{"deployment/metallb-controller", "daemonset/metallb-speaker"} {
		c.kubectl("", "--namespace", install.Namespace, "rollout", "status", name, "--timeout=90s")
	}
	if out := c.helm("get", "notes", release); strings.Contains(out, "VALUES WITHOUT EFFECT") || !strings.Contains(out, "kind: IPAddressPool") {
		t.Errorf("notes:\n%s", out)
	}
}

func TestInstallWithKubectl(t *testing.T) {
	c := newCluster(t)
	c.fresh(c.withKubectl)
}

// kubectl looks up the kinds of all objects before it applies the first one. So it takes objects
// of definitions that are in the same call where it remembers the kinds, from MetalLB or from an
// earlier installation, and else installs everything but them.
func TestOneApplyOfEverything(t *testing.T) {
	c := newCluster(t)
	cache := "--cache-dir=" + t.TempDir()
	everything := func() (string, error) {
		return c.run(c.manifests(), "kubectl", "apply", cache, "--filename", filepath.Join(install.Root(), "config", "lintel.yaml"), "--filename", "-")
	}
	out, err := everything()
	if err == nil {
		t.Fatalf("kubectl has learnt to apply definitions and their objects in one call: say so in the documentation\n%s", out)
	}
	for _, kind := range []string{"IPAddressPool", "L2Advertisement"} {
		if !strings.Contains(out, `no matches for kind "`+kind+`"`) {
			t.Errorf("nothing is said of %s:\n%s", kind, out)
		}
	}
	if out, err := everything(); err != nil {
		t.Errorf("a second time: %v\n%s", err, out)
	}
	c.served()

	c.reset()
	if out, err := everything(); err != nil {
		t.Errorf("kubectl remembers the kinds, and still: %v\n%s", err, out)
	}
	c.served()
}

// A value that is wrong is named, and nothing is installed.
func TestWrongValues(t *testing.T) {
	c := newCluster(t)
	for _, tt := range []struct{ set, want string }{
		{"controller.imge.tag=x", "imge"},
		{"speaker.logLevel=loud", "/speaker/logLevel"},
		{"speaker.memberlist.mlBindPort=70000", "/speaker/memberlist/mlBindPort"},
		{"speaker.readinessProbe.port=17473", "speaker.readinessProbe.port"},
	} {
		out, err := c.tryHelm(upgradeArgs("--set", tt.set)...)
		if err == nil || !strings.Contains(out, tt.want) {
			t.Errorf("%s: %v, and nothing of %s in\n%s", tt.set, err, tt.want, out)
		}
	}
	if out := c.kubectl("", "--namespace", install.Namespace, "get", "deployments,daemonsets,secrets", "--output=name", "--ignore-not-found"); out != "" {
		t.Errorf("there is %s", out)
	}
	// Values of MetalLB's chart without effect are named, and do not stop anybody.
	out := c.helm(upgradeArgs("--set", "speaker.frr.enabled=false,frrk8s.enabled=true")...)
	for _, want := range []string{"speaker.frr:", "frrk8s:", "speaks BGP itself"} {
		if !strings.Contains(out, want) {
			t.Errorf("%q is not in the notes\n%s", want, out)
		}
	}
}

// BenchmarkFreshInstall measures from the command that installs to the first page, with the
// images on the nodes.
func BenchmarkFreshInstall(b *testing.B) {
	const runs = 5
	for _, tool := range []string{"helm", "kubectl"} {
		b.Run(tool, func(b *testing.B) {
			var total time.Duration
			for range b.N {
				for i := range runs {
					c := newCluster(b)
					with := c.withHelm
					if tool == "kubectl" {
						with = c.withKubectl
					}
					t := c.fresh(with)
					b.Logf("run %d: installed %.1f s, manifests applied %.1f s, first page %.1f s, %.1f s after the apply",
						i+1, t.installed.Seconds(), t.applied.Seconds(), t.answered.Seconds(), (t.answered - t.applied).Seconds())
					total += t.answered
					c.reset()
				}
			}
			b.ReportMetric(total.Seconds()/float64(runs*b.N), "s/install")
			b.ReportMetric(0, "ns/op")
		})
	}
}
