package docpage

import (
	"fmt"
	"regexp"
	"strings"
)

// Matches says where what was printed differs from what a page says. Every line of the page
// must be there, in the same order; lines in between do not matter, nor does how many spaces
// there are. "..." stands for any text.
func Matches(want, got string) error {
	lines := strings.Split(got, "\n")
	for w := range strings.Lines(want) {
		w = squeeze(w)
		if w == "" {
			continue
		}
		parts := strings.Split(w, "...")
		for i := range parts {
			parts[i] = regexp.QuoteMeta(parts[i])
		}
		match := regexp.MustCompile("^" + strings.Join(parts, ".*") + "$")
		found := false
		for len(lines) > 0 && !found {
			found = match.MatchString(squeeze(lines[0]))
			lines = lines[1:]
		}
		if !found {
			return fmt.Errorf("the output has no line %q at its place", w)
		}
	}
	return nil
}

// squeeze makes every run of white space one space.
func squeeze(s string) string { return strings.Join(strings.Fields(s), " ") }
