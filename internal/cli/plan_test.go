package cli

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"
)

// TestPlans compares with files: "cluster" are objects besides those of world, "files" is what
// is planned, and "out" what is printed. The comment may say "delete".
func TestPlans(t *testing.T) {
	paths, err := filepath.Glob("testdata/plan/*.txtar")
	if err != nil || len(paths) == 0 {
		t.Fatal("no plans", err)
	}
	for _, path := range paths {
		t.Run(filepath.Base(path), func(t *testing.T) {
			archive, err := txtar.ParseFile(path)
			if err != nil {
				t.Fatal(err)
			}
			section := func(name string) []byte {
				i := slices.IndexFunc(archive.Files, func(f txtar.File) bool { return f.Name == name })
				if i < 0 {
					return nil
				}
				return archive.Files[i].Data
			}
			r := planFor(t, section("cluster"), section("files"), strings.Contains(string(archive.Comment), "delete"))
			var out bytes.Buffer
			if err := r.print(&out); err != nil {
				t.Fatal(err)
			}
			lines := strings.Split(out.String(), "\n")
			for i := range lines {
				lines[i] = strings.TrimRight(lines[i], " ")
			}
			got := strings.Join(lines, "\n")
			if *update {
				archive.Files = append(slices.DeleteFunc(archive.Files, func(f txtar.File) bool { return f.Name == "out" }), txtar.File{Name: "out", Data: []byte(got)})
				if err := os.WriteFile(path, txtar.Format(archive), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if diff := cmp.Diff(string(section("out")), got); diff != "" {
				t.Errorf("(-want +got); -update rewrites it\n%s", diff)
			}
			var asJSON bytes.Buffer
			if err := (&options{output: "json"}).show(&asJSON, r); err != nil || !json.Valid(asJSON.Bytes()) {
				t.Errorf("-o json: %v\n%s", err, asJSON.String())
			}
		})
	}
}

// planFor plans files in a world with more objects.
func planFor(t *testing.T, cluster, files []byte, remove bool) *planReport {
	t.Helper()
	objects := func(text []byte) (out []client.Object) {
		list, err := decodeManifests(text)
		if err != nil {
			t.Fatal(err)
		}
		for _, o := range list {
			out = append(out, o)
		}
		return out
	}
	c := world(t, objects(cluster)...)
	c.client = interceptor.NewClient(c.client.(client.WithWatch), interceptor.Funcs{Create: refuseMarked, Patch: patchTried})
	var manifests []manifest
	for _, o := range objects(files) {
		u, err := decodeManifests([]byte(mustJSON(t, o)))
		if err != nil {
			t.Fatal(err)
		}
		manifests = append(manifests, manifest{u[0], "files"})
	}
	r, err := c.plan(t.Context(), manifests, remove, time.Unix(1_800_000_000, 0))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func mustJSON(t *testing.T, o any) string {
	t.Helper()
	b, err := json.Marshal(o)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// refuseMarked plays the rules in the schema, which the fake client does not have: it refuses
// objects with a label.
func refuseMarked(ctx context.Context, c client.WithWatch, o client.Object, opts ...client.CreateOption) error {
	var how client.CreateOptions
	how.ApplyOptions(opts)
	if len(how.DryRun) == 0 || how.FieldValidation != metav1.FieldValidationStrict {
		return fmt.Errorf("created with %+v", how)
	}
	if o.GetLabels()["schema"] == "refuses" {
		return apierrors.NewInvalid(schema.GroupKind{Group: "metallb.io", Kind: o.GetObjectKind().GroupVersionKind().Kind}, o.GetName(), nil)
	}
	return c.Create(ctx, o, opts...)
}

// patchTried plays a patch that is only tried, which the fake client answers with what it was
// given: the patch is carried out on a copy, in a client of its own.
func patchTried(ctx context.Context, c client.WithWatch, o client.Object, patch client.Patch, opts ...client.PatchOption) error {
	var how client.PatchOptions
	how.ApplyOptions(opts)
	if len(how.DryRun) == 0 || how.FieldValidation != metav1.FieldValidationStrict {
		return fmt.Errorf("patched with %+v", how)
	}
	live := o.DeepCopyObject().(client.Object)
	if err := c.Get(ctx, client.ObjectKeyFromObject(o), live); err != nil {
		return err
	}
	if err := c.Patch(ctx, live, patch, opts...); err != nil {
		return err
	}
	if err := fake.NewClientBuilder().WithScheme(c.Scheme()).WithObjects(live).Build().Patch(ctx, o, patch); err != nil {
		return err
	}
	if u, ok := o.(*unstructured.Unstructured); ok && u.GetKind() == "Secret" {
		return storeText(u)
	}
	return nil
}

// storeText does to a Secret what the API server does, and the fake client does not: text becomes
// data.
func storeText(u *unstructured.Unstructured) error {
	text, _, err := unstructured.NestedStringMap(u.Object, "stringData")
	if err != nil {
		return err
	}
	unstructured.RemoveNestedField(u.Object, "stringData")
	for k, v := range text {
		if err := unstructured.SetNestedField(u.Object, base64.StdEncoding.EncodeToString([]byte(v)), "data", k); err != nil {
			return err
		}
	}
	return nil
}

// Nothing is kept of what is tried.
func TestPlanChangesNothing(t *testing.T) {
	c := world(t)
	before := snapshot(t, c)
	manifests, err := readManifests(strings.NewReader(`
apiVersion: metallb.io/v1beta1
kind: IPAddressPool
metadata: {name: lan, namespace: metallb-system}
spec: {addresses: [198.51.100.0/24]}
---
apiVersion: metallb.io/v1beta1
kind: IPAddressPool
metadata: {name: more, namespace: metallb-system}
spec: {addresses: [203.0.113.0/24]}
`), []string{"-"})
	if err != nil {
		t.Fatal(err)
	}
	for _, remove := range []bool{false, true} {
		if r, err := c.plan(t.Context(), manifests, remove, time.Now()); err != nil || !r.differs() {
			t.Errorf("%v %+v", err, r)
		}
	}
	if diff := cmp.Diff(before, snapshot(t, c)); diff != "" {
		t.Errorf("the cluster changed (-before +after)\n%s", diff)
	}
}

func snapshot(t *testing.T, c *cluster) map[string]string {
	t.Helper()
	out := map[string]string{}
	for _, kind := range []schema.GroupVersionKind{
		{Group: "metallb.io", Version: "v1beta1", Kind: "IPAddressPoolList"}, {Version: "v1", Kind: "ServiceList"},
	} {
		var list metav1.PartialObjectMetadataList
		list.SetGroupVersionKind(kind)
		if err := c.client.List(t.Context(), &list); err != nil {
			t.Fatal(err)
		}
		for _, o := range list.Items {
			out[kind.Kind+" "+o.Name] = o.ResourceVersion
		}
	}
	return out
}

func TestPlanExitCodes(t *testing.T) {
	for _, args := range [][]string{{"plan"}, {"plan", "x"}, {"plan", "--no-such-flag"}, {"plan", "-f", "/nonexistent"}, {"plan", "-f", "-", "-o", "yaml"}} {
		err := Run(t.Context(), "v1", append(args, "--kubeconfig", "/nonexistent"))
		if err == nil || ExitCode(err) != exitTrouble || err.Error() == "" {
			t.Errorf("lintel %v: %v, exit code %d", args, err, ExitCode(err))
		}
	}
	if err := Run(t.Context(), "v1", []string{"why"}); ExitCode(err) != 1 {
		t.Errorf("another verb: %v", err)
	}
	same := planFor(t, nil, []byte(`{apiVersion: v1, kind: Namespace, metadata: {name: a}}`), true)
	if same.differs() {
		t.Errorf("deleting what is not there: %+v", same)
	}
}

func TestReadManifests(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"b.yaml":    "apiVersion: v1\nkind: List\nitems:\n- {apiVersion: v1, kind: Service, metadata: {name: b1}}\n- {apiVersion: v1, kind: Service, metadata: {name: b2}}\n",
		"a.json":    `{"apiVersion": "v1", "kind": "Service", "metadata": {"name": "a"}}`,
		"notes.txt": "not read",
		"c.yml":     "# nothing\n---\napiVersion: v1\nkind: Service\nmetadata: {name: c}\n---\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	got, err := readManifests(strings.NewReader("apiVersion: v1\nkind: Service\nmetadata: {name: stdin}\n"), []string{dir, "-"})
	var names []string
	for _, m := range got {
		names = append(names, m.GetName())
	}
	if want := []string{"a", "b1", "b2", "c", "stdin"}; err != nil || !slices.Equal(names, want) {
		t.Errorf("got %v, %v; want %v", names, err, want)
	}
	for _, wrong := range []string{"", "kind: Service", "a: [", "apiVersion: v1\nkind: Service\n"} {
		if _, err := readManifests(strings.NewReader(wrong), []string{"-"}); err == nil {
			t.Errorf("%q is read", wrong)
		}
	}
}
