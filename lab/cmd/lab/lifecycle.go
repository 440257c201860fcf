package main

import (
	"cmp"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/lintel-lb/lintel/lab"
)

func defaultName() string { return cmp.Or(os.Getenv(nameEnv), lab.DefaultName) }

func setupCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "setup",
		Short: "Install the Debian packages and build the programs that labs need",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if os.Geteuid() != 0 {
				return lab.ErrNotRoot
			}
			return lab.Setup(cmd.Context(), cmd.ErrOrStderr())
		},
	}
}

func upCommand(name *string) *cobra.Command {
	o := lab.Options{}
	nodes, clients, far, light := 3, 1, 1, 0
	cmd := &cobra.Command{
		Use:   "up",
		Short: "Bring a lab up, and wait until its nodes are Ready",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			o.Name, o.Progress = *name, cmd.ErrOrStderr()
			o.Nodes, o.Clients, o.FarClients, o.LightNodes = number(nodes), number(clients), number(far), number(light)
			_, err := lab.Up(cmd.Context(), o)
			return err
		},
	}
	cmd.Flags().IntVar(&nodes, "nodes", nodes, "nodes with containerd, kubelet and kube-proxy")
	cmd.Flags().IntVar(&clients, "clients", clients, "hosts outside of the cluster, on the nodes' segment")
	cmd.Flags().IntVar(&far, "far-clients", far, "hosts behind the router")
	cmd.Flags().IntVar(&light, "light", light, "nodes that are a network namespace and a heartbeat only")
	cmd.Flags().StringArrayVar(&o.Images, "image", nil, "image archive that the nodes start with (may be given several times)")
	cmd.Flags().BoolVar(&o.Keep, "keep", false, "leave a lab that does not come up as it is")
	return cmd
}

// number turns what a user counts into what the library takes: it has a default
// for zero.
func number(n int) int {
	if n == 0 {
		return lab.None
	}
	return n
}

func downCommand(name *string) *cobra.Command {
	return &cobra.Command{
		Use:   "down",
		Short: "End a lab and remove everything of it",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return lab.Remove(cmd.Context(), *name)
		},
	}
}

func statusCommand(open opener) *cobra.Command {
	return &cobra.Command{
		Use:   "status",
		Short: "Show hosts, addresses, programs, faults and which nodes are Ready",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			l, err := open()
			if err != nil {
				return err
			}
			s, err := l.Status(cmd.Context())
			if err != nil {
				return err
			}
			if err := printStatus(cmd.OutOrStdout(), s); err != nil {
				return err
			}
			if s.API != nil {
				return fmt.Errorf("nodes unknown: %w", s.API)
			}
			return nil
		},
	}
}
