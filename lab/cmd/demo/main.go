// Command demo shows Lintel at work in the lab. `make demo` runs it.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/lintel-lb/lintel/lab/demo"
)

func main() {
	o := demo.Options{Out: os.Stdout}
	flag.StringVar(&o.Lab, "lab", "demo", "`name` of the lab")
	flag.StringVar(&o.Config, "config", "../config", "`directory` with the kustomization")
	flag.StringVar(&o.Lintel, "lintel", "../bin/lintel", "`path` of the binary")
	flag.StringVar(&o.LabCommand, "command", "lab", "how the user calls the lab's command line")
	flag.Parse()
	o.Images = flag.Args()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := demo.Run(ctx, o); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
