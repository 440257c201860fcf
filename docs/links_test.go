package docs_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"
)

func TestLinksLeadSomewhere(t *testing.T) {
	checked := 0
	for _, path := range pages(t) {
		for _, l := range links(read(t, path)) {
			checked++
			if err := follow(path, l.target); err != nil {
				t.Errorf("%s:%d: %v", path, l.line, err)
			}
		}
	}
	if checked < 20 {
		t.Errorf("only %d links were found", checked)
	}
}

// link is where a page leads.
type link struct {
	line   int
	target string
}

// links gives the links of a page: those in the text, definitions of references, and those
// of HTML. What looks like a link in code is none.
func links(page string) (out []link) {
	forms := []*regexp.Regexp{
		regexp.MustCompile(`\]\(\s*<?([^)\s>]*)>?(?:\s+"[^"]*")?\s*\)`),
		regexp.MustCompile(`^\s{0,3}\[[^\]]+\]:\s+<?([^\s>]+)`),
		regexp.MustCompile(`(?:href|src)="([^"]*)"`),
	}
	for i, text := range prose(page) {
		for _, form := range forms {
			for _, m := range form.FindAllStringSubmatch(text, -1) {
				out = append(out, link{line: i + 1, target: m[1]})
			}
		}
	}
	return out
}

// prose gives the lines of a page, emptied of code and comments.
func prose(page string) []string {
	code := regexp.MustCompile("`+[^`]*`+")
	comment := regexp.MustCompile(`(?s)<!--.*?-->`)
	page = comment.ReplaceAllStringFunc(page, func(s string) string { return strings.Repeat("\n", strings.Count(s, "\n")) })
	lines := strings.Split(page, "\n")
	fence := ""
	for i, text := range lines {
		trimmed := strings.TrimSpace(text)
		mark := trimmed[:len(trimmed)-len(strings.TrimLeft(trimmed, "`~"))]
		switch {
		case fence == "" && len(mark) >= 3:
			fence, lines[i] = mark, ""
		case fence != "":
			lines[i] = ""
			if strings.HasPrefix(trimmed, fence) && strings.Trim(trimmed, fence[:1]) == "" {
				fence = ""
			}
		case strings.HasPrefix(text, "    "):
			// Code, or a paragraph of a list, in which links are read where the text is no code.
			if i > 0 && strings.TrimSpace(lines[i-1]) == "" && !inList(lines[:i]) {
				lines[i] = "    "
			}
		}
		lines[i] = code.ReplaceAllString(lines[i], "")
	}
	return lines
}

// inList tells whether the last text that is not indented begins an item of a list.
func inList(lines []string) bool {
	item := regexp.MustCompile(`^\s{0,3}([-*+]|\d+[.)])\s`)
	for _, text := range slices.Backward(lines) {
		if strings.TrimSpace(text) != "" && !strings.HasPrefix(text, "  ") {
			return item.MatchString(text)
		}
	}
	return false
}

// follow says why a link of a page leads nowhere. Addresses of the web are not asked.
func follow(page, target string) error {
	if strings.Contains(target, "://") || strings.HasPrefix(target, "mailto:") {
		return nil
	}
	if target == "" {
		return errors.New("a link has no target")
	}
	file, anchor, _ := strings.Cut(target, "#")
	if filepath.IsAbs(file) {
		return fmt.Errorf("the link to %s must be relative: it leads elsewhere outside of one website", target)
	}
	to := page
	if file != "" {
		to = filepath.Join(filepath.Dir(page), file)
	}
	if outside(to) {
		return fmt.Errorf("the link to %s leads out of the repository", target)
	}
	info, err := os.Stat(to)
	if err != nil {
		return fmt.Errorf("the link to %s leads nowhere", target)
	}
	if anchor == "" {
		return nil
	}
	if info.IsDir() || filepath.Ext(to) != ".md" {
		return fmt.Errorf("the link to %s has an anchor, and %s has no headings", target, to)
	}
	text, err := os.ReadFile(to)
	if err != nil {
		return err
	}
	if !slices.Contains(anchors(string(text)), anchor) {
		return fmt.Errorf("%s has no heading for the link to %s", to, target)
	}
	return nil
}

// outside tells whether a path is not below the root of the repository.
func outside(path string) bool {
	top, err := filepath.Abs(root)
	if err != nil {
		return true
	}
	abs, err := filepath.Abs(path)
	if err != nil {
		return true
	}
	below, err := filepath.Rel(top, abs)
	return err != nil || !filepath.IsLocal(below)
}

// anchors gives the fragments of a page: those that its headings get on GitHub, numbered
// where a heading comes again, and those that HTML gives.
func anchors(page string) (out []string) {
	heading := regexp.MustCompile(`^#{1,6}\s+(.*?)\s*#*\s*$`)
	named := regexp.MustCompile(`(?:id|name)="([^"]+)"`)
	seen := map[string]int{}
	lines := strings.Split(page, "\n")
	for i, text := range prose(page) {
		for _, m := range named.FindAllStringSubmatch(text, -1) {
			out = append(out, m[1])
		}
		if !heading.MatchString(text) {
			continue
		}
		// prose has taken the code out of the line, and a heading may have some.
		slug := slug(heading.FindStringSubmatch(lines[i])[1])
		if n := seen[slug]; n > 0 {
			out = append(out, fmt.Sprintf("%s-%d", slug, n))
		} else {
			out = append(out, slug)
		}
		seen[slug]++
	}
	return out
}

// slug is the fragment of a heading.
func slug(heading string) string {
	text := regexp.MustCompile(`\[([^\]]*)\]\([^)]*\)`).ReplaceAllString(heading, "$1")
	return strings.Map(func(c rune) rune {
		switch {
		case unicode.IsLetter(c), unicode.IsDigit(c):
			return unicode.ToLower(c)
		case c == ' ':
			return '-'
		case c == '-', c == '_':
			return c
		}
		return -1
	}, text)
}

func TestLinkChecker(t *testing.T) {
	dir := filepath.Join("testdata", "links")
	page := filepath.Join(dir, "page.md")
	var found []string
	for _, l := range links(read(t, page)) {
		if err := follow(page, l.target); err != nil {
			found = append(found, fmt.Sprintf("%d: %s", l.line, l.target))
		}
	}
	want := []string{"7: none.md", "8: other.md#none", "9: ../../../../outside.md", "10: /docs/layer2.md", "11: ", "12: gone.md", "13: none.png", "14: other.md#heading-2"}
	if !slices.Equal(found, want) {
		t.Errorf("found %q, want %q", found, want)
	}
	if got := anchors("# A `code` and [link](x)\n## A b\n## A b\n```\n# no\n```\n## Über_uns: x-y\n"); !slices.Equal(got, []string{"a-code-and-link", "a-b", "a-b-1", "über_uns-x-y"}) {
		t.Errorf("anchors %q", got)
	}
}
