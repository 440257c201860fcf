package main

import (
	"context"
	"errors"

	"github.com/spf13/cobra"

	"github.com/lintel-lb/lintel/lab"
)

func faultCommands(open opener) []*cobra.Command {
	verb := func(use, short string, do func(*lab.Lab, context.Context, string) error) *cobra.Command {
		return &cobra.Command{
			Use:   use + " HOST...",
			Short: short,
			Args:  cobra.MinimumNArgs(1),
			RunE: func(cmd *cobra.Command, hosts []string) error {
				l, err := open()
				if err != nil {
					return err
				}
				var errs []error
				for _, h := range hosts {
					errs = append(errs, do(l, cmd.Context(), h))
				}
				return errors.Join(errs...)
			},
		}
	}
	return []*cobra.Command{
		verb("cut", "Pull a host's cable: both sides lose the carrier", (*lab.Lab).Cut),
		verb("blackhole", "Drop every frame of a host in the switch: nobody is told", (*lab.Lab).Blackhole),
		verb("crash", "End a host like a lost power supply", (*lab.Lab).Crash),
		verb("heal", "End cut and blackhole", (*lab.Lab).Heal),
		verb("boot", "Start a host again after a crash, or just so", (*lab.Lab).Boot),
	}
}
