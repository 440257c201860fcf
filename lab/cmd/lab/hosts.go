package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"

	"github.com/spf13/cobra"

	"github.com/lintel-lb/lintel/lab"
)

func kubectlCommand(open opener) *cobra.Command {
	return &cobra.Command{
		Use:                "kubectl ARGS",
		Short:              "Run kubectl as an administrator, on the control plane",
		DisableFlagParsing: true,
		RunE: func(cmd *cobra.Command, args []string) error {
			l, err := open()
			if err != nil {
				return err
			}
			return run(cmd.Context(), l, lab.ControlPlaneName, append([]string{"kubectl"}, args...)...)
		},
	}
}

func execCommand(open opener) *cobra.Command {
	return &cobra.Command{
		Use:   "exec HOST -- PROGRAM ARGS",
		Short: "Run a program on a host",
		Args:  cobra.MinimumNArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			l, err := open()
			if err != nil {
				return err
			}
			return run(cmd.Context(), l, args[0], args[1:]...)
		},
	}
}

func shellCommand(open opener) *cobra.Command {
	return &cobra.Command{
		Use:   "shell HOST",
		Short: "Open a shell on a host",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			l, err := open()
			if err != nil {
				return err
			}
			return run(cmd.Context(), l, args[0], cmp.Or(os.Getenv("SHELL"), "/bin/sh"))
		},
	}
}

// run gives a program on a host this command's terminal. An interrupt reaches
// it through the terminal, so it is not killed for one.
func run(ctx context.Context, l *lab.Lab, host string, argv ...string) error {
	c, err := l.Command(context.WithoutCancel(ctx), host, argv...)
	if err != nil {
		return err
	}
	c.Stdin, c.Stdout, c.Stderr = os.Stdin, os.Stdout, os.Stderr
	err = c.Run()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return programError(exit.ExitCode())
	}
	return err
}

// programError is the exit status of a program that was run on a host.
type programError int

func (e programError) Error() string { return fmt.Sprintf("exit status %d", int(e)) }

func loadCommand(open opener) *cobra.Command {
	return &cobra.Command{
		Use:   "load IMAGE.tar...",
		Short: "Give image archives to every node",
		Args:  cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			l, err := open()
			if err != nil {
				return err
			}
			return l.Load(cmd.Context(), args...)
		},
	}
}
