package render

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// header begins every generated file of manifests.
const header = "# Generated from charts/lintel by make generate.\n"

// plainFiles says which templates make which file of the plain manifests.
func plainFiles() []struct {
	File      string
	Templates []string
} {
	return []struct {
		File      string
		Templates []string
	}{
		{"rbac.yaml", []string{"serviceaccounts.yaml", "rbac.yaml"}},
		{"controller.yaml", []string{"controller.yaml"}},
		{"speaker.yaml", []string{"speaker.yaml"}},
	}
}

// Generate gives everything that is made from the chart and for it, by path from the root of
// the repository.
func Generate(root string) (map[string][]byte, error) {
	out := map[string][]byte{}
	crds, err := filepath.Glob(filepath.Join(root, "config", "crd", "*.yaml"))
	if err != nil || len(crds) == 0 {
		return nil, fmt.Errorf("render: no definitions in %s: %w", root, err)
	}
	slices.Sort(crds)
	namespace, err := os.ReadFile(filepath.Join(root, "config", "namespace.yaml"))
	if err != nil {
		return nil, err
	}
	single := bytes.NewBufferString(header + "---\n")
	single.Write(bytes.TrimPrefix(namespace, []byte("---\n")))
	for _, file := range crds {
		b, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		out[filepath.Join("charts", "lintel", "files", "crd", filepath.Base(file))] = b
		single.Write(b)
	}
	plain, err := Plain(root)
	if err != nil {
		return nil, err
	}
	for _, f := range plainFiles() {
		out[filepath.Join("config", f.File)] = []byte(header + plain[f.File])
		single.WriteString(plain[f.File])
	}
	out[filepath.Join("config", "lintel.yaml")] = single.Bytes()
	values, err := os.ReadFile(filepath.Join(root, "charts", "lintel", "values.yaml"))
	if err != nil {
		return nil, err
	}
	page, err := ValuesPage(root, values)
	if err != nil {
		return nil, err
	}
	out[filepath.Join("docs", "helm-values.md")] = page
	return out, nil
}

// Plain renders the plain manifests: the chart with its default values, and with the names and
// labels in plain/names.tpl. The keys of the result are names of files.
func Plain(root string) (map[string]string, error) {
	c, err := Load(filepath.Join(root, "charts", "lintel"))
	if err != nil {
		return nil, err
	}
	names, err := os.ReadFile(filepath.Join(root, "test", "chart", "plain", "names.tpl"))
	if err != nil {
		return nil, err
	}
	if c, err = withNames(c, names); err != nil {
		return nil, err
	}
	rendered, err := Chart(c, nil, Release{Name: "plain", Namespace: Namespace})
	if err != nil {
		return nil, err
	}
	out := map[string]string{}
	for _, f := range plainFiles() {
		for _, t := range f.Templates {
			text, ok := rendered[t]
			if !ok {
				return nil, fmt.Errorf("render: the chart has no template %s", t)
			}
			out[f.File] += strings.TrimPrefix(strings.TrimRight(text, "\n")+"\n", "\n")
		}
	}
	return out, nil
}
