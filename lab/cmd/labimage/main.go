// Command labimage puts one static binary into a container image archive, without a
// container daemon.
package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"

	"github.com/lintel-lb/lintel/lab/image"
)

func main() {
	ref := flag.String("ref", "", "image `reference`, such as lintel:dev")
	out := flag.String("o", "", "archive `file` to write")
	flag.Parse()
	if err := run(*ref, *out, flag.Args()); err != nil {
		fmt.Fprintln(os.Stderr, "labimage:", err)
		os.Exit(1)
	}
}

func run(ref, out string, args []string) error {
	if ref == "" || out == "" || len(args) != 1 {
		return fmt.Errorf("usage: labimage -ref REFERENCE -o FILE BINARY")
	}
	path := "/" + filepath.Base(args[0])
	return image.WriteFile(out, image.Spec{
		Ref:        ref,
		Files:      []image.File{{Path: path, Source: args[0], Mode: 0o755}},
		Entrypoint: []string{path},
	})
}
