package config

import (
	"fmt"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/lintel-lb/lintel/internal/lb"
)

type labelSelectors = []metav1.LabelSelector

// parseSelectors compiles a list of label selectors. Duplicates are refused at every
// level, whatever their order: values in an expression, expressions in a selector,
// selectors in the list.
func parseSelectors(field string, in labelSelectors) (lb.Selectors, *refusal) {
	var out lb.Selectors
	seen := map[string]bool{}
	for i := range in {
		sel, text, r := parseSelector(&in[i])
		if r != nil {
			return nil, r.within("%s[%d]: ", field, i)
		}
		if seen[text] {
			return nil, refuse(ReasonInvalidSelector, "duplicate definition of %s %q: remove one of the two", field, sel)
		}
		seen[text] = true
		out = append(out, sel)
	}
	return out, nil
}

// parseSelector compiles one selector and gives a text that is the same for selectors
// that are written alike but for order.
func parseSelector(in *metav1.LabelSelector) (lb.Selector, string, *refusal) {
	var parts []string
	for k, v := range in.MatchLabels {
		parts = append(parts, fmt.Sprintf("label %q %q", k, v))
	}
	var expressions []string
	for _, e := range in.MatchExpressions {
		if v, dup := repeated(e.Values); dup {
			return lb.Selector{}, "", refuse(ReasonInvalidSelector,
				"duplicate definition of match expression value in label selector: %q comes twice for key %q", v, e.Key)
		}
		expressions = append(expressions, fmt.Sprintf("expression %q %q %q", e.Key, e.Operator, slices.Sorted(slices.Values(e.Values))))
	}
	if text, dup := repeated(expressions); dup {
		return lb.Selector{}, "", refuse(ReasonInvalidSelector, "duplicate definition of match expressions: %s comes twice", text)
	}
	parts = append(parts, expressions...)
	slices.Sort(parts)
	sel, err := metav1.LabelSelectorAsSelector(in)
	if err != nil {
		return lb.Selector{}, "", refuse(ReasonInvalidSelector, "cannot be used: %v", err)
	}
	return lb.NewSelector(sel), strings.Join(parts, "\n"), nil
}
