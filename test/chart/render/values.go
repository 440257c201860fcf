package render

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"go.yaml.in/yaml/v3"
	sigsyaml "sigs.k8s.io/yaml"
)

// Value is one value of the chart as values.yaml documents it.
type Value struct {
	Path, Default, Text string
}

// Obsolete is a value of MetalLB's chart that has nothing to act on.
type Obsolete struct {
	Value  string `json:"value"`
	Why    string `json:"why"`
	Remedy string `json:"remedy"`
}

// Documented reads the values and the comments above them that begin with "# --".
func Documented(values []byte) ([]Value, error) {
	var doc yaml.Node
	if err := yaml.Unmarshal(values, &doc); err != nil {
		return nil, fmt.Errorf("render: values.yaml: %w", err)
	}
	return walk(doc.Content[0], "")
}

// walk goes down until a comment describes a value as a whole.
func walk(n *yaml.Node, prefix string) (out []Value, err error) {
	for i := 0; i < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		text, described := strings.CutPrefix(lastParagraph(key.HeadComment), "# -- ")
		path := prefix + key.Value
		if !described {
			if value.Kind != yaml.MappingNode || len(value.Content) == 0 {
				return nil, fmt.Errorf("render: values.yaml: nothing describes %s: put a comment that begins with # -- above it", path)
			}
			below, err := walk(value, path+".")
			if err != nil {
				return nil, err
			}
			out = append(out, below...)
			continue
		}
		shown, err := compact(value)
		if err != nil {
			return nil, err
		}
		out = append(out, Value{Path: path, Default: shown, Text: text})
	}
	return out, nil
}

// lastParagraph leaves out comments that are not directly above a key.
func lastParagraph(comment string) string {
	if i := strings.LastIndex(comment, "\n\n"); i >= 0 {
		return comment[i+2:]
	}
	return comment
}

// compact shows a value on one line.
func compact(n *yaml.Node) (string, error) {
	var v any
	if err := n.Decode(&v); err != nil {
		return "", err
	}
	if v == nil {
		return "", nil
	}
	b, err := json.Marshal(v)
	return string(b), err
}

// ObsoleteValues reads the list that the chart's notes are made from.
func ObsoleteValues(root string) (out []Obsolete, err error) {
	b, err := os.ReadFile(filepath.Join(root, "charts", "lintel", "files", "obsolete.yaml"))
	if err != nil {
		return nil, err
	}
	if err := sigsyaml.UnmarshalStrict(b, &out); err != nil {
		return nil, fmt.Errorf("render: obsolete.yaml: %w", err)
	}
	return out, nil
}

const pageHead = `# Values of the Helm chart

Where a name is one of MetalLB's chart it means the same, so that a file of values for that chart works here. What it sets that has
nothing to act on is [accepted and named](#values-without-effect) when the release is installed; a value that neither chart has is
refused, with its name.

| Value | Default | Meaning |
|---|---|---|
`

const pageObsolete = `
## Values without effect

The notes that Helm prints name those of these that are set.

| Value | Why | What to do |
|---|---|---|
`

// ValuesPage is the page of documentation about the values.
func ValuesPage(root string, values []byte) ([]byte, error) {
	documented, err := Documented(values)
	if err != nil {
		return nil, err
	}
	obsolete, err := ObsoleteValues(root)
	if err != nil {
		return nil, err
	}
	cell := strings.NewReplacer("|", `\|`, "\n", " ")
	var b strings.Builder
	b.WriteString(pageHead)
	for _, v := range documented {
		shown := ""
		if v.Default != "" {
			shown = "`" + cell.Replace(v.Default) + "`"
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s |\n", v.Path, shown, cell.Replace(v.Text))
	}
	b.WriteString(pageObsolete)
	for _, o := range obsolete {
		fmt.Fprintf(&b, "| `%s` | %s | %s |\n", o.Value, cell.Replace(o.Why), cell.Replace(o.Remedy))
	}
	return []byte(b.String()), nil
}
