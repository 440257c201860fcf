package legacy_test

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"

	"github.com/lintel-lb/lintel/internal/legacy"
)

var update = flag.Bool("update", false, "rewrite the expected outputs")

// convert gives what is printed: the objects, or the error.
func convert(input []byte) string {
	src, err := legacy.Find(input)
	if err != nil {
		return err.Error() + "\n"
	}
	namespace := src.Namespace
	if namespace == "" {
		namespace = "metallb-system"
	}
	result, err := legacy.Convert(src, namespace)
	if err != nil {
		return err.Error() + "\n"
	}
	out, err := result.YAML(nil)
	if err != nil {
		return err.Error() + "\n"
	}
	return string(out)
}

// TestConversions compares with files. In an archive each file NAME is an input, and
// NAME.out what becomes of it.
func TestConversions(t *testing.T) {
	paths, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(paths) == 0 {
		t.Fatal("no conversions", err)
	}
	for _, path := range paths {
		archive, err := txtar.ParseFile(path)
		if err != nil {
			t.Fatal(err)
		}
		fresh := &txtar.Archive{Comment: archive.Comment}
		for _, f := range archive.Files {
			if strings.HasSuffix(f.Name, ".out") {
				continue
			}
			got := convert(f.Data)
			fresh.Files = append(fresh.Files, f, txtar.File{Name: f.Name + ".out", Data: []byte(got)})
			i := slices.IndexFunc(archive.Files, func(x txtar.File) bool { return x.Name == f.Name+".out" })
			if *update {
				continue
			}
			t.Run(filepath.Base(path)+"/"+f.Name, func(t *testing.T) {
				if i < 0 {
					t.Fatal("there is no expected output: -update writes it")
				}
				if diff := cmp.Diff(string(archive.Files[i].Data), got); diff != "" {
					t.Errorf("(-want +got); -update rewrites it\n%s", diff)
				}
				if again := convert(f.Data); again != got {
					t.Error("a second conversion gives something else")
				}
			})
		}
		if *update {
			if err := os.WriteFile(path, txtar.Format(fresh), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// TestEveryKeyIsConverted holds the example with every key to the keys that the format has.
func TestEveryKeyIsConverted(t *testing.T) {
	archive, err := txtar.ParseFile("testdata/fields.txtar")
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(archive.Files, func(f txtar.File) bool { return f.Name == "every-field.yaml" })
	for _, key := range []string{
		"peers", "my-asn", "peer-asn", "peer-address", "source-address", "peer-port", "hold-time", "keepalive-time", "router-id",
		"node-selectors", "match-labels", "match-expressions", "key", "operator", "values", "password", "bfd-profile", "ebgp-multihop",
		"bgp-communities", "address-pools", "protocol", "name", "addresses", "auto-assign", "avoid-buggy-ips", "bgp-advertisements",
		"aggregation-length", "aggregation-length-v6", "localpref", "communities", "bfd-profiles", "receive-interval", "transmit-interval",
		"detect-multiplier", "echo-interval", "echo-mode", "passive-mode", "minimum-ttl",
	} {
		if !regexp.MustCompile(`(?m)^\s*(- )?` + key + `:`).Match(archive.Files[i].Data) {
			t.Errorf("the example has no %s", key)
		}
	}
}

func TestJSONIsAList(t *testing.T) {
	result, err := legacy.Convert(legacy.Source{Text: "address-pools:\n- {name: a, protocol: layer2, addresses: [192.0.2.0/24]}"}, "ns")
	if err != nil {
		t.Fatal(err)
	}
	out, err := result.JSON()
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`"kind": "List"`, `"kind": "IPAddressPool"`, `"kind": "L2Advertisement"`, `"namespace": "ns"`} {
		if !bytes.Contains(out, []byte(want)) {
			t.Errorf("there is no %s in\n%s", want, out)
		}
	}
	if bytes.Contains(out, []byte("status")) || bytes.Contains(out, []byte("null")) {
		t.Errorf("there is more than a user would write in\n%s", out)
	}
}

// bomb is a text of aliases that stands for very much.
func bomb(levels int, item string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "a0: &a0 %s\n", item)
	for i := 1; i <= levels; i++ {
		ref := strings.Repeat(fmt.Sprintf("*a%d,", i-1), 9)
		fmt.Fprintf(&b, "a%d: &a%d {<<: [%s]}\n", i, i, strings.TrimSuffix(ref, ","))
	}
	fmt.Fprintf(&b, "<<: *a%d\n", levels)
	return b.String()
}

// FuzzConvert wants no input to break the converter, and of each result that names are there
// once and that it converts to the same again.
func FuzzConvert(f *testing.F) {
	paths, err := filepath.Glob("testdata/*.txtar")
	if err != nil {
		f.Fatal(err)
	}
	for _, path := range paths {
		archive, err := txtar.ParseFile(path)
		if err != nil {
			f.Fatal(err)
		}
		for _, file := range archive.Files {
			f.Add(file.Data)
		}
	}
	f.Add([]byte("&a {<<: *a, peers: *a}"))
	f.Add([]byte("peers: &a [*a]"))
	f.Add([]byte(bomb(7, "{x: 1}")))
	f.Fuzz(func(t *testing.T, input []byte) {
		src, err := legacy.Find(input)
		if err != nil {
			return
		}
		result, err := legacy.Convert(src, "ns")
		if err != nil {
			return
		}
		seen := map[string]bool{}
		for _, o := range result.Objects {
			name := o.Value.GetObjectKind().GroupVersionKind().Kind + "/" + o.Value.GetName()
			if seen[name] {
				t.Errorf("%s is there twice", name)
			}
			seen[name] = true
		}
		if first, second := convert(input), convert(input); first != second {
			t.Error("a second conversion gives something else")
		}
	})
}
