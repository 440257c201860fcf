package main

import (
	"strings"
	"testing"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"sigs.k8s.io/yaml"
)

const example = `
spec:
  group: example.org
  names: {kind: Thing, plural: things}
  versions:
  - name: v1
    served: true
    storage: true
    schema:
      openAPIV3Schema:
        description: Thing is | a thing.
        properties:
          spec:
            type: object
            required: [mode]
            properties:
              mode:
                type: string
                description: Mode of <it>. (extension)
                enum: [a, b]
                default: a
                x-kubernetes-validations: [{rule: "self != ''", message: say something}]
              parts:
                type: array
                items:
                  type: object
                  properties:
                    count: {type: integer, minimum: 1, maximum: 4294967295}
                    nodes:
                      type: object
                      properties: {matchLabels: {type: object}, matchExpressions: {type: array}}
`

func TestRender(t *testing.T) {
	crd := &apiextensionsv1.CustomResourceDefinition{}
	if err := yaml.UnmarshalStrict([]byte(example), crd); err != nil {
		t.Fatal(err)
	}
	page := string(render([]*apiextensionsv1.CustomResourceDefinition{crd}))
	for _, want := range []string{
		"| [Thing](#thing) | v1 | Thing is \\| a thing. |\n",
		"## Thing\n",
		"### `spec` of Thing\n",
		"| `mode` *required* *extension* | string | `\"a\"` | `a`, `b` | Mode of &lt;it&gt;. |\n",
		"| `parts` | list of objects |  |  |  |\n",
		"| `parts[].count` | integer |  | 1 to 4294967295 |  |\n",
		"| `parts[].nodes` | label selector |  |  |  |\n",
		"- `mode`: say something\n",
	} {
		if !strings.Contains(page, want) {
			t.Errorf("there is no %q in\n%s", want, page)
		}
	}
	if strings.Contains(page, "matchLabels |") || strings.Contains(page, "`parts[].nodes.") {
		t.Error("the fields of a label selector are listed")
	}
}
