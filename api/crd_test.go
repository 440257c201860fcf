package api_test

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/install"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	crdvalidation "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/validation"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/cel"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/defaulting"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/listtype"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/pruning"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/validation"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/json"
	"k8s.io/apimachinery/pkg/util/validation/field"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	celconfig "k8s.io/apiserver/pkg/apis/cel"
	"sigs.k8s.io/yaml"
)

// server does with objects what an API server does that has our definitions.
type server struct {
	definitions map[string]*apiextensions.CustomResourceDefinition
	schemas     map[string]*served
}

// served is one version of a kind.
type served struct {
	structural *schema.Structural
	validator  validation.SchemaValidator
	cel        *cel.Validator
}

func newServer(t *testing.T) *server {
	t.Helper()
	scheme := runtime.NewScheme()
	install.Install(scheme)
	files, err := filepath.Glob("../config/crd/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no definitions found: %v", err)
	}
	s := &server{definitions: map[string]*apiextensions.CustomResourceDefinition{}, schemas: map[string]*served{}}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var crd apiextensionsv1.CustomResourceDefinition
		if err := yaml.UnmarshalStrict(text, &crd); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		scheme.Default(&crd)
		var internal apiextensions.CustomResourceDefinition
		if err := scheme.Convert(&crd, &internal, nil); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		s.definitions[internal.Spec.Names.Kind] = &internal
		for _, v := range internal.Spec.Versions {
			s.schemas[internal.Spec.Group+"/"+v.Name+" "+internal.Spec.Names.Kind] = newServed(t, &internal, v)
		}
	}
	return s
}

func newServed(t *testing.T, crd *apiextensions.CustomResourceDefinition, v apiextensions.CustomResourceDefinitionVersion) *served {
	t.Helper()
	props := v.Schema
	if props == nil {
		props = crd.Spec.Validation // where all versions have the same schema
	}
	structural, err := schema.NewStructural(props.OpenAPIV3Schema)
	if err != nil {
		t.Fatal(err)
	}
	validator, _, err := validation.NewSchemaValidator(props.OpenAPIV3Schema)
	if err != nil {
		t.Fatal(err)
	}
	return &served{structural: structural, validator: validator, cel: cel.NewValidator(structural, true, celconfig.PerCallLimit)}
}

// admit takes an object in, and gives the object as it is stored and what is wrong with it.
// old is the stored object, or nil on creation.
func (s *server) admit(t *testing.T, obj, old map[string]any) (map[string]any, field.ErrorList) {
	t.Helper()
	v, ok := s.schemas[fmt.Sprintf("%v %v", obj["apiVersion"], obj["kind"])]
	if !ok {
		t.Fatalf("no definition for %v %v", obj["apiVersion"], obj["kind"])
	}
	obj = runtime.DeepCopyJSON(obj)
	pruning.Prune(obj, v.structural, true)
	defaulting.PruneNonNullableNullsWithoutDefaults(obj, v.structural)
	defaulting.Default(obj, v.structural)
	var errs field.ErrorList
	if old == nil {
		errs = validation.ValidateCustomResource(nil, obj, v.validator)
	} else {
		errs = validation.ValidateCustomResourceUpdate(nil, obj, old, v.validator)
	}
	errs = append(errs, listtype.ValidateListSetsAndMaps(nil, v.structural, obj)...)
	if v.cel != nil && len(errs) == 0 {
		var oldObj any
		if old != nil {
			oldObj = old
		}
		more, _ := v.cel.Validate(t.Context(), nil, v.structural, obj, oldObj, celconfig.RuntimeCELCostBudget)
		errs = append(errs, more...)
	}
	return obj, errs
}

// TestDefinitions asks an API server's own checks, among them the estimated cost of CEL rules.
func TestDefinitions(t *testing.T) {
	s := newServer(t)
	if len(s.definitions) != 9 {
		t.Errorf("%d kinds are defined, want 9", len(s.definitions))
	}
	for kind, crd := range s.definitions {
		t.Run(kind, func(t *testing.T) {
			crd := crd.DeepCopy()
			for _, v := range crd.Spec.Versions {
				if v.Storage {
					crd.Status.StoredVersions = []string{v.Name}
				}
			}
			if errs := crdvalidation.ValidateCustomResourceDefinition(t.Context(), crd); len(errs) > 0 {
				t.Error(errs.ToAggregate())
			}
		})
	}
}

// parse reads YAML documents.
func parse(t *testing.T, text []byte) []map[string]any {
	t.Helper()
	var out []map[string]any
	r := utilyaml.NewYAMLReader(bufio.NewReader(bytes.NewReader(text)))
	for {
		doc, err := r.Read()
		if errors.Is(err, io.EOF) {
			return out
		}
		if err != nil {
			t.Fatal(err)
		}
		if obj := content(t, doc); len(obj) > 0 {
			out = append(out, obj)
		}
	}
}

// content reads one YAML document, with numbers as the API machinery has them.
func content(t *testing.T, doc []byte) map[string]any {
	t.Helper()
	text, err := yaml.YAMLToJSON(doc)
	if err != nil {
		t.Fatalf("%v in\n%s", err, doc)
	}
	var out map[string]any
	if err := json.Unmarshal(text, &out); err != nil {
		t.Fatalf("%v in\n%s", err, doc)
	}
	return out
}

// object makes an object with spec and status in YAML.
func object(t *testing.T, apiVersion, kind, rest string) map[string]any {
	t.Helper()
	obj := map[string]any{"apiVersion": apiVersion, "kind": kind, "metadata": map[string]any{"name": "x", "namespace": "metallb-system"}}
	maps.Copy(obj, content(t, []byte(rest)))
	return obj
}

// TestExamples has the manifests that users apply admitted.
func TestExamples(t *testing.T) {
	s := newServer(t)
	files, err := filepath.Glob("testdata/examples/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no examples found: %v", err)
	}
	admitted := 0
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, obj := range parse(t, text) {
			if !strings.HasPrefix(obj["apiVersion"].(string), "metallb.io/") {
				continue
			}
			admitted++
			if _, errs := s.admit(t, obj, nil); len(errs) > 0 {
				t.Errorf("%s: %v", file, errs.ToAggregate())
			}
		}
	}
	if admitted < 4 {
		t.Errorf("only %d objects among the examples", admitted)
	}
}
