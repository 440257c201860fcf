package chart

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"

	"github.com/lintel-lb/lintel/test/chart/render"
)

// other is another value for each one of the chart, and what must be set besides for it to
// have an effect. A value that changes nothing is a promise that is not kept.
var other = map[string][2]string{
	"imagePullSecrets":                                            {`[{name: registry}]`},
	"nameOverride":                                                {`metallb`},
	"fullnameOverride":                                            {`metallb`},
	"loadBalancerClass":                                           {`example.com/lintel`},
	"rbac.create":                                                 {`false`},
	"inspector.create":                                            {`false`},
	"tls.minVersion":                                              {`VersionTLS12`},
	"tls.cipherSuites":                                            {`TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256`, `tls: {minVersion: VersionTLS12}`},
	"tls.curvePreferences":                                        {`"29,23"`},
	"tls.controllerMetricsTLSSecret":                              {`cert`},
	"tls.speakerMetricsTLSSecret":                                 {`cert`},
	"prometheus.scrapeAnnotations":                                {`true`},
	"prometheus.metricsPort":                                      {`9999`},
	"prometheus.metricsHTTPAddress":                               {`"127.0.0.1:7472"`},
	"prometheus.rbacPrometheus":                                   {`false`, serviceMonitor},
	"prometheus.serviceAccount":                                   {`another`, serviceMonitor},
	"prometheus.namespace":                                        {`another`, serviceMonitor},
	"prometheus.podMonitor.enabled":                               {`true`, `prometheus: {serviceAccount: p, namespace: m}`},
	"prometheus.podMonitor.additionalLabels":                      {`{a: b}`, podMonitor},
	"prometheus.podMonitor.annotations":                           {`{a: b}`, podMonitor},
	"prometheus.podMonitor.jobLabel":                              {`app.kubernetes.io/instance`, podMonitor},
	"prometheus.podMonitor.interval":                              {`30s`, podMonitor},
	"prometheus.podMonitor.metricRelabelings":                     {`[{action: labeldrop, regex: x}]`, podMonitor},
	"prometheus.podMonitor.relabelings":                           {`[{action: labeldrop, regex: x}]`, podMonitor},
	"prometheus.serviceMonitor.enabled":                           {`true`, `prometheus: {serviceAccount: p, namespace: m}`},
	"prometheus.serviceMonitor.controller.additionalLabels":       {`{a: b}`, serviceMonitor},
	"prometheus.serviceMonitor.controller.annotations":            {`{a: b}`, serviceMonitor},
	"prometheus.serviceMonitor.controller.tlsConfig":              {`{serverName: x}`, serviceMonitor},
	"prometheus.serviceMonitor.speaker.additionalLabels":          {`{a: b}`, serviceMonitor},
	"prometheus.serviceMonitor.speaker.annotations":               {`{a: b}`, serviceMonitor},
	"prometheus.serviceMonitor.speaker.tlsConfig":                 {`{serverName: x}`, serviceMonitor},
	"prometheus.serviceMonitor.jobLabel":                          {`app.kubernetes.io/instance`, serviceMonitor},
	"prometheus.serviceMonitor.interval":                          {`30s`, serviceMonitor},
	"prometheus.serviceMonitor.metricRelabelings":                 {`[{action: labeldrop, regex: x}]`, serviceMonitor},
	"prometheus.serviceMonitor.relabelings":                       {`[{action: labeldrop, regex: x}]`, serviceMonitor},
	"prometheus.prometheusRule.enabled":                           {`true`},
	"prometheus.prometheusRule.additionalLabels":                  {`{a: b}`, alerts},
	"prometheus.prometheusRule.annotations":                       {`{a: b}`, alerts},
	"prometheus.prometheusRule.staleConfig.enabled":               {`false`, alerts},
	"prometheus.prometheusRule.staleConfig.labels":                {`{a: b}`, alerts},
	"prometheus.prometheusRule.configNotLoaded.enabled":           {`false`, alerts},
	"prometheus.prometheusRule.configNotLoaded.labels":            {`{a: b}`, alerts},
	"prometheus.prometheusRule.addressPoolExhausted.enabled":      {`false`, alerts},
	"prometheus.prometheusRule.addressPoolExhausted.labels":       {`{a: b}`, alerts},
	"prometheus.prometheusRule.addressPoolExhausted.excludePools": {`test-.*`, alerts},
	"prometheus.prometheusRule.addressPoolUsage.enabled":          {`false`, alerts},
	"prometheus.prometheusRule.addressPoolUsage.thresholds":       {`[{percent: 50, labels: {severity: info}}]`, alerts},
	"prometheus.prometheusRule.addressPoolUsage.excludePools":     {`test-.*`, alerts},
	"prometheus.prometheusRule.bgpSessionDown.enabled":            {`false`, alerts},
	"prometheus.prometheusRule.bgpSessionDown.labels":             {`{a: b}`, alerts},
	"prometheus.prometheusRule.extraAlerts":                       {`[{alert: Mine, expr: up == 0}]`, alerts},
	"controller.replicas":                                         {`2`},
	"controller.strategy":                                         {`{type: Recreate}`},
	"speaker.tolerateMaster":                                      {`false`},
	"speaker.ignoreExcludeLB":                                     {`true`},
	"speaker.dataplaneCheckURL":                                   {`http://127.0.0.1:10256/healthz`},
	"speaker.secretName":                                          {`mine`},
	"speaker.wanConfig":                                           {`true`},
	"speaker.memberlist.enabled":                                  {`false`},
	"speaker.memberlist.mlBindPort":                               {`7947`},
	"speaker.memberlist.mlBindAddrOverride":                       {`"::"`},
	"speaker.excludeInterfaces.enabled":                           {`false`},
	"speaker.excludeInterfaces.patterns":                          {`["^wg.*"]`},
	"speaker.stateDir":                                            {`/srv/lintel`},
	"speaker.updateStrategy":                                      {`{type: OnDelete}`},
	"crds.enabled":                                                {`false`},
	"networkpolicies.enabled":                                     {`true`},
	"networkpolicies.defaultDeny":                                 {`true`, `networkpolicies: {enabled: true}`},
	"networkpolicies.apiPort":                                     {`443`, `networkpolicies: {enabled: true}`},
}

const (
	serviceMonitor = `prometheus: {serviceAccount: p, namespace: m, serviceMonitor: {enabled: true}}`
	podMonitor     = `prometheus: {serviceAccount: p, namespace: m, podMonitor: {enabled: true}}`
	alerts         = `prometheus: {prometheusRule: {enabled: true}}`
)

// otherOfPart is the same for the values that controller and speaker both have.
var otherOfPart = map[string][2]string{
	"enabled":                    {`false`},
	"logLevel":                   {`debug`},
	"extraArgs":                  {`[--pprof-bind-address=127.0.0.1:6060]`},
	"image.repository":           {`registry.example/lintel`},
	"image.tag":                  {`v9`},
	"image.pullPolicy":           {`Always`},
	"serviceAccount.create":      {`false`},
	"serviceAccount.name":        {`mine`},
	"serviceAccount.annotations": {`{a: b}`},
	"securityContext":            {`{supplementalGroups: [1]}`},
	"resources":                  {`{limits: {memory: 1Gi}}`},
	"nodeSelector":               {`{a: b}`},
	"tolerations":                {`[{operator: Exists}]`},
	"priorityClassName":          {`system-node-critical`},
	"runtimeClassName":           {`kata`},
	"affinity":                   {`{nodeAffinity: {}}`},
	"podAnnotations":             {`{a: b}`},
	"labels":                     {`{a: b}`},
	"extraContainers":            {`[{name: more, image: "more:1"}]`},
}

func changes() map[string][2]string {
	all := maps.Clone(other)
	for _, part := range []string{"controller", "speaker"} {
		for name, v := range otherOfPart {
			all[part+"."+name] = v
		}
		for _, probe := range []string{"livenessProbe", "readinessProbe"} {
			prefix := part + "." + probe + "."
			for _, name := range []string{"failureThreshold", "initialDelaySeconds", "periodSeconds", "successThreshold", "timeoutSeconds"} {
				all[prefix+name] = [2]string{"77"}
			}
			all[prefix+"enabled"] = [2]string{"false"}
			sibling := map[string]string{"livenessProbe": "readinessProbe", "readinessProbe": "livenessProbe"}[probe]
			all[prefix+"port"] = [2]string{"17473", fmt.Sprintf("%s: {%s: {enabled: false}}", part, sibling)}
		}
	}
	return all
}

// set makes values with one more at a path.
func set(t *testing.T, base, path, value string) string {
	t.Helper()
	v, err := render.Values(base)
	if err != nil {
		t.Fatal(err)
	}
	var leaf any
	if err := yaml.Unmarshal([]byte(value), &leaf); err != nil {
		t.Fatal(err)
	}
	at, keys := v, strings.Split(path, ".")
	for _, k := range keys[:len(keys)-1] {
		below, ok := at[k].(map[string]any)
		if !ok {
			below = map[string]any{}
			at[k] = below
		}
		at = below
	}
	at[keys[len(keys)-1]] = leaf
	b, err := yaml.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestEveryValueHasAnEffect(t *testing.T) {
	documented, err := render.Documented([]byte(read(t, root, "charts", "lintel", "values.yaml")))
	if err != nil {
		t.Fatal(err)
	}
	values := changes()
	for _, v := range documented {
		change, ok := values[v.Path]
		if !ok {
			t.Errorf("%s: nothing is known to change it to", v.Path)
			continue
		}
		delete(values, v.Path)
		t.Run(v.Path, func(t *testing.T) {
			before := mustRender(t, lintel, change[1])
			after := mustRender(t, lintel, set(t, change[1], v.Path, change[0]))
			if manifests(before) == "" || cmp.Equal(before, after) {
				t.Errorf("%s: %s changes nothing", v.Path, change[0])
			}
			objects(t, manifests(after))
		})
	}
	for path := range values {
		t.Errorf("%s is not a value of the chart", path)
	}
}

// The schema knows what values.yaml has, and what it accepts besides is named in the notes.
func TestSchemaKnowsTheValues(t *testing.T) {
	documented, err := render.Documented([]byte(read(t, root, "charts", "lintel", "values.yaml")))
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]bool{"global": true, "configInline": true}
	for _, v := range documented {
		want[v.Path] = true
	}
	obsolete, err := render.ObsoleteValues(root)
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range obsolete {
		want[o.Value] = true
	}
	var schema node
	if err := json.Unmarshal([]byte(read(t, root, "charts", "lintel", "values.schema.json")), &schema); err != nil {
		t.Fatal(err)
	}
	defs := schema.Defs
	got := map[string]bool{}
	schema.leaves(t, "", defs, want, got)
	if diff := cmp.Diff(slices.Sorted(maps.Keys(want)), slices.Sorted(maps.Keys(got))); diff != "" {
		t.Errorf("values and schema differ (-values +schema)\n%s", diff)
	}
}

// node is what matters here of a JSON schema.
type node struct {
	Ref        string          `json:"$ref"`
	Defs       map[string]node `json:"$defs"`
	Properties map[string]node `json:"properties"`
	Additional any             `json:"additionalProperties"`
}

// leaves collects paths, down to those in stop.
func (n node) leaves(t *testing.T, path string, defs map[string]node, stop, out map[string]bool) {
	if n.Ref != "" {
		n = defs[strings.TrimPrefix(n.Ref, "#/$defs/")]
	}
	if stop[path] || len(n.Properties) == 0 {
		out[path] = true
		return
	}
	if n.Additional != false {
		t.Errorf("%s: the schema lets unknown values pass", path)
	}
	for name, below := range n.Properties {
		below.leaves(t, strings.TrimPrefix(path+"."+name, "."), defs, stop, out)
	}
}

// A value of null takes the default away, and the schema lets it pass.
func TestValuesOfNull(t *testing.T) {
	for _, tt := range []struct{ values, without string }{
		{`controller: {securityContext: null}`, "runAsNonRoot"},
		{`speaker: {securityContext: null}`, "supplementalGroups"},
		{`speaker: {stateDir: null}`, "nil"},
	} {
		part, _, _ := strings.Cut(tt.values, ":")
		text := mustRender(t, lintel, tt.values)[part+".yaml"]
		objects(t, text)
		if strings.Contains(text, tt.without) {
			t.Errorf("%s: there is %q in\n%s", tt.values, tt.without, text)
		}
	}
	if text := mustRender(t, lintel, `speaker: {stateDir: null}`)["speaker.yaml"]; !strings.Contains(text, `- "--state-dir="`) || strings.Contains(text, "name: state") {
		t.Errorf("a stateDir of null keeps a copy\n%s", text)
	}
}

// Whoever sets a wrong value is told which.
func TestWrongValues(t *testing.T) {
	for _, tt := range []struct{ values, want string }{
		{`controler: {}`, "controler"},
		{`controller: {imge: {tag: x}}`, "imge"},
		{`controller: {image: {repository: 7}}`, "/controller/image/repository"},
		{`speaker: {logLevel: loud}`, "/speaker/logLevel"},
		{`speaker: {memberlist: {mlBindPort: 70000}}`, "/speaker/memberlist/mlBindPort"},
		{`speaker: {ignoreExcludeLB: "yes"}`, "/speaker/ignoreExcludeLB"},
		{`speaker: {excludeInterfaces: {patterns: ["("]}}`, "speaker.excludeInterfaces.patterns"},
		{`tls: {minVersion: TLS1.2}`, "/tls/minVersion"},
		{`prometheus: {prometheusRule: {addressPoolUsage: {thresholds: [{percent: 101}]}}}`, "thresholds/0/percent"},
		{`speaker: {image: {repository: quay.io/metallb/speaker}}`, "speaker.image.repository: "},
		{`configInline: {}`, "configInline: "},
		{`tls: {cipherSuites: TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256}`, "tls.cipherSuites: "},
		{`speaker: {readinessProbe: {port: 1}}`, "speaker.readinessProbe.port"},
		{`speaker: {memberlist: {enabled: false}, nodeSelector: {a: b}}`, "speaker.memberlist.enabled: "},
		{`prometheus: {serviceMonitor: {enabled: true}}`, "prometheus.rbacPrometheus: "},
		{`prometheus: {serviceMonitor: {enabled: true}, podMonitor: {enabled: true}}`, "prometheus.podMonitor.enabled: "},
	} {
		if _, err := renderText(t, lintel, tt.values); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, without %q", tt.values, err, tt.want)
		}
	}
}

// Values of MetalLB's chart that have nothing to act on are accepted, whatever they are, and named.
func TestObsoleteValuesAreNamed(t *testing.T) {
	obsolete, err := render.ObsoleteValues(root)
	if err != nil {
		t.Fatal(err)
	}
	all := ""
	for _, o := range obsolete {
		for _, value := range []string{"true", "false", "some", "{enabled: false}", "5"} {
			notes := mustRender(t, lintel, set(t, "", o.Value, value))["NOTES.txt"]
			if !strings.Contains(notes, o.Value+": "+o.Why+": "+o.Remedy) {
				t.Errorf("%s: %s is not named in\n%s", o.Value, value, notes)
			}
		}
		all = set(t, all, o.Value, "true")
	}
	notes := mustRender(t, lintel, all)["NOTES.txt"]
	if n := strings.Count(notes, ": remove it") + strings.Count(notes, ": set "); n != len(obsolete) {
		t.Errorf("%d of %d are named in\n%s", n, len(obsolete), notes)
	}
	if notes := mustRender(t, lintel, read(t, "testdata", "example-values.yaml"))["NOTES.txt"]; strings.Contains(notes, "WITHOUT EFFECT") {
		t.Errorf("something is named although all has an effect\n%s", notes)
	}
}
