package render

import (
	"fmt"
	"path"
	"strings"

	"helm.sh/helm/v4/pkg/chart/common"
	"helm.sh/helm/v4/pkg/chart/common/util"
	chart "helm.sh/helm/v4/pkg/chart/v2"
	"helm.sh/helm/v4/pkg/chart/v2/loader"
	"helm.sh/helm/v4/pkg/engine"
	"sigs.k8s.io/yaml"
)

// Namespace is the one that manifests and examples name.
const Namespace = "metallb-system"

// Release says under which name and in which namespace a chart is rendered.
type Release struct{ Name, Namespace string }

// Load reads the chart in a directory.
func Load(dir string) (*chart.Chart, error) {
	c, err := loader.LoadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("render: load the chart: %w", err)
	}
	return c, nil
}

// Values parses a file of values.
func Values(text string) (map[string]any, error) {
	out := map[string]any{}
	if err := yaml.Unmarshal([]byte(text), &out); err != nil {
		return nil, fmt.Errorf("render: values: %w", err)
	}
	return out, nil
}

// Chart renders all templates as Helm does for a new release, with the values checked against
// the schema. The keys of the result are the paths of the templates in the chart.
func Chart(c *chart.Chart, values map[string]any, r Release) (map[string]string, error) {
	all, err := util.ToRenderValues(c, values, common.ReleaseOptions{
		Name: r.Name, Namespace: r.Namespace, Revision: 1, IsInstall: true,
	}, common.DefaultCapabilities)
	if err != nil {
		return nil, fmt.Errorf("render: values: %w", err)
	}
	files, err := engine.Render(c, all)
	if err != nil {
		return nil, fmt.Errorf("render: %w", err)
	}
	out := map[string]string{}
	for file, text := range files {
		out[strings.TrimPrefix(file, path.Join(c.Name(), "templates")+"/")] = text
	}
	return out, nil
}

// withNames is the chart with other names and labels, which are the definitions in names.
func withNames(c *chart.Chart, names []byte) (*chart.Chart, error) {
	out := *c
	out.Templates = nil
	found := false
	for _, f := range c.Templates {
		if f.Name == "templates/_names.tpl" {
			f, found = &common.File{Name: f.Name, Data: names}, true
		}
		out.Templates = append(out.Templates, f)
	}
	if !found {
		return nil, fmt.Errorf("render: the chart has no templates/_names.tpl")
	}
	return &out, nil
}
