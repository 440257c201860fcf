package main

import (
	"strings"

	"github.com/spf13/cobra"
)

func captureCommand(open opener) *cobra.Command {
	var file string
	cmd := &cobra.Command{
		Use:   "capture HOST [FILTER]",
		Short: "Show or write a host's packets, until interrupted",
		Long: "Show a host's packets, or write them to a file with -w, until interrupted.\n" +
			"The filter is as in pcap-filter(7). On the host sw every cable is seen, under its host's name.",
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			l, err := open()
			if err != nil {
				return err
			}
			host, filter := args[0], strings.Join(args[1:], " ")
			if file == "" {
				return l.Watch(cmd.Context(), host, filter, cmd.OutOrStdout())
			}
			c, err := l.Capture(cmd.Context(), host, filter, file)
			if err != nil {
				return err
			}
			<-cmd.Context().Done()
			return c.Stop()
		},
	}
	cmd.Flags().StringVarP(&file, "write", "w", "", "file to write packets to, for tcpdump and Wireshark")
	return cmd
}
