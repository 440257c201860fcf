package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
)

// longestPattern is the longest one that is shown, in characters: beyond it the description says more.
const longestPattern = 60

// extension is how comments mark fields that MetalLB does not have.
const extension = "(extension)"

// table collects the fields of one part of a resource.
type table struct {
	rows [][]string
	// rules are those of CEL, in words.
	rules []string
}

// object takes the fields of an object; path is that of the object.
func (t *table) object(path string, s *apiextensionsv1.JSONSchemaProps) {
	t.validations(path, s)
	for _, name := range slices.Sorted(maps.Keys(s.Properties)) {
		field := s.Properties[name]
		t.field(path+"."+name, name, &field, slices.Contains(s.Required, name))
	}
}

// shown is a path without the part that it begins with.
func shown(path string) string {
	_, below, ok := strings.Cut(path, ".")
	if !ok {
		return path
	}
	return below
}

func (t *table) field(path, name string, s *apiextensionsv1.JSONSchemaProps, required bool) {
	var marks []string
	if required {
		marks = append(marks, "*required*")
	}
	if strings.Contains(s.Description, extension) {
		marks = append(marks, "*extension*")
	}
	t.rows = append(t.rows, []string{
		strings.Join(append([]string{"`" + shown(path) + "`"}, marks...), " "), typeOf(s), defaultOf(s), limits(s), meaning(name, s.Description),
	})
	inner, innerPath := s, path
	if s.Type == "array" && s.Items != nil && s.Items.Schema != nil {
		inner, innerPath = s.Items.Schema, path+"[]"
		t.validations(path, s)
	}
	switch {
	case wellKnown(inner) != "":
	case len(inner.Properties) > 0:
		t.object(innerPath, inner)
	default:
		t.validations(innerPath, inner)
	}
}

// validations takes the rules of CEL about a field.
func (t *table) validations(path string, s *apiextensionsv1.JSONSchemaProps) {
	for _, v := range s.XValidations {
		text := v.Message
		if text == "" {
			text = "`" + v.Rule + "`"
		}
		t.rules = append(t.rules, fmt.Sprintf("`%s`: %s", shown(path), escape(text)))
	}
}

// wellKnown names the types of Kubernetes whose fields are not listed.
func wellKnown(s *apiextensionsv1.JSONSchemaProps) string {
	has := func(names ...string) bool {
		for _, n := range names {
			if _, ok := s.Properties[n]; !ok {
				return false
			}
		}
		return len(s.Properties) == len(names)
	}
	switch {
	case has("matchLabels", "matchExpressions"):
		return "label selector"
	case has("type", "status", "reason", "message", "lastTransitionTime", "observedGeneration"):
		return "condition"
	case has("name", "namespace") && strings.HasPrefix(s.Description, "SecretReference"):
		return "reference to a Secret"
	}
	return ""
}

func typeOf(s *apiextensionsv1.JSONSchemaProps) string {
	switch {
	case s.Type == "array" && s.Items != nil && s.Items.Schema != nil:
		return "list of " + plural(typeOf(s.Items.Schema))
	case wellKnown(s) != "":
		return wellKnown(s)
	case s.Type == "object" && s.AdditionalProperties != nil && s.AdditionalProperties.Schema != nil:
		return "map of " + plural(typeOf(s.AdditionalProperties.Schema))
	case s.Format == "date-time":
		return "time"
	}
	return s.Type
}

func plural(word string) string {
	if strings.HasPrefix(word, "reference") || strings.HasPrefix(word, "list") {
		return word
	}
	return word + "s"
}

func defaultOf(s *apiextensionsv1.JSONSchemaProps) string {
	if s.Default == nil {
		return ""
	}
	text := string(s.Default.Raw)
	if text == "{}" {
		return ""
	}
	return "`" + text + "`"
}

// limits are what the schema says about values.
func limits(s *apiextensionsv1.JSONSchemaProps) string {
	var out []string
	switch {
	case s.Minimum != nil && s.Maximum != nil:
		out = append(out, fmt.Sprintf("%s to %s", number(*s.Minimum), number(*s.Maximum)))
	case s.Minimum != nil:
		out = append(out, "at least "+number(*s.Minimum))
	case s.Maximum != nil:
		out = append(out, "at most "+number(*s.Maximum))
	}
	for _, e := range s.Enum {
		var word string
		if err := json.Unmarshal(e.Raw, &word); err != nil {
			word = string(e.Raw)
		}
		out = append(out, "`"+word+"`")
	}
	if s.MinLength != nil && *s.MinLength > 0 {
		out = append(out, "not empty")
	}
	if s.MaxLength != nil {
		out = append(out, fmt.Sprintf("at most %d characters", *s.MaxLength))
	}
	if s.MinItems != nil && *s.MinItems > 0 {
		out = append(out, fmt.Sprintf("items: at least %d", *s.MinItems))
	}
	if s.MaxItems != nil {
		out = append(out, fmt.Sprintf("items: at most %d", *s.MaxItems))
	}
	if s.Pattern != "" && s.Type == "string" && len(s.Pattern) <= longestPattern {
		out = append(out, "`"+escape(s.Pattern)+"`")
	}
	if len(s.XListMapKeys) > 0 {
		out = append(out, "one item for each "+strings.Join(s.XListMapKeys, ", "))
	}
	return strings.Join(out, ", ")
}

func number(f float64) string { return fmt.Sprintf("%.0f", f) }

// meaning is a comment without its mark. Where it begins with the name of the field in Go, that
// becomes the name in the resource.
func meaning(name, description string) string {
	text := strings.ReplaceAll(cell(description), " "+extension, "")
	text = strings.TrimSpace(strings.ReplaceAll(text, extension, ""))
	first, rest, ok := strings.Cut(text, " ")
	if ok && first != name && strings.EqualFold(first, name) && first != strings.ToUpper(first[:1])+strings.ToLower(first[1:]) {
		return "`" + name + "` " + rest
	}
	return text
}

// cell is a text that fits into a cell of a table.
func cell(text string) string { return escape(strings.Join(strings.Fields(text), " ")) }

// escape keeps a text from being taken for the end of a cell, or for HTML.
func escape(text string) string {
	return strings.NewReplacer("|", `\|`, "<", "&lt;", ">", "&gt;").Replace(text)
}
