// Command lintel is the whole of Lintel in one binary: `lintel controller` and `lintel
// speaker` run in the cluster, and every other verb is for people. Under the name
// kubectl-lintel it is a kubectl plugin.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/lintel-lb/lintel/internal/cli"
)

// version is set by the linker.
var version = "dev"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		if !errors.Is(err, flag.ErrHelp) && err.Error() != "" {
			fmt.Fprintln(os.Stderr, "lintel:", err)
		}
		os.Exit(cli.ExitCode(err))
	}
}

// run picks the verb. The daemons parse their flags with package flag, which accepts
// -flag as well as --flag, so that argument lists written for MetalLB keep working.
func run(ctx context.Context, args []string) error {
	if len(args) > 0 {
		switch args[0] {
		case "controller":
			return runController(ctx, args[1:])
		case "speaker":
			return runSpeaker(ctx, args[1:])
		}
	}
	return cli.Run(ctx, version, args)
}
