package takeover

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/lintel-lb/lintel/lab/e2e/install"
	"github.com/lintel-lb/lintel/lab/labtest"
	"github.com/lintel-lb/lintel/lab/probe"
)

// version is that of the MetalLB which is taken over.
const version = "v0.16.1"

const (
	near, far = "c1", "f1"
	soon      = 30 * time.Second
	// takeOverTime bounds one run of the verb.
	takeOverTime = 5 * time.Minute
)

const config = `
apiVersion: metallb.io/v1beta1
kind: IPAddressPool
metadata: {name: lan, namespace: metallb-system}
spec: {addresses: ['{{.Pool4}}', '{{.Pool6}}'], autoAssign: false}
---
apiVersion: metallb.io/v1beta1
kind: L2Advertisement
metadata: {name: lan, namespace: metallb-system}
spec: {ipAddressPools: [lan]}
---
apiVersion: metallb.io/v1beta1
kind: IPAddressPool
metadata: {name: routed, namespace: metallb-system}
spec: {addresses: ['{{.Routed4}}'], autoAssign: false}
---
apiVersion: metallb.io/v1beta1
kind: BGPAdvertisement
metadata: {name: routed, namespace: metallb-system}
spec: {ipAddressPools: [routed]}
---
apiVersion: metallb.io/v1beta2
kind: BGPPeer
metadata: {name: tor, namespace: metallb-system}
spec: {myASN: 65007, peerASN: {{.Vars.ASN}}, peerAddress: 10.89.0.1}
`

const deadPeer = `
apiVersion: metallb.io/v1beta2
kind: BGPPeer
metadata: {name: dead, namespace: metallb-system}
spec: {myASN: 65007, peerASN: 65000, peerAddress: 10.89.0.9}
`

const service = `
apiVersion: v1
kind: Service
metadata: {name: '{{.Vars.Name}}', annotations: {metallb.io/address-pool: {{.Vars.Pool}}}}
spec:
  type: LoadBalancer
  ipFamilyPolicy: {{.Vars.Families}}
  selector: {app: web}
  ports: [{name: http, port: 80, targetPort: 80}]
`

const frr = `
router bgp %d
 bgp router-id 10.89.0.1
 no bgp ebgp-requires-policy
 no bgp default ipv4-unicast
 bgp bestpath as-path multipath-relax
 neighbor NODES peer-group
 neighbor NODES remote-as 65007
 bgp listen range 10.89.0.0/24 peer-group NODES
 address-family ipv4 unicast
  maximum-paths 8
  maximum-paths ibgp 8
  neighbor NODES activate
 exit-address-family
exit
`

// scene is a cluster with MetalLB, a router, Services and their addresses.
type scene struct {
	*labtest.Env
	t testing.TB
	// metallb is the directory of MetalLB's module, with its manifests and its chart.
	metallb string
	// layer2 are the first addresses of the Services of pool lan, and second their second ones
	// by the first; routed is that of the Service of pool routed.
	layer2 []netip.Addr
	second map[netip.Addr]netip.Addr
	routed netip.Addr
}

// metalLB is the directory of its module.
func metalLB(t testing.TB) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", "list", "-m", "-f", "{{.Dir}}", "go.universe.tf/metallb")
	cmd.Dir = filepath.Join(install.Root(), "lab", "parts", "metallb")
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(out))
}

func (s *scene) manifests() string {
	return filepath.Join(s.metallb, "config", "manifests", "metallb-native.yaml")
}

// newScene installs MetalLB with install, configures it, and waits until all is announced. asn is the router's.
func newScene(t testing.TB, asn int, installs func(*scene)) *scene {
	s := &scene{Env: labtest.New(t), t: t, metallb: metalLB(t), second: map[netip.Addr]netip.Addr{}}
	router := s.Lab.Router()
	if err := router.StartFRR(t.Context(), fmt.Sprintf(frr, asn)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), soon)
		defer cancel()
		if err := router.StopFRR(ctx); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(s.clear)
	installs(s)
	s.rollout("deployment/"+s.find("deployment", "controller"), "daemonset/"+s.find("daemonset", "speaker"))
	s.Page("web", 3)
	s.Eventually("the configuration is taken", 2*time.Minute, func(context.Context) error {
		return s.TryApply(config, map[string]any{"ASN": asn})
	})
	for i := range 4 {
		families := "SingleStack"
		if i > 1 {
			families = "RequireDualStack"
		}
		addrs := s.service(fmt.Sprintf("lan%d", i), "lan", families)
		s.layer2 = append(s.layer2, addrs[0])
		if len(addrs) > 1 {
			s.second[addrs[0]] = addrs[1]
		}
	}
	s.routed = s.service("routed", "routed", "SingleStack")[0]
	s.Eventually("everything is announced", time.Minute, func(ctx context.Context) error {
		return errors.Join(s.oneAnswers(ctx), s.paths(ctx, 3))
	})
	return s
}

// service makes a Service and gives its addresses.
func (s *scene) service(name, pool, families string) (addrs []netip.Addr) {
	s.t.Helper()
	s.Apply(service, map[string]any{"Name": name, "Pool": pool, "Families": families})
	s.Eventually("Service "+name+" has its addresses", soon, func(ctx context.Context) error {
		addrs = s.addresses(ctx, name)
		if len(addrs) == 0 {
			return errors.New("none")
		}
		return nil
	})
	return addrs
}

func (s *scene) addresses(ctx context.Context, name string) (out []netip.Addr) {
	s.t.Helper()
	var svc corev1.Service
	if err := s.Client.Get(ctx, client.ObjectKey{Namespace: s.Namespace, Name: name}, &svc); err != nil {
		s.t.Fatal(err)
	}
	for _, in := range svc.Status.LoadBalancer.Ingress {
		out = append(out, netip.MustParseAddr(in.IP))
	}
	return out
}

// kubectl runs kubectl against the lab, which must succeed.
func (s *scene) kubectl(args ...string) string {
	s.t.Helper()
	out, err := s.Lab.Kubectl(s.t.Context(), nil, args...)
	if err != nil {
		s.t.Fatalf("kubectl %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

func (s *scene) rollout(what ...string) {
	s.t.Helper()
	for _, w := range what {
		s.kubectl("-n", install.Namespace, "rollout", "status", w, "--timeout=120s")
	}
}

// find gives the name of the workload of a part.
func (s *scene) find(kind, part string) string {
	s.t.Helper()
	for name := range strings.FieldsSeq(s.kubectl("-n", install.Namespace, "get", kind, "-o", "jsonpath={.items[*].metadata.name}")) {
		if strings.HasSuffix(name, part) {
			return name
		}
	}
	s.t.Fatalf("no %s of the %s", kind, part)
	return ""
}

// plain installs MetalLB from its manifests.
func plain(s *scene) {
	s.t.Helper()
	s.kubectl("apply", "-f", s.manifests())
}

// byHelm installs MetalLB with its chart, as release metallb.
func byHelm(s *scene) {
	s.t.Helper()
	s.helm("install", "metallb", filepath.Join(s.metallb, "charts", "metallb"), "--create-namespace", "--set", "frrk8s.enabled=false")
	// As its documentation asks for.
	s.kubectl("label", "namespace", install.Namespace, "pod-security.kubernetes.io/enforce=privileged")
}

// helm runs Helm in MetalLB's namespace, which must succeed.
func (s *scene) helm(args ...string) string {
	s.t.Helper()
	cmd, err := s.Lab.Command(s.t.Context(), "cp", append([]string{helmBinary, "--kubeconfig", s.Lab.Kubeconfig(), "--namespace", install.Namespace}, args...)...)
	if err != nil {
		s.t.Fatal(err)
	}
	dir := s.t.TempDir()
	cmd.Env = append(os.Environ(), "HOME="+dir, "XDG_CACHE_HOME="+dir, "XDG_CONFIG_HOME="+dir, "XDG_DATA_HOME="+dir)
	out, err := cmd.CombinedOutput()
	if err != nil {
		s.t.Fatalf("helm %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

// chart gives the arguments that name Lintel's chart and the image in the lab.
func chart() []string {
	repository, tag, _ := strings.Cut(install.Ref, ":")
	var sets []string
	for _, part := range []string{"controller", "speaker"} {
		sets = append(sets, part+".image.repository="+repository, part+".image.tag="+tag)
	}
	return []string{"lintel", filepath.Join(install.Root(), "charts", "lintel"), "--set", strings.Join(sets, ",")}
}

// clear removes everything of both, for the next test.
func (s *scene) clear() {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(s.t.Context()), 3*time.Minute)
	defer cancel()
	run := func(args ...string) {
		if out, err := s.Lab.Kubectl(ctx, nil, args...); err != nil {
			s.t.Errorf("kubectl %s: %v\n%s", strings.Join(args, " "), err, out)
		}
	}
	run("delete", "validatingwebhookconfigurations", "metallb-webhook-configuration", "--ignore-not-found")
	run("-n", install.Namespace, "delete", "all,cm,secret,role,rolebinding,sa", "--all", "--ignore-not-found")
	run("delete", "clusterrole,clusterrolebinding", "metallb:controller", "metallb:speaker",
		"lintel:controller", "lintel:speaker", "lintel:inspector", "--ignore-not-found")
	run("delete", "--ignore-not-found", "-f", targetFile)
	run("delete", "--ignore-not-found", "-f", s.manifests())
	run("label", "nodes", "--all", "lintel.dev/taken-over-", "node.kubernetes.io/exclude-from-external-load-balancers-")
}

// verb is a run of the verb, and what it prints.
func (s *scene) verb(ctx context.Context, args ...string) (*exec.Cmd, *bytes.Buffer) {
	s.t.Helper()
	cmd, err := s.Lab.Command(ctx, "cp", append([]string{lintelBinary, "--kubeconfig", s.Lab.Kubeconfig(), "migrate", "metallb"}, args...)...)
	if err != nil {
		s.t.Fatal(err)
	}
	out := &bytes.Buffer{}
	cmd.Stdout, cmd.Stderr = out, out
	return cmd, out
}

// migrate runs the verb, and returns what it prints.
func (s *scene) migrate(args ...string) (string, error) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), takeOverTime)
	defer cancel()
	cmd, out := s.verb(ctx, args...)
	begin := time.Now()
	err := cmd.Run()
	s.t.Logf("lintel migrate metallb %s: %s, %v\n%s", strings.Join(args, " "), time.Since(begin).Round(time.Millisecond), err, out.String())
	return out.String(), err
}

func (s *scene) mustMigrate(args ...string) string {
	s.t.Helper()
	out, err := s.migrate(args...)
	if err != nil {
		s.t.Fatal(err)
	}
	return out
}

// breakOff runs the verb and kills it once Lintel's DaemonSet is held.
func (s *scene) breakOff(args ...string) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), takeOverTime)
	defer cancel()
	cmd, out := s.verb(ctx, args...)
	if err := cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	s.Eventually("Lintel's DaemonSet is held", takeOverTime, func(context.Context) error {
		if got := s.kubectl("-n", install.Namespace, "get", "ds", "speaker", "-o", "jsonpath={.spec.updateStrategy.type}"); got != "OnDelete" {
			return fmt.Errorf("its update strategy is %s", got)
		}
		return nil
	})
	cancel()
	err := cmd.Wait()
	s.t.Logf("lintel migrate metallb %s: broken off, %v\n%s", strings.Join(args, " "), err, out.String())
	if err == nil {
		s.t.Fatal("the verb had ended")
	}
}

// speakers gives the UIDs of Lintel's speakers by node.
func (s *scene) speakers() map[string]string {
	s.t.Helper()
	out := map[string]string{}
	for line := range strings.Lines(s.kubectl("-n", install.Namespace, "get", "pods", "-l", "app=metallb,component=speaker", "-o", "jsonpath={range .items[*]}{.spec.nodeName} {.metadata.uid}{'\\n'}{end}")) {
		node, uid, _ := strings.Cut(strings.TrimSpace(line), " ")
		out[node] += uid
	}
	return out
}

// oneAnswers sees that each address on the segment is answered by one host.
func (s *scene) oneAnswers(ctx context.Context) error {
	var errs []error
	for _, a := range s.all() {
		hosts, err := s.Answerers(ctx, near, a)
		if err == nil && len(hosts) != 1 {
			err = fmt.Errorf("%s is answered by %v", a, hosts)
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// all are all addresses on the segment.
func (s *scene) all() []netip.Addr {
	out := slices.Clone(s.layer2)
	for _, a := range s.second {
		out = append(out, a)
	}
	slices.SortFunc(out, netip.Addr.Compare)
	return out
}

// paths sees over how many nodes the router reaches the routed address.
func (s *scene) paths(ctx context.Context, want int) error {
	out, err := s.Lab.Router().Vtysh(ctx, fmt.Sprintf("show ip route %s/32 json", s.routed))
	if err != nil {
		return err
	}
	var routes map[string][]struct {
		Nexthops []struct {
			FIB bool `json:"fib"`
		} `json:"nexthops"`
	}
	if err := json.Unmarshal(out, &routes); err != nil {
		return fmt.Errorf("%w: %s", err, out)
	}
	n := 0
	for _, rs := range routes {
		for _, r := range rs {
			for _, h := range r.Nexthops {
				if h.FIB {
					n++
				}
			}
		}
	}
	if n != want {
		return fmt.Errorf("the router reaches %s over %d nodes, want %d", s.routed, n, want)
	}
	return nil
}

// load asks all Services all the time. stop gives the reports, by Service.
func (s *scene) load() (stop func() map[string]probe.Report) {
	s.t.Helper()
	probes := map[string]*probe.Probe{}
	start := func(name, host string, a netip.Addr) {
		probes[name] = s.Probe(host, probe.Options{URL: "http://" + a.String() + "/", Interval: 20 * time.Millisecond, Timeout: time.Second})
	}
	start("layer 2, "+s.layer2[0].String(), near, s.layer2[0])
	start("layer 2, "+s.layer2[2].String(), near, s.layer2[2])
	start("BGP, "+s.routed.String(), far, s.routed)
	return func() map[string]probe.Report {
		out := map[string]probe.Report{}
		for name, p := range probes {
			out[name] = p.Stop()
		}
		return out
	}
}

// openAtMoves is how many requests of a run may be under way in the very moment in which their
// packets go to another node, which does not know them and resets them: where an address moves by
// layer 2, or the router spreads connections anew because the set of nodes has changed. Each change
// takes a millisecond or so, of thousands of requests.
const openAtMoves = 3

// lossless says what was lost, and fails if anything was but connections that were open at a move.
func (s *scene) lossless(reports map[string]probe.Report) {
	s.t.Helper()
	for name, r := range reports {
		s.t.Logf("%s: %d requests in %s, %d lost, slowest %s, tainted %v", name, r.Attempts, r.Lasted.Round(time.Second), len(r.Failures), r.Latency.Max.Round(time.Millisecond), r.Tainted)
		if r.Lost(openAtMoves) == 0 {
			continue
		}
		for _, g := range r.Gaps {
			s.t.Errorf("%s: %d requests lost in %s, %v, answered by %v before and %v after", name, g.Failures, g.Length.Round(time.Millisecond), g.Reasons, g.Before, g.After)
		}
	}
}

// objects are the user's objects, with their UIDs.
func (s *scene) objects() string {
	s.t.Helper()
	return s.kubectl("-n", install.Namespace, "get", "ipaddresspools,l2advertisements,bgpadvertisements,bgppeers", "-o",
		"jsonpath={range .items[*]}{.kind}/{.metadata.name} {.metadata.uid} {.metadata.generation}{'\\n'}{end}")
}

// byAddress is every Service with its addresses.
func (s *scene) byAddress() string {
	s.t.Helper()
	return s.kubectl("-n", s.Namespace, "get", "services", "-o", "jsonpath={range .items[*]}{.metadata.name} {.status.loadBalancer.ingress}{'\\n'}{end}")
}

// of are all addresses of the Service with this first one.
func (s *scene) of(first netip.Addr) []netip.Addr {
	if second, ok := s.second[first]; ok {
		return []netip.Addr{first, second}
	}
	return []netip.Addr{first}
}
