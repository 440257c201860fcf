package chart

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/controller-runtime/pkg/client"

	chartv2 "helm.sh/helm/v4/pkg/chart/v2"

	"github.com/lintel-lb/lintel/test/chart/render"
)

const root = "../.."

var lintel = render.Release{Name: "lintel", Namespace: render.Namespace}

func load(t *testing.T) *chartv2.Chart {
	t.Helper()
	c, err := render.Load(filepath.Join(root, "charts", "lintel"))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func read(t *testing.T, elem ...string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(elem...))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// renderText renders the chart with values in YAML.
func renderText(t *testing.T, r render.Release, values string) (map[string]string, error) {
	t.Helper()
	v, err := render.Values(values)
	if err != nil {
		t.Fatal(err)
	}
	return render.Chart(load(t), v, r)
}

// mustRender gives the whole text.
func mustRender(t *testing.T, r render.Release, values string) map[string]string {
	t.Helper()
	files, err := renderText(t, r, values)
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// objects decodes manifests strictly: a field that a type does not have is an error.
func objects(t *testing.T, manifests string) []client.Object {
	t.Helper()
	out, err := decode(manifests)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func decode(manifests string) (out []client.Object, err error) {
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{
		corev1.AddToScheme, appsv1.AddToScheme, rbacv1.AddToScheme, networkingv1.AddToScheme,
		apiextensionsv1.AddToScheme, monitoringv1.AddToScheme,
	} {
		if err := add(scheme); err != nil {
			return nil, err
		}
	}
	decoder := serializer.NewCodecFactory(scheme, serializer.EnableStrict).UniversalDeserializer()
	documents := utilyaml.NewYAMLReader(bufio.NewReader(strings.NewReader(manifests)))
	for {
		document, err := documents.Read()
		if errors.Is(err, io.EOF) {
			return out, nil
		}
		if err != nil {
			return nil, err
		}
		if len(bytes.TrimSpace(document)) == 0 || onlyComments(document) {
			continue
		}
		o, _, err := decoder.Decode(document, nil, nil)
		if err != nil {
			return nil, fmt.Errorf("%w in\n%s", err, document)
		}
		out = append(out, o.(client.Object))
	}
}

func onlyComments(document []byte) bool {
	for line := range bytes.Lines(document) {
		if line = bytes.TrimSpace(line); len(line) > 0 && line[0] != '#' && !bytes.Equal(line, []byte("---")) {
			return false
		}
	}
	return true
}

// manifests is what Helm sends to the API server.
func manifests(files map[string]string) string {
	var b strings.Builder
	for name, text := range files {
		if strings.HasSuffix(name, ".yaml") {
			b.WriteString(text + "\n---\n")
		}
	}
	return b.String()
}

// find gives the object of a type with a name.
func find[T client.Object](t *testing.T, all []client.Object, name string) T {
	t.Helper()
	for _, o := range all {
		if v, ok := o.(T); ok && o.GetName() == name {
			return v
		}
	}
	var none T
	t.Fatalf("no %T %s among %s", none, name, names(all))
	return none
}

func names(all []client.Object) string {
	var b strings.Builder
	for _, o := range all {
		fmt.Fprintf(&b, "%T %s/%s\n", o, o.GetNamespace(), o.GetName())
	}
	return b.String()
}
