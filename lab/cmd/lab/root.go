package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/lintel-lb/lintel/lab"
	"github.com/lintel-lb/lintel/lab/probe"
)

// nameEnv names the lab where --name does not.
const nameEnv = "LINTEL_LAB"

func root() *cobra.Command {
	var name string
	cmd := &cobra.Command{
		Use:   "lab",
		Short: "A real Kubernetes in network namespaces on this machine",
		// Flags of kubectl are not for us, those before its name are.
		TraverseChildren: true,
		SilenceUsage:     true,
		SilenceErrors:    true,
	}
	cmd.PersistentFlags().StringVar(&name, "name", defaultName(), "the lab's name; also $"+nameEnv)
	open := func() (*lab.Lab, error) { return lab.Open(name) }
	cmd.AddCommand(
		setupCommand(), upCommand(&name), downCommand(&name), statusCommand(open),
		kubectlCommand(open), execCommand(open), shellCommand(open), loadCommand(open), captureCommand(open),
	)
	cmd.AddCommand(faultCommands(open)...)
	cmd.AddCommand(probe.Command(func(_ context.Context, host string) (string, error) {
		l, err := open()
		if err != nil {
			return "", err
		}
		h, err := l.Host(host)
		return l.Namespace(h.Name), err
	}))
	return cmd
}

// opener finds the lab that the command line names.
type opener func() (*lab.Lab, error)
