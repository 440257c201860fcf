package takeover

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
)

func objectsOf(t *testing.T, files ...string) []*Object {
	t.Helper()
	var out []*Object
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		objects, err := Parse(b)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, objects...)
	}
	return out
}

func ours(t *testing.T) *Installation {
	t.Helper()
	in, err := NewInstallation(objectsOf(t, filepath.Join("..", "..", "config", "rbac.yaml"),
		filepath.Join("..", "..", "config", "controller.yaml"), filepath.Join("..", "..", "config", "speaker.yaml")), true)
	if err != nil {
		t.Fatal(err)
	}
	return in
}

func theirs(t *testing.T) *Installation {
	t.Helper()
	in, err := NewInstallation(objectsOf(t, filepath.Join("testdata", "metallb.yaml")), false)
	if err != nil {
		t.Fatal(err)
	}
	return in
}

func inventory(t *testing.T) *Inventory {
	return &Inventory{Old: theirs(t), Target: ours(t), Nodes: []string{"n1", "n2"}}
}

func TestPlanOfPlainManifests(t *testing.T) {
	inv := inventory(t)
	if got := Objections(inv); len(got) > 0 {
		t.Fatalf("objections %q", got)
	}
	var ids []string
	for _, s := range Steps(inv) {
		ids = append(ids, s.ID())
	}
	want := []string{"keep", "key", "mix", "hold", "stop-controller", "drop-webhook", "definitions", "objects",
		"start-controller", "start-speakers", "node/n1", "node/n2", "unmix", "remove"}
	if diff := cmp.Diff(want, ids); diff != "" {
		t.Errorf("steps (-want +got)\n%s", diff)
	}
	if inv.Old.Version() != "v0.16.1" || inv.Old.Mode() != ModeNative || inv.Old.Secret() != "memberlist" {
		t.Errorf("version %s, mode %s, Secret %s", inv.Old.Version(), inv.Old.Mode(), inv.Old.Secret())
	}
	var left []string
	for _, o := range Leftovers(inv.Old, inv.Target) {
		left = append(left, IDOf(o).String())
	}
	// The rest has the names of Lintel's own.
	if diff := cmp.Diff([]string{"ValidatingWebhookConfiguration metallb-webhook-configuration"}, left); diff != "" {
		t.Errorf("left over (-want +got)\n%s", diff)
	}
	if inv.PinsLocalPref() {
		t.Error("pins without internal peers")
	}
	inv.Internal = []string{"tor"}
	if !inv.PinsLocalPref() {
		t.Error("does not pin with internal peers")
	}
}

func TestObjections(t *testing.T) {
	arg := func(in *Installation, a string) {
		c := &in.Speaker.Spec.Template.Spec.Containers[0]
		c.Args = append(c.Args, a)
	}
	env := func(in *Installation, name, value string) {
		c := &in.Speaker.Spec.Template.Spec.Containers[0]
		c.Env = slices.DeleteFunc(c.Env, func(e corev1.EnvVar) bool { return e.Name == name })
		c.Env = append(c.Env, corev1.EnvVar{Name: name, Value: value})
	}
	for want, change := range map[string]func(inv *Inventory){
		"in namespace other":        func(inv *Inventory) { inv.Old.Namespace = "other" },
		"load balancer class \"x\"": func(inv *Inventory) { arg(inv.Old, "--lb-class=x") },
		"--ignore-exclude-lb":       func(inv *Inventory) { arg(inv.Target, "--ignore-exclude-lb") },
		"--ml-wan-config":           func(inv *Inventory) { arg(inv.Old, "--ml-wan-config=true") },
		"gossip on port 7000":       func(inv *Inventory) { env(inv.Old, "METALLB_ML_BIND_PORT", "7000") },
		"is on for one side":        func(inv *Inventory) { env(inv.Old, "METALLB_ML_LABELS", "") },
		"name no memberlist Secret": func(inv *Inventory) { env(inv.Target, "METALLB_ML_SECRET_NAME", "") },
		"gossip is not encrypted":   func(inv *Inventory) { env(inv.Old, "METALLB_ML_SECRET_KEY_PATH", "") },
		"no port in common":         func(inv *Inventory) { inv.Old.Speaker.Spec.Template.Spec.Containers[0].Ports = nil },
		"bgpextras":                 func(inv *Inventory) { inv.BGPExtras = true },
		"FRRConfigurations":         func(inv *Inventory) { inv.ForeignFRR = []string{"frr/mine"} },
		"exists already":            func(inv *Inventory) { inv.Existing = []ID{{Kind: "ServiceAccount", Name: "x"}} },
		"not ready on n2":           func(inv *Inventory) { inv.Unready = []string{"n2"} },
		"no node has a speaker":     func(inv *Inventory) { inv.Nodes = nil },
	} {
		inv := inventory(t)
		change(inv)
		got := Objections(inv)
		if len(got) != 1 || !strings.Contains(got[0], want) {
			t.Errorf("want one objection with %q, got %q", want, got)
		}
	}
}

func TestRolesKeepBothRights(t *testing.T) {
	inv := inventory(t)
	for _, o := range inv.Target.Objects {
		got := WithRights(o, inv.Old.Objects)
		ours, _ := o.Object["rules"].([]any)
		both, _ := got.Object["rules"].([]any)
		if o.GetKind() == "ClusterRole" && o.GetName() == "metallb-system:speaker" {
			if len(both) != len(ours)+1 {
				t.Errorf("%d rules, want %d and MetalLB's one", len(both), len(ours))
			}
		} else if len(both) != len(ours) {
			t.Errorf("%s has %d rules, want %d", IDOf(o), len(both), len(ours))
		}
	}
}

func stored(t *testing.T, chart, manifest string) []byte {
	t.Helper()
	b, err := json.Marshal(map[string]any{"name": "lb", "version": json.Number("3"), "manifest": manifest,
		"info": map[string]any{"status": "deployed"}, "chart": map[string]any{"metadata": map[string]any{"name": chart}}})
	if err != nil {
		t.Fatal(err)
	}
	return []byte(base64.StdEncoding.EncodeToString(b))
}

func TestReleasesKeepDefinitions(t *testing.T) {
	manifest := "---\n# Source: metallb/charts/crds/templates/crds.yaml\n%s---\n# Source: b\napiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: c\ndata:\n  x: \"--- not a separator\"\n"
	crd := "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata:\n  name: bgppeers.metallb.io\n  annotations:\n    a: b\n"
	in := stored(t, "metallb", fmt.Sprintf(manifest, crd))
	out, changed, err := KeepDefinitions(in)
	if err != nil || !changed {
		t.Fatal(changed, err)
	}
	r, ok, err := ReadRelease(out)
	if err != nil || !ok {
		t.Fatal(ok, err)
	}
	if r.Name != "lb" || r.Status != "deployed" || len(r.Manifest) != 2 {
		t.Fatalf("release %q, %s, %d objects", r.Name, r.Status, len(r.Manifest))
	}
	if got := r.Manifest[0].GetAnnotations(); got[KeepAnnotation] != "keep" || got["a"] != "b" {
		t.Errorf("annotations %v", got)
	}
	if got := r.Manifest[1].GetAnnotations(); len(got) > 0 {
		t.Errorf("the other object has annotations %v", got)
	}
	if _, again, err := KeepDefinitions(out); again || err != nil {
		t.Errorf("changed again: %t, %v", again, err)
	}
	if _, ok, err := ReadRelease(stored(t, "nginx", "")); ok || err != nil {
		t.Errorf("a release of another chart: %t, %v", ok, err)
	}
	if _, _, err := ReadRelease([]byte("%")); err == nil {
		t.Error("no error for garbage")
	}
}

func packed(t *testing.T, text string) []byte {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	if _, err := z.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestRecord(t *testing.T) {
	inv := inventory(t)
	r := &Record{Version: RecordVersion, Old: inv.Old.Objects, Target: inv.Target.Objects, Services: map[string]Service{"a/b": {UID: "1", Addresses: []string{"192.0.2.1"}}}}
	r.Set("keep", true)
	r.Set("key", true)
	r.Set("keep", false)
	b, err := r.Encode()
	if err != nil {
		t.Fatal(err)
	}
	got, err := DecodeRecord(b)
	if err != nil {
		t.Fatal(err)
	}
	if got.Has("keep") || !got.Has("key") {
		t.Errorf("done: %v", got.Done)
	}
	if diff := cmp.Diff(r.Old[0].Object, got.Old[0].Object); diff != "" {
		t.Errorf("object (-want +got)\n%s", diff)
	}
	// The first version had addresses in the place of Services.
	b = packed(t, `{"version":1,"services":{"a/b":["192.0.2.1"]}}`)
	if _, err := DecodeRecord(b); err == nil || !strings.Contains(err.Error(), "has version 1") {
		t.Errorf("a record of another version: %v", err)
	}
}

// What the way back has to undo: what is done, a node that is being replaced, and the first other
// step that is not done, since it may have been broken off.
func TestBegun(t *testing.T) {
	steps := Steps(inventory(t))
	for _, row := range []struct {
		done, before []string
		want         string
	}{
		{want: ""},
		{done: []string{"keep", "key"}, want: "keep key mix"},
		{done: []string{"start-speakers"}, before: []string{"n1"}, want: "start-speakers node/n1"},
		{done: []string{"node/n1"}, want: "node/n1"},
		{done: []string{"node/n1", "node/n2"}, want: "node/n1 node/n2 unmix"},
		{done: []string{"unmix"}, want: "unmix remove"},
	} {
		r := &Record{Done: row.done, Before: map[string][]string{}}
		for _, n := range row.before {
			r.Before[n] = nil
		}
		var got []string
		for i, s := range steps {
			if r.Begun(steps, i) {
				got = append(got, s.ID())
			}
		}
		if strings.Join(got, " ") != row.want {
			t.Errorf("done %v, being replaced %v: got %v, want %s", row.done, row.before, got, row.want)
		}
	}
}

func TestAdopt(t *testing.T) {
	objects, err := Parse([]byte("apiVersion: v1\nkind: ServiceAccount\nmetadata:\n  name: a\n  labels: {app.kubernetes.io/managed-by: Helm, app.kubernetes.io/instance: lb}\n---\napiVersion: v1\nkind: ServiceAccount\nmetadata: {name: b}\n"))
	if err != nil {
		t.Fatal(err)
	}
	if got := Adopt(objects, "ns"); got != "lb" {
		t.Errorf("release %q", got)
	}
	if got := objects[0].GetAnnotations(); got["meta.helm.sh/release-name"] != "lb" || got["meta.helm.sh/release-namespace"] != "ns" {
		t.Errorf("annotations %v", got)
	}
	if got := objects[1].GetAnnotations(); got != nil {
		t.Errorf("an object that Helm has not rendered has %v", got)
	}
}
