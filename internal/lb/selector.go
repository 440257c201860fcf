package lb

import (
	"fmt"

	"k8s.io/apimachinery/pkg/labels"
)

// Selector is a label selector that was checked when it was made. The zero value matches
// everything, as the empty LabelSelector does.
type Selector struct {
	sel labels.Selector
}

// NewSelector wraps a compiled selector.
func NewSelector(s labels.Selector) Selector { return Selector{sel: s} }

// Matches tells whether the labels satisfy the selector.
func (s Selector) Matches(set map[string]string) bool {
	return s.sel == nil || s.sel.Matches(labels.Set(set))
}

// String gives the selector in kubectl's syntax; empty for the one that matches all.
func (s Selector) String() string {
	if s.sel == nil {
		return ""
	}
	return s.sel.String()
}

// Equal tells whether two selectors are written alike.
func (s Selector) Equal(o Selector) bool { return s.String() == o.String() }

// MarshalText writes kubectl's syntax.
func (s Selector) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads kubectl's syntax.
func (s *Selector) UnmarshalText(b []byte) error {
	sel, err := labels.Parse(string(b))
	if err != nil {
		return fmt.Errorf("lb: selector %q: %w", b, err)
	}
	s.sel = sel
	return nil
}

// Selectors is a list that matches when any member does. What an empty list means is up to
// the field that holds it; use MatchesOrEmpty where empty stands for everything.
type Selectors []Selector

// Matches tells whether at least one selector matches.
func (s Selectors) Matches(set map[string]string) bool {
	for _, sel := range s {
		if sel.Matches(set) {
			return true
		}
	}
	return false
}

// MatchesOrEmpty tells whether the list is empty or a member matches.
func (s Selectors) MatchesOrEmpty(set map[string]string) bool {
	return len(s) == 0 || s.Matches(set)
}
