package rooms

import (
	"go/ast"
	"go/parser"
	"go/token"
	"slices"
	"testing"
)

// clockCall finds a call in a file that reads the clock or waits for it.
func clockCall(t *testing.T, path string) (call string, found bool) {
	t.Helper()
	f, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	reads := []string{"Now", "Since", "Until", "After", "AfterFunc", "Sleep", "Tick", "NewTicker", "NewTimer"}
	ast.Inspect(f, func(n ast.Node) bool {
		sel, ok := n.(*ast.SelectorExpr)
		if !ok {
			return true
		}
		if pkg, ok := sel.X.(*ast.Ident); ok && pkg.Name == "time" && slices.Contains(reads, sel.Sel.Name) {
			call, found = "time."+sel.Sel.Name, true
		}
		return true
	})
	return call, found
}
