package legacy

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

// reader collects what is wrong while a text is read.
type reader struct {
	problems []Problem
	// entries counts what was read, and merging how deep merges are nested now. Aliases can
	// make a small text stand for a huge one, or for one without end.
	entries, merging int
	// skipped is how many lines of the file come before the text.
	skipped int
}

// Bounds that no configuration of people's making comes near.
const (
	maxEntries = 1 << 16
	maxMerging = 8
)

// value is a YAML value at a place in the text.
type value struct {
	r    *reader
	path string
	node *yaml.Node
}

// fields are the keys that a mapping may have, with what is done with their values.
type fields map[string]func(value)

func (v value) line() int {
	if v.node.Line == 0 {
		return 0
	}
	return v.node.Line + v.r.skipped
}

func (v value) problem(format string, args ...any) {
	v.r.problems = append(v.r.problems, Problem{Path: v.path, Line: v.line(), Message: fmt.Sprintf(format, args...)})
}

// empty tells whether the value is null, which is how a key without a value is read.
func (v value) empty() bool { return v.node.Kind == yaml.ScalarNode && v.node.Tag == "!!null" }

// pair is an entry of a mapping.
type pair struct {
	key   *yaml.Node
	value value
}

// pairs gives the entries of a mapping in their order; what is merged in with "<<" comes
// after those that the mapping has itself, which have precedence.
func (v value) pairs() []pair {
	if v.node.Kind != yaml.MappingNode {
		v.problem("must be a mapping of keys to values, not %s", v.what())
		return nil
	}
	var out, merged []pair
	seen := map[string]bool{}
	for i := 0; i+1 < len(v.node.Content); i += 2 {
		key := v.node.Content[i]
		if key.Tag == "!!merge" {
			merged = append(merged, v.at("<<", v.node.Content[i+1]).merged()...)
			continue
		}
		if v.full() {
			return nil
		}
		p := pair{key: key, value: v.at(key.Value, v.node.Content[i+1])}
		switch {
		case key.Kind != yaml.ScalarNode:
			v.problem("has a key that is not a text")
		case seen[key.Value]:
			value{v.r, p.value.path, key}.problem("is there twice: remove one of the two")
		default:
			out = append(out, p)
		}
		seen[key.Value] = true
	}
	for _, p := range merged {
		if !seen[p.key.Value] {
			seen[p.key.Value] = true
			p.value.path = v.child(p.key.Value)
			out = append(out, p)
		}
	}
	return out
}

// merged gives the entries of the mapping, or of the list of mappings, that is merged in.
func (v value) merged() (out []pair) {
	if v.r.merging >= maxMerging {
		v.problem("merges are nested too deep: write the keys out")
		return nil
	}
	v.r.merging++
	defer func() { v.r.merging-- }()
	if v.node.Kind != yaml.SequenceNode {
		return v.pairs()
	}
	for _, m := range v.items() {
		out = append(out, m.pairs()...)
	}
	return out
}

// full counts an entry, and tells whether there are too many.
func (v value) full() bool {
	v.r.entries++
	if v.r.entries == maxEntries {
		v.problem("the configuration has too many entries")
	}
	return v.r.entries >= maxEntries
}

// object reads a mapping with known keys.
func (v value) object(known fields) {
	if v.empty() {
		return
	}
	for _, p := range v.pairs() {
		read, ok := known[p.key.Value]
		if !ok {
			value{v.r, p.value.path, p.key}.problem("unknown key: want one of %s", strings.Join(slices.Sorted(maps.Keys(known)), ", "))
			continue
		}
		read(p.value)
	}
}

// items gives the items of a list; a null has none.
func (v value) items() []value {
	if v.empty() {
		return nil
	}
	if v.node.Kind != yaml.SequenceNode {
		v.problem("must be a list, not %s", v.what())
		return nil
	}
	var out []value
	for i, n := range v.node.Content {
		if v.full() {
			return nil
		}
		out = append(out, value{v.r, fmt.Sprintf("%s[%d]", v.path, i), resolve(n)})
	}
	return out
}

func (v value) at(key string, n *yaml.Node) value { return value{v.r, v.child(key), resolve(n)} }

func (v value) child(key string) string {
	if v.path == "" {
		return key
	}
	return v.path + "." + key
}

// resolve follows an alias to what it stands for.
func resolve(n *yaml.Node) *yaml.Node {
	if n.Kind == yaml.AliasNode {
		return n.Alias
	}
	return n
}

// what is the value in words for people.
func (v value) what() string {
	switch {
	case v.empty():
		return "empty"
	case v.node.Kind == yaml.MappingNode:
		return "a mapping"
	case v.node.Kind == yaml.SequenceNode:
		return "a list"
	}
	return strconv.Quote(v.node.Value)
}

// text gives a scalar as it is written; ok is false where it is none. An empty value is "".
func (v value) text() (s string, ok bool) {
	if v.empty() {
		return "", true
	}
	if v.node.Kind != yaml.ScalarNode {
		v.problem("must be a text, not %s", v.what())
		return "", false
	}
	return v.node.Value, true
}

// str reads a text.
func str(into *string) func(value) {
	return func(v value) {
		if s, ok := v.text(); ok {
			*into = s
		}
	}
}

// strs reads a list of texts.
func strs(into *[]string) func(value) {
	return func(v value) {
		for _, item := range v.items() {
			if s, ok := item.text(); ok {
				*into = append(*into, s)
			}
		}
	}
}

// number reads a whole number between two bounds.
func number[T int32 | uint32](into *T, low, high int64) func(value) {
	return func(v value) {
		if v.empty() {
			return
		}
		var n int64
		if v.node.Kind != yaml.ScalarNode || v.node.Decode(&n) != nil || n < low || n > high {
			v.problem("must be a number from %d to %d, not %s", low, high, v.what())
			return
		}
		*into = T(n)
	}
}

// optional reads a number that is told apart from none.
func optional(into **int32, low, high int64) func(value) {
	return func(v value) {
		if v.empty() {
			return
		}
		n := new(int32)
		number(n, low, high)(v)
		*into = n
	}
}

// boolean reads true or false, and the words that YAML 1.1 has for them.
func boolean(into *bool) func(value) {
	return func(v value) {
		if v.empty() {
			return
		}
		if v.node.Kind != yaml.ScalarNode || v.node.Decode(into) != nil {
			v.problem("must be true or false, not %s", v.what())
		}
	}
}

// duration reads a time such as 90s. What is not a whole number of seconds is cut, and
// noted.
func duration(into **time.Duration, note func(string)) func(value) {
	return func(v value) {
		s, ok := v.text()
		if !ok || s == "" {
			return
		}
		d, err := time.ParseDuration(s)
		if err != nil {
			v.problem("must be a time such as 90s or 1m30s, not %s", v.what())
			return
		}
		whole := d.Truncate(time.Second)
		if whole != d {
			note(fmt.Sprintf("%s %s is cut to whole seconds", v.path, s))
		}
		*into = &whole
	}
}
