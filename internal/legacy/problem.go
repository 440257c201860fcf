package legacy

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Problem is one thing that is wrong with a configuration.
type Problem struct {
	// Path is that of the key, such as "peers[0].my-asn"; empty for the whole text.
	Path string
	// Line is counted from 1 in the text that was given; 0 where it is not known.
	Line int
	// Message says what is wrong and what to change.
	Message string
}

// String gives "path (line N): message".
func (p Problem) String() string {
	where := p.Path
	if p.Line > 0 {
		where = strings.TrimSpace(fmt.Sprintf("%s (line %d)", p.Path, p.Line))
	}
	if where == "" {
		return p.Message
	}
	return where + ": " + p.Message
}

// Error is everything that is wrong with a configuration, in the order of its lines.
type Error struct{ Problems []Problem }

func (e *Error) Error() string {
	lines := make([]string, len(e.Problems))
	for i, p := range e.Problems {
		lines[i] = p.String()
	}
	return "legacy: the configuration cannot be converted:\n  " + strings.Join(lines, "\n  ")
}

// failure makes an error of problems; nil where there are none.
func failure(problems []Problem) error {
	if len(problems) == 0 {
		return nil
	}
	slices.SortStableFunc(problems, func(a, b Problem) int { return cmp.Compare(a.Line, b.Line) })
	return &Error{Problems: problems}
}

// Errors about the input as a whole.
var (
	// ErrNoData is a ConfigMap whose data has no configuration.
	ErrNoData = errors.New("legacy: the ConfigMap has no configuration: want it under data.config")
	// ErrNotConfigMap is an object of another kind.
	ErrNotConfigMap = errors.New("legacy: not a ConfigMap: give a ConfigMap of apiVersion v1, or only the text of its data.config")
	// ErrManyDocuments is a file of several YAML documents.
	ErrManyDocuments = errors.New("legacy: the input has several YAML documents: give the ConfigMap alone")
	// ErrEmpty is a text without anything in it.
	ErrEmpty = errors.New("legacy: the configuration is empty")
)
