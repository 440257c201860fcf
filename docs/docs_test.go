// Package docs_test holds the documents to the code: what exists is described, and what is
// described exists.
package docs_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/lintel-lb/lintel/internal/bfd"
	"github.com/lintel-lb/lintel/internal/bgp"
	"github.com/lintel-lb/lintel/internal/ipam"
	"github.com/lintel-lb/lintel/internal/kube/controller"
	"github.com/lintel-lb/lintel/internal/kube/speaker"
	"github.com/lintel-lb/lintel/internal/l2"
	"github.com/lintel-lb/lintel/internal/lb"
)

const root = ".."

func read(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// section gives the text under a heading of the second level.
func section(t *testing.T, page, heading string) string {
	t.Helper()
	_, text, found := strings.Cut(page, "\n## "+heading+"\n")
	if !found {
		t.Fatalf("there is no section %q", heading)
	}
	text, _, _ = strings.Cut(text, "\n## ")
	return text
}

// same complains about what is only in the code or only in the document.
func same(t *testing.T, where string, code, document []string) {
	t.Helper()
	if len(code) == 0 {
		t.Fatalf("%s: nothing was found in the code; was it moved?", where)
	}
	for _, c := range code {
		if !slices.Contains(document, c) {
			t.Errorf("%s says nothing about %s", where, c)
		}
	}
	for _, d := range document {
		if !slices.Contains(code, d) {
			t.Errorf("%s describes %s, which does not exist", where, d)
		}
	}
}

func TestEveryReasonIsExplained(t *testing.T) {
	page := read(t, "reasons.md")
	heading := regexp.MustCompile(`(?m)^### (\S+)$`)
	documented := func(name string) (out []string) {
		for _, m := range heading.FindAllStringSubmatch(section(t, page, name), -1) {
			out = append(out, m[1])
		}
		return out
	}
	var announcement, allocation []string
	for _, r := range lb.Reasons() {
		announcement = append(announcement, r.String())
	}
	for r := ipam.Reason(1); !strings.HasPrefix(r.String(), "Reason("); r++ {
		allocation = append(allocation, r.String())
	}
	same(t, "reasons.md, Announcement", announcement, documented("Announcement"))
	same(t, "reasons.md, Allocation", allocation, documented("Allocation"))
	same(t, "reasons.md, Configuration", configReasons(t), documented("Configuration"))
}

// configReasons are the values of the constants of type Reason in package config.
func configReasons(t *testing.T) (out []string) {
	t.Helper()
	for _, f := range parse(t, "internal/config") {
		ast.Inspect(f, func(n ast.Node) bool {
			spec, ok := n.(*ast.ValueSpec)
			if !ok || len(spec.Values) == 0 {
				return true
			}
			if id, ok := spec.Type.(*ast.Ident); ok && id.Name == "Reason" {
				out = append(out, literal(spec.Values[0]))
			}
			return true
		})
	}
	return out
}

// parse gives the files of a package, without its tests.
func parse(t *testing.T, dir string) (out []*ast.File) {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(root, dir, "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range paths {
		if strings.HasSuffix(path, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, f)
	}
	return out
}

// literal gives the value of a string literal; anything else gives "".
func literal(e ast.Expr) string {
	if l, ok := e.(*ast.BasicLit); ok && l.Kind == token.STRING {
		if s, err := strconv.Unquote(l.Value); err == nil {
			return s
		}
	}
	return ""
}

// stringArgs gives the string literal at position i of every call of a method whose name matches.
func stringArgs(t *testing.T, dir string, method *regexp.Regexp, i int) (out []string) {
	t.Helper()
	for _, f := range parse(t, dir) {
		ast.Inspect(f, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok || len(call.Args) <= i {
				return true
			}
			sel, ok := call.Fun.(*ast.SelectorExpr)
			if !ok || !method.MatchString(sel.Sel.Name) {
				return true
			}
			if s := literal(call.Args[i]); s != "" {
				out = append(out, s)
			}
			return true
		})
	}
	return out
}

func TestEveryFlagIsDescribed(t *testing.T) {
	method := regexp.MustCompile(`^(String|StringArray|StringSlice|Int|Bool|Duration)VarP?$`)
	var flags []string
	for _, name := range slices.Concat(stringArgs(t, "cmd/lintel", method, 1), stringArgs(t, "internal/cli", method, 1), ignoredFlags(t)) {
		flags = append(flags, "--"+name)
	}
	page := read(t, "flags.md")
	same(t, "flags.md", flags, firstColumn(page, regexp.MustCompile("`(--[a-z0-9-]+)`")))
	for _, name := range stringArgs(t, "cmd/lintel", regexp.MustCompile(`^Getenv$`), 0) {
		if !strings.Contains(page, "`"+name+"`") {
			t.Errorf("flags.md says nothing about the environment variable %s", name)
		}
	}
}

func TestEveryEventIsDescribed(t *testing.T) {
	page := section(t, read(t, "reasons.md"), "Events")
	written := regexp.MustCompile(`^Eventf?$`)
	events := slices.Concat(
		stringArgs(t, "internal/kube/controller", written, 2),
		stringArgs(t, "internal/kube/speaker", written, 2))
	for _, f := range parse(t, "internal/ipam") {
		ast.Inspect(f, func(n ast.Node) bool {
			if spec, ok := n.(*ast.ValueSpec); ok && strings.HasPrefix(spec.Names[0].Name, "Event") && len(spec.Values) == 1 {
				if s := literal(spec.Values[0]); s != string(ipam.Normal) && s != string(ipam.Warning) {
					events = append(events, s)
				}
			}
			return true
		})
	}
	if len(events) < 10 {
		t.Fatalf("only %v were found in the code", events)
	}
	for _, e := range events {
		if !strings.Contains(page, "`"+e+"`") {
			t.Errorf("reasons.md says nothing about the event %s", e)
		}
	}
}

// ignoredFlags are those that are accepted for compatibility: the lists given to a method add.
func ignoredFlags(t *testing.T) (out []string) {
	t.Helper()
	for _, f := range parse(t, "cmd/lintel") {
		ast.Inspect(f, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok {
				return true
			}
			if sel, ok := call.Fun.(*ast.SelectorExpr); !ok || sel.Sel.Name != "add" {
				return true
			}
			for _, arg := range call.Args {
				if list, ok := arg.(*ast.CompositeLit); ok {
					for _, e := range list.Elts {
						out = append(out, literal(e))
					}
				}
			}
			return true
		})
	}
	return out
}

// firstColumn gives what matches in the first column of the tables of a page.
func firstColumn(page string, what *regexp.Regexp) (out []string) {
	for line := range strings.Lines(page) {
		cells := strings.Split(line, "|")
		if len(cells) < 3 || cells[0] != "" {
			continue
		}
		for _, m := range what.FindAllStringSubmatch(cells[1], -1) {
			out = append(out, m[1])
		}
	}
	return out
}

// engine has one address, so that its collector has something to describe.
type engine struct{}

func (engine) Snapshot() l2.State {
	return l2.State{Addresses: map[netip.Addr]l2.AddressState{netip.MustParseAddr("192.0.2.1"): {}}}
}

type sessions struct{}

func (sessions) Snapshot() map[string]bgp.Status { return nil }

type paths struct{}

func (paths) Snapshot() bfd.Snapshot { return bfd.Snapshot{} }

// names collects the names of the metrics that are registered.
type names struct {
	prometheus.Registerer
	found []string
}

func (n *names) Register(c prometheus.Collector) error {
	ch := make(chan *prometheus.Desc)
	go func() {
		defer close(ch)
		c.Describe(ch)
	}()
	name := regexp.MustCompile(`fqName: "([^"]+)"`)
	for d := range ch {
		n.found = append(n.found, name.FindStringSubmatch(d.String())[1])
	}
	return nil
}

func TestEveryMetricIsDescribed(t *testing.T) {
	var n names
	if _, err := controller.NewMetrics(&n); err != nil {
		t.Fatal(err)
	}
	if _, err := speaker.NewMetrics(&n, engine{}, sessions{}, paths{}); err != nil {
		t.Fatal(err)
	}
	same(t, "metrics.md", n.found, firstColumn(read(t, "metrics.md"), regexp.MustCompile("`([a-z0-9_]+)`")))
}

func TestEveryExtensionIsDescribed(t *testing.T) {
	page := read(t, "extensions.md")
	found := 0
	for _, dir := range []string{"api/v1beta1", "api/v1beta2"} {
		for _, f := range parse(t, dir) {
			ast.Inspect(f, func(n ast.Node) bool {
				field, ok := n.(*ast.Field)
				if !ok || field.Tag == nil || !strings.Contains(field.Doc.Text(), "(extension)") {
					return true
				}
				found++
				tag, err := strconv.Unquote(field.Tag.Value)
				if err != nil {
					t.Fatal(err)
				}
				name, _, _ := strings.Cut(reflect.StructTag(tag).Get("json"), ",")
				if !strings.Contains(page, name+":") && !strings.Contains(page, "`"+name+"`") {
					t.Errorf("extensions.md says nothing about the field %s", name)
				}
				return true
			})
		}
	}
	if found == 0 {
		t.Fatal("no extension was found in the resources")
	}
}

// pages are the documents of the whole project.
func pages(t *testing.T) (out []string) {
	t.Helper()
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && slices.Contains([]string{".git", ".lab", "bin", "dist", "node_modules", "testdata"}, d.Name()) {
			return fs.SkipDir
		}
		if !d.IsDir() && strings.HasSuffix(path, ".md") {
			out = append(out, path)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(out) == 0 {
		t.Fatal("no document was found")
	}
	return out
}

func TestNoPathsOfOneMachine(t *testing.T) {
	machine := regexp.MustCompile(`(^|[^A-Za-z0-9._-])/(work|root|home)/[a-z]`)
	for _, path := range pages(t) {
		for i, line := range strings.Split(read(t, path), "\n") {
			if machine.MatchString(line) {
				t.Errorf("%s:%d names a path of one machine: %s", path, i+1, line)
			}
		}
	}
}
