// Package rooms checks which room of the house may know which.
package rooms

import (
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/lintel-lb/lintel/"

// rule says what the code of a room may not import.
type rule struct {
	room string
	// but are exceptions to never.
	never, but []string
}

// rules are those of the architecture: the rooms that decide know no client, socket or
// clock; the engines know no Kubernetes and no decisions; only kube and cli know clients.
func rules() []rule {
	network := []string{"net", "net/http", "os", "os/exec", "syscall", "golang.org/x/sys", "github.com/vishvananda", "github.com/mdlayher"}
	clients := []string{"k8s.io/client-go", "sigs.k8s.io/controller-runtime"}
	kubernetes := []string{"k8s.io", "sigs.k8s.io"}
	upper := []string{module + "internal/kube", module + "internal/cli", module + "cmd"}
	engines := []string{module + "internal/l2", module + "internal/bgp", module + "internal/bfd", module + "internal/members", module + "internal/links"}
	join := func(lists ...[]string) (all []string) {
		for _, l := range lists {
			all = append(all, l...)
		}
		return all
	}
	deciding := join(network, clients, upper, engines)
	engine := join(kubernetes, upper, []string{module + "api", module + "internal/lb", module + "internal/config", module + "internal/ipam", module + "internal/announce"})
	return []rule{
		{room: "internal/lb", never: join(network, clients, upper, engines, []string{"sigs.k8s.io", "k8s.io", module + "api"}), but: []string{"k8s.io/apimachinery/pkg/labels"}},
		{room: "internal/ipam", never: join(deciding, []string{"k8s.io", "sigs.k8s.io"})},
		{room: "internal/announce", never: join(deciding, []string{"k8s.io", "sigs.k8s.io"})},
		{room: "internal/config", never: deciding},
		{room: "internal/legacy", never: deciding},
		{room: "internal/plan", never: join(deciding, []string{"k8s.io", "sigs.k8s.io"})},
		{room: "internal/takeover", never: deciding},
		{room: "internal/l2", never: engine},
		{room: "internal/links", never: engine},
		{room: "internal/members", never: engine},
		{room: "internal/bgp", never: engine},
		{room: "internal/bfd", never: engine},
		{room: "api", never: join(network, clients, upper, engines, []string{module + "internal"}), but: []string{"k8s.io/client-go/applyconfigurations"}},
	}
}

func TestRoomsImportOnlyWhatTheyMay(t *testing.T) {
	for _, r := range rules() {
		t.Run(r.room, func(t *testing.T) {
			files := 0
			err := filepath.WalkDir(filepath.Join("..", "..", r.room), func(path string, d fs.DirEntry, err error) error {
				if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
					return err
				}
				if strings.Contains(path, "nstest") {
					return nil // helpers of tests
				}
				files++
				f, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ImportsOnly)
				if err != nil {
					return err
				}
				for _, spec := range f.Imports {
					imported, err := strconv.Unquote(spec.Path.Value)
					if err != nil {
						return err
					}
					if under(imported, r.never) && !under(imported, r.but) {
						t.Errorf("%s imports %s, which %s may not", path, imported, r.room)
					}
				}
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
			if files == 0 {
				t.Error("no files: was the room renamed?")
			}
		})
	}
}

// under tells whether a path is one of the roots or below one. The standard library's net
// stands for itself alone: net/netip is harmless.
func under(path string, roots []string) bool {
	for _, root := range roots {
		if path == root || strings.HasPrefix(path, root+"/") && root != "net" {
			return true
		}
	}
	return false
}

// TestDecisionsKnowNoClock looks for calls that read the time in the rooms that decide.
func TestDecisionsKnowNoClock(t *testing.T) {
	for _, room := range []string{"lb", "ipam", "announce", "config", "legacy", "plan", "takeover"} {
		matches, err := filepath.Glob(filepath.Join("..", room, "*.go"))
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range matches {
			if strings.HasSuffix(path, "_test.go") {
				continue
			}
			if call, found := clockCall(t, path); found {
				t.Errorf("%s calls %s", path, call)
			}
		}
	}
}
