package legacy

import (
	"fmt"

	"go.yaml.in/yaml/v3"
)

// configKey is the key of a ConfigMap's data that MetalLB read.
const configKey = "config"

// Source is the text of a configuration.
type Source struct {
	Text string
	// Namespace is that of the ConfigMap that the text was in; empty where it was in none,
	// or the ConfigMap does not say.
	Namespace string
	// skipped is how many lines of the file come before the text.
	skipped int
}

// Find finds the configuration in a file: the text itself, or a ConfigMap that holds it.
// JSON is taken as well, as it is YAML.
func Find(file []byte) (Source, error) {
	root, err := document(file)
	if err != nil {
		return Source{}, err
	}
	if root == nil {
		return Source{}, ErrEmpty
	}
	kind, isObject := lookup(root, "kind")
	if !isObject {
		return Source{Text: string(file)}, nil
	}
	version, _ := lookup(root, "apiVersion")
	if kind.Value != "ConfigMap" || version == nil || version.Value != "v1" {
		return Source{}, fmt.Errorf("%w; its kind is %s", ErrNotConfigMap, kind.Value)
	}
	text, _ := lookup(root, "data", configKey)
	if text == nil || text.Kind != yaml.ScalarNode || text.Value == "" {
		return Source{}, ErrNoData
	}
	src := Source{Text: text.Value}
	if text.Style&yaml.LiteralStyle != 0 {
		src.skipped = text.Line
	}
	if ns, ok := lookup(root, "metadata", "namespace"); ok {
		src.Namespace = ns.Value
	}
	return src, nil
}

// FromData is the configuration in the data of a ConfigMap.
func FromData(namespace string, data map[string]string) (Source, error) {
	if data[configKey] == "" {
		return Source{}, ErrNoData
	}
	return Source{Text: data[configKey], Namespace: namespace}, nil
}

// lookup follows keys through mappings.
func lookup(n *yaml.Node, path ...string) (*yaml.Node, bool) {
	for _, key := range path {
		n = resolve(n)
		if n.Kind != yaml.MappingNode {
			return nil, false
		}
		found := false
		for i := 0; i+1 < len(n.Content) && !found; i += 2 {
			if n.Content[i].Value == key {
				n, found = resolve(n.Content[i+1]), true
				break
			}
		}
		if !found {
			return nil, false
		}
	}
	return n, true
}
