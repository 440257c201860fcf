package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParseRunc(t *testing.T) {
	for _, c := range []struct {
		args    []string
		command string
		bundle  string
		process string
	}{
		{[]string{"--root", "/update", "--log", "l", "--log-format", "json", "create", "--bundle", "/b", "--pid-file", "p", "id"}, "create", "/b", ""},
		{[]string{"--root=/r", "run", "-b", "/b", "update"}, "run", "/b", ""},
		{[]string{"--root", "/r", "update", "--resources", "-", "id"}, "update", "", ""},
		{[]string{"exec", "--process", "/p.json", "--detach", "id"}, "exec", "", "/p.json"},
		{nil, "", "", ""},
	} {
		command, options := parseRunc(c.args)
		if command != c.command || options["bundle"] != c.bundle || options["process"] != c.process {
			t.Errorf("%q: command %q, options %v", c.args, command, options)
		}
	}
}

func TestEditTakesOutLimitsAndNothingElse(t *testing.T) {
	path := filepath.Join(t.TempDir(), "config.json")
	in := `{"linux":{"cgroupsPath":"/k8s.io/id","resources":{"memory":{"limit":9007199254740993}},"namespaces":[{"type":"pid"}]},` +
		`"ociVersion":"1.2.0","process":{"args":["/x"],"oomScoreAdj":-998,"rlimits":[{"hard":18446744073709551615}]}}`
	want := `{"linux":{"cgroupsPath":"/lintel-x/n1/pods/id","namespaces":[{"type":"pid"}]},` +
		`"ociVersion":"1.2.0","process":{"args":["/x"],"rlimits":[{"hard":18446744073709551615}]}}`
	if err := os.WriteFile(path, []byte(in), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := edit(path, func(o object) error { return withoutLimits(o, "/lintel-x/n1/pods/id") }); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, string(got)); diff != "" {
		t.Error(diff)
	}
}

func TestCgroup2(t *testing.T) {
	got, err := cgroup2("3:cpu:/x\n0::/lintel-x/n1/system\n")
	if err != nil || got != "/lintel-x/n1/system" {
		t.Errorf("%q, %v", got, err)
	}
	if got, err := cgroup2("3:cpu:/x\n"); err == nil {
		t.Errorf("%q where there is none", got)
	}
}
