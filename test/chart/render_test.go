package chart

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"helm.sh/helm/v4/pkg/chart/v2/lint"
	"helm.sh/helm/v4/pkg/chart/v2/lint/support"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/lintel-lb/lintel/test/chart/render"
)

func sorted(in []string) []string {
	in = slices.Clone(in)
	slices.Sort(in)
	return in
}

func TestLint(t *testing.T) {
	for name, values := range map[string]string{"default": "", "example": read(t, "testdata", "example-values.yaml"), "everything": everything} {
		t.Run(name, func(t *testing.T) {
			v, err := render.Values(values)
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range lint.RunAll(root+"/charts/lintel", v, render.Namespace).Messages {
				if m.Severity > support.InfoSev {
					t.Errorf("%v", m)
				}
			}
		})
	}
}

// everything turns on what is off by default, except for values that exclude each other.
const everything = `
imagePullSecrets: [{name: registry}]
loadBalancerClass: example.com/lintel
tls: {minVersion: VersionTLS12, cipherSuites: TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256, curvePreferences: "29,23", controllerMetricsTLSSecret: c, speakerMetricsTLSSecret: s}
prometheus:
  scrapeAnnotations: true
  serviceAccount: prometheus
  namespace: monitoring
  serviceMonitor: {enabled: true, interval: 30s, relabelings: [{action: labeldrop, regex: pod}], metricRelabelings: [{action: labeldrop, regex: endpoint}]}
  prometheusRule: {enabled: true, extraAlerts: [{alert: Mine, expr: up == 0}]}
networkpolicies: {enabled: true, defaultDeny: true}
controller: {extraContainers: [{name: more, image: "more:1"}], podAnnotations: {a: b}, resources: {limits: {memory: 1Gi}}}
speaker: {extraContainers: [{name: more, image: "more:1"}], podAnnotations: {a: b}, tolerations: [{operator: Exists}], secretName: mine}
`

func TestObjectsAreOfTheirTypes(t *testing.T) {
	podMonitor := strings.Replace(everything, "serviceMonitor", "podMonitor", 1)
	for name, values := range map[string]string{"default": "", "example": read(t, "testdata", "example-values.yaml"), "serviceMonitor": everything, "podMonitor": podMonitor} {
		t.Run(name, func(t *testing.T) {
			seen := map[string]bool{}
			for _, o := range objects(t, manifests(mustRender(t, lintel, values))) {
				id := strings.TrimSpace(names([]client.Object{o}))
				if seen[id] {
					t.Errorf("%s is there twice", id)
				}
				seen[id] = true
				if o.GetLabels()["app.kubernetes.io/managed-by"] != "Helm" {
					t.Errorf("%s has not the labels of the chart: %v", id, o.GetLabels())
				}
			}
			if len(seen) < 20 {
				t.Errorf("only %d objects", len(seen))
			}
		})
	}
}

// The names and selectors of a release of MetalLB's chart that was installed with these values.
func TestExampleValues(t *testing.T) {
	all := objects(t, manifests(mustRender(t, render.Release{Name: "metallb", Namespace: render.Namespace}, read(t, "testdata", "example-values.yaml"))))
	controller := find[*appsv1.Deployment](t, all, "metallb-controller")
	speaker := find[*appsv1.DaemonSet](t, all, "metallb-speaker")
	want := map[string]string{"app.kubernetes.io/name": "metallb", "app.kubernetes.io/instance": "metallb", "app.kubernetes.io/component": "speaker"}
	if diff := cmp.Diff(want, speaker.Spec.Selector.MatchLabels); diff != "" {
		t.Errorf("selector of the speaker (-want +got)\n%s", diff)
	}
	want["app.kubernetes.io/component"] = "controller"
	if diff := cmp.Diff(want, controller.Spec.Selector.MatchLabels); diff != "" {
		t.Errorf("selector of the controller (-want +got)\n%s", diff)
	}
	for _, c := range []corev1.Container{controller.Spec.Template.Spec.Containers[0], speaker.Spec.Template.Spec.Containers[0]} {
		if c.Image != "registry.example.internal/lintel:"+load(t).AppVersion() {
			t.Errorf("image %s", c.Image)
		}
	}
	if args := speaker.Spec.Template.Spec.Containers[0].Args; !slices.Contains(args, "--ignore-exclude-lb") {
		t.Errorf("arguments of the speaker: %q", args)
	}
}

func TestFullname(t *testing.T) {
	for _, tt := range []struct{ release, values, want string }{
		{"lintel", "", "lintel-speaker"},
		{"my-lintel", "", "my-lintel-speaker"},
		{"edge", "", "edge-lintel-speaker"},
		{"metallb", "nameOverride: metallb", "metallb-speaker"},
		{"edge", "nameOverride: metallb", "edge-metallb-speaker"},
		{"edge", "{nameOverride: metallb, fullnameOverride: lb}", "lb-speaker"},
		{strings.Repeat("r", 53), "", strings.Repeat("r", 53) + "-lintel-speaker"},
	} {
		all := objects(t, mustRender(t, render.Release{Name: tt.release, Namespace: "x"}, tt.values)["speaker.yaml"])
		find[*appsv1.DaemonSet](t, all, tt.want)
	}
}

// A version in a selector, or one that depends on anything but names, would make upgrades fail.
func TestSelectorsAreStable(t *testing.T) {
	selectors := func(values string, version string) (out []map[string]string) {
		c := load(t)
		c.Metadata.Version, c.Metadata.AppVersion = version, version
		v, err := render.Values(values)
		if err != nil {
			t.Fatal(err)
		}
		files, err := render.Chart(c, v, lintel)
		if err != nil {
			t.Fatal(err)
		}
		all := objects(t, files["controller.yaml"]+"\n---\n"+files["speaker.yaml"])
		return append(out, find[*appsv1.Deployment](t, all, "lintel-controller").Spec.Selector.MatchLabels,
			find[*appsv1.DaemonSet](t, all, "lintel-speaker").Spec.Selector.MatchLabels)
	}
	if diff := cmp.Diff(selectors("", "1.0.0"), selectors(strings.Replace(everything, "secretName: mine", "secretName: mine, labels: {more: labels}", 1), "2.0.0")); diff != "" {
		t.Errorf("selectors change with values or versions\n%s", diff)
	}
}

func TestDefinitionsAreKept(t *testing.T) {
	n := 0
	for _, o := range objects(t, mustRender(t, lintel, "")["crds.yaml"]) {
		crd := o.(*apiextensionsv1.CustomResourceDefinition)
		n++
		if crd.Annotations["helm.sh/resource-policy"] != "keep" {
			t.Errorf("%s goes when the release is uninstalled, and all objects with it", crd.Name)
		}
	}
	if n != 9 {
		t.Errorf("%d definitions", n)
	}
	if out := mustRender(t, lintel, "crds: {enabled: false}")["crds.yaml"]; strings.TrimSpace(out) != "" {
		t.Errorf("definitions although they are off:\n%s", out)
	}
}

// What Pods may do on a node is the least that is known to be enough.
func TestPodSecurity(t *testing.T) {
	all := objects(t, manifests(mustRender(t, lintel, "")))
	controller := find[*appsv1.Deployment](t, all, "lintel-controller").Spec.Template.Spec
	speaker := find[*appsv1.DaemonSet](t, all, "lintel-speaker").Spec.Template.Spec
	for name, pod := range map[string]corev1.PodSpec{"controller": controller, "speaker": speaker} {
		if pod.SecurityContext.SeccompProfile == nil || pod.SecurityContext.SeccompProfile.Type != corev1.SeccompProfileTypeRuntimeDefault {
			t.Errorf("%s: seccomp profile %v", name, pod.SecurityContext.SeccompProfile)
		}
		s := pod.Containers[0].SecurityContext
		if !*s.ReadOnlyRootFilesystem || *s.AllowPrivilegeEscalation || !slices.Equal(s.Capabilities.Drop, []corev1.Capability{"ALL"}) {
			t.Errorf("%s: %v", name, s)
		}
	}
	if !*controller.SecurityContext.RunAsNonRoot || len(controller.Containers[0].SecurityContext.Capabilities.Add) > 0 || controller.HostNetwork {
		t.Errorf("controller: %v", controller.SecurityContext)
	}
}

// Whether a network obeys policies is its own matter; these select the right Pods and ports.
func TestNetworkPolicies(t *testing.T) {
	values := "networkpolicies: {enabled: true, defaultDeny: true, apiPort: 8443}\nprometheus: {metricsPort: 9999}"
	all := objects(t, manifests(mustRender(t, lintel, values)))
	policy := find[*networkingv1.NetworkPolicy](t, all, "lintel-controller").Spec
	pod := find[*appsv1.Deployment](t, all, "lintel-controller").Spec.Template
	selector, err := metav1.LabelSelectorAsSelector(&policy.PodSelector)
	if err != nil {
		t.Fatal(err)
	}
	if !selector.Matches(labels.Set(pod.Labels)) {
		t.Errorf("%v does not select %v", selector, pod.Labels)
	}
	var in, out []int32
	for _, p := range policy.Ingress[0].Ports {
		in = append(in, p.Port.IntVal)
	}
	for _, p := range policy.Egress[0].Ports {
		out = append(out, p.Port.IntVal)
	}
	var open []int32
	for _, p := range pod.Spec.Containers[0].Ports {
		open = append(open, p.ContainerPort)
	}
	if !slices.Equal(in, open) || !slices.Equal(out, []int32{8443}) {
		t.Errorf("let in %v of the open %v, and out %v", in, open, out)
	}
	deny := find[*networkingv1.NetworkPolicy](t, all, "lintel-default-deny").Spec
	if len(deny.PodSelector.MatchLabels) > 0 || len(deny.PolicyTypes) != 2 || len(deny.Ingress)+len(deny.Egress) > 0 {
		t.Errorf("default deny is %v", deny)
	}
}

// Where metrics are served to anybody, the policy lets anybody in; on loopback there is nobody to let in.
func TestNetworkPolicyOfPlainMetrics(t *testing.T) {
	for address, want := range map[string]bool{":7472": true, "[::]:7472": true, "10.0.0.1:7472": true, "127.0.0.1:7472": false, "[::1]:7472": false, "localhost:7472": false} {
		values := "networkpolicies: {enabled: true}\nprometheus: {metricsHTTPAddress: '" + address + "'}"
		policy := find[*networkingv1.NetworkPolicy](t, objects(t, manifests(mustRender(t, lintel, values))), "lintel-controller").Spec
		got := slices.ContainsFunc(policy.Ingress[0].Ports, func(p networkingv1.NetworkPolicyPort) bool { return p.Port.IntVal == 7472 })
		if got != want {
			t.Errorf("%s: let in %t", address, got)
		}
	}
}

// The label of a session is the address of the router, and the plugin knows names of BGPPeers.
func TestAlertOfSessionsNamesNoCommandThatFails(t *testing.T) {
	if text := manifests(mustRender(t, lintel, alerts)); !strings.Contains(text, "MetalLBBGPSessionDown") || strings.Contains(text, "--peer {{") {
		t.Errorf("an alert tells people to ask for a BGPPeer by an address\n%s", text)
	}
}
