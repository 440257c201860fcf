package cli

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

const legacyText = `address-pools:
- {name: My_Pool, protocol: layer2, addresses: [192.0.2.0/24]}
`

// The ConfigMap is read from the cluster, and the Services that ask for a renamed pool are
// told, on both outputs.
func TestMigrateFromTheCluster(t *testing.T) {
	ask := func(name, key, pool string) client.Object {
		return &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: name, Annotations: map[string]string{key: pool}}}
	}
	c := world(t,
		&corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "lb", Name: "config"}, Data: map[string]string{"config": legacyText}},
		ask("new", "metallb.io/address-pool", "My_Pool"), ask("old", "metallb.universe.tf/address-pool", "My_Pool"), ask("other", "metallb.io/address-pool", "lan"))
	src, services, err := c.legacy(t.Context(), "lb/config")
	if err != nil {
		t.Fatal(err)
	}
	var out, notes bytes.Buffer
	if err := (conversion{namespace: "metallb-system"}).print(src, services, &out, &notes); err != nil {
		t.Fatal(err)
	}
	golden(t, filepath.Join("testdata", "migrate-configmap.txt"), out.String())
	golden(t, filepath.Join("testdata", "migrate-configmap-notes.txt"), notes.String())
	if _, _, err := c.legacy(t.Context(), "lb/none"); err == nil || !strings.Contains(err.Error(), "lb/none") {
		t.Errorf("a ConfigMap that is not there: %v", err)
	}
}

// migrate runs the verb as users do.
func migrate(t *testing.T, stdin string, args ...string) (out, notes string, err error) {
	t.Helper()
	root := newRoot("v1")
	var o, e bytes.Buffer
	root.SetIn(strings.NewReader(stdin))
	root.SetOut(&o)
	root.SetErr(&e)
	root.SetArgs(append([]string{"migrate", "configmap"}, args...))
	err = root.ExecuteContext(t.Context())
	return o.String(), e.String(), err
}

func TestMigrateFromFiles(t *testing.T) {
	file := filepath.Join(t.TempDir(), "config.yaml")
	if err := os.WriteFile(file, []byte(legacyText), 0o600); err != nil {
		t.Fatal(err)
	}
	fromStdin, _, err := migrate(t, legacyText, "-f", "-")
	if err != nil {
		t.Fatal(err)
	}
	fromFile, notes, err := migrate(t, "", "-f", file, "-o", "yaml")
	if err != nil || fromFile != fromStdin || !strings.Contains(fromFile, "namespace: metallb-system") || !strings.Contains(notes, "My_Pool") {
		t.Errorf("%v\n%s\n%s\n%s", err, fromFile, fromStdin, notes)
	}
	asJSON, _, err := migrate(t, legacyText, "-f", "-", "-o", "json", "--lintel-namespace", "lb")
	if err != nil || !strings.Contains(asJSON, `"namespace": "lb"`) {
		t.Errorf("%v\n%s", err, asJSON)
	}
	inNamespace := "apiVersion: v1\nkind: ConfigMap\nmetadata: {namespace: old}\ndata:\n  config: |\n    " + strings.ReplaceAll(legacyText, "\n", "\n    ")
	for want, args := range map[string][]string{"namespace: old": {"-f", "-"}, "namespace: new": {"-f", "-", "--lintel-namespace", "new"}} {
		if out, _, err := migrate(t, inNamespace, args...); err != nil || !strings.Contains(out, want) {
			t.Errorf("%v: %v\n%s", args, err, out)
		}
	}
}

// What cannot be converted leaves nothing on standard output.
func TestMigrateRefuses(t *testing.T) {
	for _, args := range [][]string{
		{"-f", "-"}, {"-f", "/nonexistent"}, {"-f", "-", "-o", "text"}, {"-f", "-", "--configmap", "a/b"}, {"x"},
	} {
		if out, _, err := migrate(t, strings.ReplaceAll(legacyText, "layer2", "l2"), args...); err == nil || out != "" {
			t.Errorf("%v: %v\n%s", args, err, out)
		}
	}
}
