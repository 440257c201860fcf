package docpage

import (
	"errors"
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"
)

// Kind is what a step does.
type Kind int

// The kinds of steps.
const (
	// Run runs Text as a script.
	Run Kind = iota + 1
	// Write writes Text to the file Name.
	Write
	// Apply gives Text to kubectl apply.
	Apply
)

// Step is one thing to carry out.
type Step struct {
	// Line is that of the page where the step's text begins.
	Line int
	Kind Kind
	Text string
	// Name is that of the file to write.
	Name string
	// Host is where a script runs; empty means where the page is tried.
	Host string
	// Retry is how long a script is repeated until it succeeds and prints what it should;
	// 0 means once.
	Retry time.Duration
	// Fails tells that the script must not succeed.
	Fails bool
	// Output is what the script must print, see Matches; empty means anything.
	Output string
}

// Page is a page as it is tried.
type Page struct {
	Steps []Step
	// Skipped are the blocks that are not run: their lines, with the reasons.
	Skipped map[int]string
}

// block is a fenced block.
type block struct {
	line     int
	language string
	text     string
}

// directive is an HTML comment for this package.
type directive struct {
	line int
	// words are those of the first line, without "lab:".
	words string
	// body is what follows the first line.
	body string
}

// Parse reads a page. The error tells everything that is wrong, with lines.
func Parse(page string) (*Page, error) {
	p := &parser{page: &Page{Skipped: map[int]string{}}}
	p.read(page)
	return p.page, errors.Join(p.problems...)
}

// Languages gives the languages of the fenced blocks of a page, by line; a block without
// language has "".
func Languages(page string) map[int]string {
	out := map[int]string{}
	p := &parser{page: &Page{Skipped: map[int]string{}}, seen: func(b block) { out[b.line] = b.language }}
	p.read(page)
	return out
}

type parser struct {
	page     *Page
	problems []error
	// pending is a directive whose block has not come yet.
	pending *directive
	replace []string
	seen    func(block)
}

func (p *parser) problem(line int, format string, args ...any) {
	p.problems = append(p.problems, fmt.Errorf("line %d: "+format, append([]any{line}, args...)...))
}

// fence opens a block.
var fence = regexp.MustCompile("^(\\s{0,3})(`{3,}|~{3,})\\s*(\\S*)")

// deepFence is one that Markdown takes for text, or for part of a list in a list.
var deepFence = regexp.MustCompile("^\\s{4,}(`{3,}|~{3,})")

// read goes through the lines of a page.
func (p *parser) read(page string) {
	lines := strings.Split(page, "\n")
	for i := 0; i < len(lines); i++ {
		line := i + 1
		switch m := fence.FindStringSubmatch(lines[i]); {
		case m != nil:
			end := i + 1
			for end < len(lines) && !closes(lines[end], m[2]) {
				end++
			}
			if end == len(lines) {
				p.problem(line, "the block does not end")
			}
			text := lines[i+1 : end]
			for j := range text {
				text[j] = strings.TrimPrefix(text[j], m[1])
			}
			p.block(block{line: line, language: m[3], text: strings.Join(text, "\n") + "\n"})
			i = end
		case strings.HasPrefix(strings.TrimSpace(lines[i]), "<!-- lab:"):
			end := i
			for end < len(lines) && !strings.Contains(lines[end], "-->") {
				end++
			}
			if end == len(lines) {
				p.problem(line, "the comment does not end")
				return
			}
			text := strings.TrimPrefix(strings.TrimSpace(strings.Join(lines[i:end+1], "\n")), "<!-- lab:")
			text, after, _ := strings.Cut(text, "-->")
			if strings.TrimSpace(after) != "" {
				p.problem(line, "there is text after the comment")
			}
			words, body, _ := strings.Cut(text, "\n")
			p.directive(directive{line: line, words: strings.TrimSpace(words), body: body})
			i = end
		case deepFence.MatchString(lines[i]):
			p.problem(line, "a block that is indented by more than three spaces is not read")
		case strings.TrimSpace(lines[i]) != "":
			p.lonely()
		}
	}
	p.lonely()
}

func closes(line, mark string) bool {
	line = strings.TrimSpace(line)
	return len(line) >= len(mark) && strings.Trim(line, mark[:1]) == ""
}

// lonely complains about a directive that no block follows.
func (p *parser) lonely() {
	if p.pending != nil {
		p.problem(p.pending.line, "no block follows %q", p.pending.words)
		p.pending = nil
	}
}

// directive takes a comment.
func (p *parser) directive(d directive) {
	p.lonely()
	verb, rest, _ := strings.Cut(d.words, " ")
	switch verb {
	case "replace":
		words := strings.Fields(rest)
		if len(words) != 2 {
			p.problem(d.line, "want replace OLD NEW")
			return
		}
		p.replace = append(p.replace, words...)
	case "run", "run;":
		s := Step{Line: d.line + 1, Kind: Run, Text: p.replaced(d.body)}
		if strings.TrimSpace(d.body) == "" {
			p.problem(d.line, "run has no commands: they begin on the next line")
			return
		}
		if p.modify(&s, d, strings.TrimPrefix(strings.TrimPrefix(d.words, "run"), ";")) {
			p.page.Steps = append(p.page.Steps, s)
		}
	default:
		p.pending = &d
	}
}

// block takes a fenced block, with the directive before it.
func (p *parser) block(b block) {
	if p.seen != nil {
		p.seen(b)
	}
	d := p.pending
	p.pending = nil
	s := Step{Line: b.line + 1, Text: p.replaced(b.text)}
	if d == nil {
		if b.language == "sh" {
			s.Kind = Run
			p.page.Steps = append(p.page.Steps, s)
		}
		return
	}
	verb, rest, _ := strings.Cut(d.words, " ")
	rest = strings.TrimSpace(rest)
	switch verb {
	case "skip":
		if len(rest) < 3 || rest[0] != '(' || rest[len(rest)-1] != ')' {
			p.problem(d.line, "want skip (REASON)")
			return
		}
		p.page.Skipped[b.line] = rest[1 : len(rest)-1]
	case "file":
		if !filepath.IsLocal(rest) || strings.ContainsAny(rest, " ;") {
			p.problem(d.line, "want file NAME, with a name below the working directory")
			return
		}
		s.Kind, s.Name = Write, rest
		p.page.Steps = append(p.page.Steps, s)
	case "apply":
		s.Kind = Apply
		p.page.Steps = append(p.page.Steps, s)
	case "output":
		last := len(p.page.Steps) - 1
		if last < 0 || p.page.Steps[last].Kind != Run || p.page.Steps[last].Output != "" {
			p.problem(d.line, "output follows a block that is run")
			return
		}
		p.page.Steps[last].Output = s.Text
	default:
		if b.language != "sh" {
			p.problem(d.line, "%q is for blocks of the language sh", d.words)
			return
		}
		s.Kind = Run
		if p.modify(&s, *d, d.words) {
			p.page.Steps = append(p.page.Steps, s)
		}
	}
}

// modify applies "on", "retry" and "fails".
func (p *parser) modify(s *Step, d directive, words string) bool {
	for part := range strings.SplitSeq(words, ";") {
		f := strings.Fields(part)
		switch {
		case len(f) == 0 && strings.TrimSpace(words) == "":
		case len(f) == 2 && f[0] == "on":
			s.Host = f[1]
		case len(f) == 1 && f[0] == "fails":
			s.Fails = true
		case len(f) == 2 && f[0] == "retry":
			t, err := time.ParseDuration(f[1])
			if err != nil || t <= 0 {
				p.problem(d.line, "want retry DURATION, such as 30s")
				return false
			}
			s.Retry = t
		default:
			p.problem(d.line, "unknown directive %q: want skip, on, retry, fails, file, apply, output, replace or run", strings.TrimSpace(part))
			return false
		}
	}
	return true
}

// replaced applies the replacements, each to what the ones before have made.
func (p *parser) replaced(text string) string {
	for pair := range slices.Chunk(p.replace, 2) {
		text = strings.ReplaceAll(text, pair[0], pair[1])
	}
	return text
}
