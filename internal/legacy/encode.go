package legacy

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"unicode"

	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/yaml"
)

// YAML gives the objects as documents, each after comments with its notes. head are
// comments on the whole.
func (r *Result) YAML(head []string) ([]byte, error) {
	var out bytes.Buffer
	comment(&out, head)
	for i, o := range r.Objects {
		if i > 0 || len(head) > 0 {
			out.WriteString("---\n")
		}
		comment(&out, o.Notes)
		m, err := o.fields()
		if err != nil {
			return nil, err
		}
		b, err := yaml.Marshal(m)
		if err != nil {
			return nil, fmt.Errorf("legacy: %w", err)
		}
		out.Write(b)
	}
	return out.Bytes(), nil
}

// JSON gives the objects as one List.
func (r *Result) JSON() ([]byte, error) {
	items := make([]map[string]any, 0, len(r.Objects))
	for _, o := range r.Objects {
		m, err := o.fields()
		if err != nil {
			return nil, err
		}
		items = append(items, m)
	}
	b, err := json.MarshalIndent(map[string]any{"apiVersion": "v1", "kind": "List", "items": items}, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("legacy: %w", err)
	}
	return append(b, '\n'), nil
}

// fields are what a user would write: without a status, and without empty parts.
func (o Object) fields() (map[string]any, error) {
	m, err := runtime.DefaultUnstructuredConverter.ToUnstructured(o.Value)
	if err != nil {
		return nil, fmt.Errorf("legacy: %w", err)
	}
	delete(m, "status")
	if meta, ok := m["metadata"].(map[string]any); ok {
		delete(meta, "creationTimestamp")
	}
	if spec, ok := m["spec"].(map[string]any); ok && len(spec) == 0 {
		delete(m, "spec")
	}
	return m, nil
}

// comment writes lines as comments. A note may hold text of the input, so that what YAML
// takes for the end of a line is kept out.
func comment(out *bytes.Buffer, lines []string) {
	for _, line := range lines {
		fmt.Fprintf(out, "# %s\n", strings.Map(func(c rune) rune {
			if !unicode.IsPrint(c) {
				return ' '
			}
			return c
		}, line))
	}
}
