// Command apidoc writes the reference of the resources from their CRDs, which controller-gen
// makes from the Go types: apidoc CRD-FOLDER PAGE.
package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"sigs.k8s.io/yaml"
)

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: apidoc CRD-FOLDER PAGE")
		os.Exit(2)
	}
	if err := write(os.Args[1], os.Args[2]); err != nil {
		fmt.Fprintln(os.Stderr, "apidoc:", err)
		os.Exit(1)
	}
}

func write(folder, page string) error {
	crds, err := read(folder)
	if err != nil {
		return err
	}
	return os.WriteFile(page, render(crds), 0o644)
}

// read reads the CRDs of a folder; those that users write come first.
func read(folder string) ([]*apiextensionsv1.CustomResourceDefinition, error) {
	paths, err := filepath.Glob(filepath.Join(folder, "*.yaml"))
	if err != nil {
		return nil, err
	}
	var out []*apiextensionsv1.CustomResourceDefinition
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		crd := &apiextensionsv1.CustomResourceDefinition{}
		if err := yaml.UnmarshalStrict(text, crd); err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		if crd.Kind == "CustomResourceDefinition" {
			out = append(out, crd)
		}
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("there is no CRD in %s", folder)
	}
	order := []string{"IPAddressPool", "L2Advertisement", "BGPAdvertisement", "BGPPeer", "BFDProfile", "Community"}
	slices.SortStableFunc(out, func(a, b *apiextensionsv1.CustomResourceDefinition) int {
		place := func(c *apiextensionsv1.CustomResourceDefinition) int {
			if i := slices.Index(order, c.Spec.Names.Kind); i >= 0 {
				return i
			}
			return len(order)
		}
		return place(a) - place(b)
	})
	return out, nil
}

const head = `# API reference

All resources are of the group %s and belong to a namespace. Only those in the namespace that Lintel runs in have an effect.

This page is generated from the types in ` + "`api`" + `. Fields marked *extension* are those that MetalLB does not have; [extensions](extensions.md)
describes them with examples. A field in brackets, as in ` + "`a[].b`" + `, is one of each item of a list. Fields without a default may be left
out unless they are marked *required*. A **label selector** is that of Kubernetes: ` + "`matchLabels`, and `matchExpressions` with `key`, `operator` and `values`" + `.

`

// render gives the page.
func render(crds []*apiextensionsv1.CustomResourceDefinition) []byte {
	var out bytes.Buffer
	fmt.Fprintf(&out, head, crds[0].Spec.Group)
	out.WriteString("| Kind | Version | What it is |\n|---|---|---|\n")
	for _, crd := range crds {
		for _, v := range versions(crd) {
			fmt.Fprintf(&out, "| [%s](#%s) | %s | %s |\n", crd.Spec.Names.Kind, anchor(crd, v), v.Name, cell(v.Schema.OpenAPIV3Schema.Description))
		}
	}
	for _, crd := range crds {
		for _, v := range versions(crd) {
			kind(&out, crd, v)
		}
	}
	return out.Bytes()
}

// versions are those of a kind, the stored one first.
func versions(crd *apiextensionsv1.CustomResourceDefinition) []apiextensionsv1.CustomResourceDefinitionVersion {
	out := slices.Clone(crd.Spec.Versions)
	slices.SortStableFunc(out, func(a, b apiextensionsv1.CustomResourceDefinitionVersion) int {
		switch {
		case a.Storage == b.Storage:
			return 0
		case a.Storage:
			return -1
		}
		return 1
	})
	return out
}

// title is the heading of a version of a kind.
func title(crd *apiextensionsv1.CustomResourceDefinition, v apiextensionsv1.CustomResourceDefinitionVersion) string {
	if len(crd.Spec.Versions) == 1 {
		return crd.Spec.Names.Kind
	}
	return crd.Spec.Names.Kind + " " + v.Name
}

func anchor(crd *apiextensionsv1.CustomResourceDefinition, v apiextensionsv1.CustomResourceDefinitionVersion) string {
	return strings.ReplaceAll(strings.ToLower(title(crd, v)), " ", "-")
}

func kind(out *bytes.Buffer, crd *apiextensionsv1.CustomResourceDefinition, v apiextensionsv1.CustomResourceDefinitionVersion) {
	schema := v.Schema.OpenAPIV3Schema
	fmt.Fprintf(out, "\n## %s\n\n%s\n\n", title(crd, v), cell(schema.Description))
	fmt.Fprintf(out, "`apiVersion: %s/%s`, `kind: %s`, plural `%s`.", crd.Spec.Group, v.Name, crd.Spec.Names.Kind, crd.Spec.Names.Plural)
	if v.Deprecated {
		fmt.Fprintf(out, " This version is deprecated.")
	}
	if len(crd.Spec.Versions) > 1 && v.Storage {
		fmt.Fprintf(out, " This is the version that is stored.")
	}
	out.WriteString("\n")
	for _, part := range []string{"spec", "status"} {
		props, ok := schema.Properties[part]
		if !ok || len(props.Properties) == 0 {
			continue
		}
		t := &table{}
		t.object(part, &props)
		fmt.Fprintf(out, "\n### `%s` of %s\n\n", part, title(crd, v))
		out.WriteString("| Field | Type | Default | Limits | Meaning |\n|---|---|---|---|---|\n")
		for _, row := range t.rows {
			fmt.Fprintf(out, "| %s |\n", strings.Join(row, " | "))
		}
		if len(t.rules) > 0 {
			out.WriteString("\nThe API server refuses what breaks one of these rules:\n\n")
			for _, r := range t.rules {
				fmt.Fprintf(out, "- %s\n", r)
			}
		}
	}
}
