package docs

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/lintel-lb/lintel/lab/docpage"
	"github.com/lintel-lb/lintel/lab/e2e/install"
	"github.com/lintel-lb/lintel/lab/labtest"
)

// TestPages carries out every page. A page has a namespace of its own, which is the one of
// kubectl's context, and a working directory that looks like the repository.
func TestPages(t *testing.T) {
	paths, err := docpage.Pages(install.Root())
	if err != nil {
		t.Fatal(err)
	}
	steps := 0
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		page, err := docpage.Parse(string(text))
		if err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		steps += len(page.Steps)
		if len(page.Steps) == 0 {
			continue
		}
		t.Run(filepath.Base(path), func(t *testing.T) {
			r := newReader(t, labtest.New(t), path)
			for _, s := range page.Steps {
				if err := r.carryOut(t.Context(), s); err != nil {
					t.Fatalf("%s:%d: %v", path, s.Line, err)
				}
			}
		})
	}
	if steps == 0 {
		t.Error("no page has anything to try")
	}
}

// A page of the test's own tries what pages can say, and that what is wrong is found.
func TestRunner(t *testing.T) {
	r := newReader(t, labtest.New(t), "runner")
	for name, row := range map[string]struct {
		step docpage.Step
		ok   bool
	}{
		"kubectl":             {docpage.Step{Kind: docpage.Run, Text: "kubectl get pods\nkubectl lintel status\nlintel version\ntest -d config"}, true},
		"a line that fails":   {docpage.Step{Kind: docpage.Run, Text: "false\ntrue"}, false},
		"a pipe that fails":   {docpage.Step{Kind: docpage.Run, Text: "false | true"}, false},
		"an unset variable":   {docpage.Step{Kind: docpage.Run, Text: "echo $nobody_sets_this"}, false},
		"failure is wanted":   {docpage.Step{Kind: docpage.Run, Text: "kubectl get pod none", Fails: true}, true},
		"failure that is not": {docpage.Step{Kind: docpage.Run, Text: "true", Fails: true}, false},
		"output":              {docpage.Step{Kind: docpage.Run, Text: "echo one two", Output: "one   two\n"}, true},
		"other output":        {docpage.Step{Kind: docpage.Run, Text: "echo one", Output: "two\n"}, false},
		"on a client":         {docpage.Step{Kind: docpage.Run, Text: "ip -brief address", Host: "c1", Output: "...10.89.0.101...\n"}, true},
		"on no host":          {docpage.Step{Kind: docpage.Run, Text: "true", Host: "nowhere"}, false},
		"in the end":          {docpage.Step{Kind: docpage.Run, Text: "test -e again || { touch again; false; }", Retry: second * 10}, true},
		"never":               {docpage.Step{Kind: docpage.Run, Text: "false", Retry: second}, false},
		"a file":              {docpage.Step{Kind: docpage.Write, Name: "deep/pool.yaml", Text: "text"}, true},
		"an object":           {docpage.Step{Kind: docpage.Apply, Text: `{apiVersion: v1, kind: ConfigMap, metadata: {name: a}}`}, true},
		"a wrong object":      {docpage.Step{Kind: docpage.Apply, Text: `{apiVersion: v1, kind: ConfigMap, metadata: {name: A}}`}, false},
	} {
		if err := r.carryOut(t.Context(), row.step); (err == nil) != row.ok {
			t.Errorf("%s: %v", name, err)
		}
	}
	if b, err := os.ReadFile(filepath.Join(r.dir, "deep", "pool.yaml")); err != nil || string(b) != "text" {
		t.Errorf("the file holds %q, %v", b, err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), second)
	defer cancel()
	if err := r.carryOut(ctx, docpage.Step{Kind: docpage.Run, Text: "sleep 60"}); err == nil {
		t.Error("a script that hangs is taken for one that works")
	}
}
