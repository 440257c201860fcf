package docpage

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// fenced writes pages with ' in place of the backquote.
func fenced(s string) string { return strings.ReplaceAll(s, "'", "`") }

func TestParse(t *testing.T) {
	page := fenced(`# Title

<!-- lab: replace 192.0.2. 10.89.0. -->

'''sh
kubectl get 192.0.2.1
kubectl get b
'''
<!-- lab: output -->

'''text
NAME  AGE
a     ...
'''

<!-- lab: file pool.yaml -->
'''yaml
a: 192.0.2.1
'''
<!-- lab: apply -->
'''yaml
b: 2
'''
'''yaml
c: not applied
'''
<!-- lab: skip (needs a registry) -->
'''sh
docker push
'''
<!-- an ordinary comment -->
<!-- lab: on c1; retry 20s -->
'''sh
curl
'''
1. In a list:

   <!-- lab: fails -->
   '''sh
   false
   '''
<!-- lab: run; retry 5s
hidden 1
hidden 2
-->
~~~~sh
'''
~~~~
    indented
`)
	got, err := Parse(page)
	if err != nil {
		t.Fatal(err)
	}
	want := &Page{
		Steps: []Step{
			{Line: 6, Kind: Run, Text: "kubectl get 10.89.0.1\nkubectl get b\n", Output: "NAME  AGE\na     ...\n"},
			{Line: 18, Kind: Write, Text: "a: 10.89.0.1\n", Name: "pool.yaml"},
			{Line: 22, Kind: Apply, Text: "b: 2\n"},
			{Line: 34, Kind: Run, Text: "curl\n", Host: "c1", Retry: 20 * time.Second},
			{Line: 40, Kind: Run, Text: "false\n", Fails: true},
			{Line: 43, Kind: Run, Text: "hidden 1\nhidden 2\n", Retry: 5 * time.Second},
			{Line: 47, Kind: Run, Text: "```\n"},
		},
		Skipped: map[int]string{28: "needs a registry"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	languages := map[int]string{5: "sh", 11: "text", 17: "yaml", 21: "yaml", 24: "yaml", 28: "sh", 33: "sh", 39: "sh", 46: "sh"}
	if diff := cmp.Diff(languages, Languages(page)); diff != "" {
		t.Errorf("languages (-want +got)\n%s", diff)
	}
}

func TestMistakes(t *testing.T) {
	for name, row := range map[string]struct{ page, want string }{
		"no block":        {"<!-- lab: apply -->\ntext", `line 1: no block follows "apply"`},
		"at the end":      {"<!-- lab: apply -->", `line 1: no block follows "apply"`},
		"two":             {"<!-- lab: apply -->\n<!-- lab: apply -->\n'''yaml\n'''", `line 1: no block follows "apply"`},
		"open block":      {"'''sh\na", "line 1: the block does not end"},
		"deep block":      {"    '''sh\n    '''", "line 1: a block that is indented"},
		"open comment":    {"<!-- lab: run\na", "line 1: the comment does not end"},
		"text after":      {"<!-- lab: apply --> x\n'''yaml\n'''", "line 1: there is text after the comment"},
		"no reason":       {"<!-- lab: skip -->\n'''sh\n'''", "line 1: want skip (REASON)"},
		"empty reason":    {"<!-- lab: skip () -->\n'''sh\n'''", "line 1: want skip (REASON)"},
		"file outside":    {"<!-- lab: file ../a -->\n'''yaml\n'''", "line 1: want file NAME"},
		"no commands":     {"<!-- lab: run -->", "line 1: run has no commands"},
		"unknown":         {"<!-- lab: dance -->\n'''sh\n'''", `line 1: unknown directive "dance"`},
		"duration":        {"<!-- lab: retry long -->\n'''sh\n'''", "line 1: want retry DURATION"},
		"language":        {"<!-- lab: retry 1s -->\n'''yaml\n'''", "line 1: \"retry 1s\" is for blocks of the language sh"},
		"output of none":  {"<!-- lab: output -->\n'''text\n'''", "line 1: output follows a block that is run"},
		"half a replace":  {"<!-- lab: replace a -->", "line 1: want replace OLD NEW"},
		"empty directive": {"<!-- lab: on c1; -->\n'''sh\n'''", "unknown directive"},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := Parse(fenced(row.page)); err == nil || !strings.Contains(err.Error(), row.want) {
				t.Errorf("got %v, want %s", err, row.want)
			}
		})
	}
}

func TestMatches(t *testing.T) {
	const got = "NAME   AGE\nweb    3s\nother  4s\n"
	for want, ok := range map[string]bool{
		"":                       true,
		"NAME AGE\n":             true,
		"NAME AGE\nother ...\n":  true,
		"web ...\n\nother 4s\n":  true,
		"other ...\nweb ...\n":   false,
		"NAME\n":                 false,
		"web 3s\nweb 3s\n":       false,
		"w.b 3s\n":               false,
		"n... AGE\n":             false,
		"...AGE\nweb...\n...4s ": true,
	} {
		if err := Matches(want, got); (err == nil) != ok {
			t.Errorf("%q: %v", want, err)
		}
	}
}
