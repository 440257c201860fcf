// Generate writes what is made from the chart, and the definitions into it.
package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"

	"github.com/lintel-lb/lintel/test/chart/render"
)

func main() {
	root := flag.String("root", "../..", "`directory` of the repository")
	flag.Parse()
	if err := generate(*root); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func generate(root string) error {
	files, err := render.Generate(root)
	if err != nil {
		return err
	}
	for name, content := range files {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(path, content, 0o644); err != nil {
			return err
		}
	}
	return nil
}
