package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"
	corev1 "k8s.io/api/core/v1"

	"github.com/lintel-lb/lintel/internal/kube/endpoint"
	"github.com/lintel-lb/lintel/internal/kube/migrator"
	"github.com/lintel-lb/lintel/internal/lb"
	"github.com/lintel-lb/lintel/internal/takeover"
)

func newMigrateMetalLB(o *options) *cobra.Command {
	var manifests string
	var nodes, downPeers []string
	var yes, revert bool
	cmd := &cobra.Command{
		Use:   "metallb --manifests FILE [--yes] [--revert]",
		Short: "Take a running MetalLB over, node by node, or give it back",
		Long: `Take a running MetalLB over, node by node, or give it back.

Without --yes nothing is changed: what would be done is printed. With --yes it is done, step by
step; each step is seen to have worked before the next one. It can be ended at any time: the same
command goes on from there, and --revert goes back to MetalLB, also after the last step.

FILE holds Lintel's manifests: what "helm template" prints with your values and the name of the
release that you will install, or config/lintel.yaml. "-" is standard input. What Helm rendered
is marked so that "helm upgrade --install" of that release takes it as its own.`,
		Example: `  helm template lintel ./charts/lintel -n metallb-system -f values.yaml > lintel.yaml
  kubectl lintel migrate metallb --manifests lintel.yaml
  kubectl lintel migrate metallb --manifests lintel.yaml --yes
  kubectl lintel migrate metallb --revert --yes`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := o.connect()
			if err != nil {
				return err
			}
			var text []byte
			switch manifests {
			case "":
			case "-":
				text, err = io.ReadAll(cmd.InOrStdin())
			default:
				text, err = os.ReadFile(manifests)
			}
			if err != nil {
				return fmt.Errorf("read the manifests: %w", err)
			}
			return c.takeOver(cmd.Context(), cmd.OutOrStdout(), takeOverOptions{manifests: text, nodes: nodes, downPeers: downPeers, yes: yes, revert: revert})
		},
	}
	f := cmd.Flags()
	f.StringVar(&manifests, "manifests", "", "`file` with Lintel's manifests; needed until a take-over has begun")
	f.StringSliceVar(&nodes, "nodes", nil, "take over only these `nodes` this time, such as n1,n2")
	f.StringSliceVar(&downPeers, "down-peers", nil, "do not wait for sessions with these `BGPPeers`, which are down with MetalLB too, such as tor1,tor2")
	f.BoolVar(&yes, "yes", false, "do it, instead of printing what would be done")
	f.BoolVar(&revert, "revert", false, "go back to MetalLB")
	return cmd
}

type takeOverOptions struct {
	manifests   []byte
	nodes       []string
	downPeers   []string
	yes, revert bool
}

func (c *cluster) takeOver(ctx context.Context, w io.Writer, opts takeOverOptions) error {
	out := &errWriter{w: w}
	m := &migrator.Migrator{
		Client: c.client, Say: out.printf, Nodes: opts.nodes, DownPeers: opts.downPeers,
		Inspect: func(ctx context.Context, pod *corev1.Pod) (*endpoint.SpeakerReport, error) {
			token, err := c.token(ctx)
			if err != nil {
				return nil, err
			}
			return c.inspect(ctx, pod, token, nil)
		},
		World: func(ctx context.Context) (*lb.World, error) {
			p, err := c.look(ctx, nil)
			if err != nil {
				return nil, err
			}
			return p.decider.World(), nil
		},
	}
	s, err := m.Read(ctx, c.system, opts.manifests)
	if err != nil {
		return err
	}
	if opts.revert {
		return c.giveBack(ctx, m, s, out, opts.yes)
	}
	steps := takeover.Steps(s.Inventory)
	left := 0
	for _, step := range steps {
		if s.Record == nil || !s.Record.Has(step.ID()) {
			left++
		}
	}
	if left == 0 {
		out.printf("MetalLB has been taken over. --revert gives it back, for as long as Secret %s in namespace %s exists.\n", takeover.RecordName, s.Inventory.Old.Namespace)
		return out.err
	}
	printPlan(out, s, steps)
	objections := takeover.Objections(s.Inventory)
	for _, text := range objections {
		out.printf("! %s\n", text)
	}
	switch {
	case len(objections) > 0:
		return errors.Join(out.err, errors.New("the take-over cannot go on as things are; see above"))
	case !opts.yes:
		out.printf("\nNothing was changed. --yes does it.\n")
		return out.err
	}
	out.printf("\n")
	if err := m.Forward(ctx, s); err != nil {
		return err
	}
	if !s.Record.Has(string(takeover.Remove)) {
		out.printf("\nThe same without --nodes finishes it; --revert goes back.\n")
		return out.err
	}
	out.printf("\nDone: all Services have the addresses that they had, and Lintel announces them.\n")
	if release := takeover.Adopt(s.Inventory.Target.Objects, s.Inventory.Target.Namespace); release != "" {
		out.printf("Now run helm upgrade --install %s with your values in namespace %s: it takes over what is there.\n", release, s.Inventory.Target.Namespace)
	}
	out.printf("--revert goes back for as long as Secret %s in namespace %s exists; delete it when you are sure.\n", takeover.RecordName, s.Inventory.Old.Namespace)
	return out.err
}

// printPlan says what is there, what is done and what is to be done.
func printPlan(out *errWriter, s *migrator.State, steps []takeover.Step) {
	inv := s.Inventory
	how := "plain manifests"
	if inv.Release != "" {
		how = "Helm release " + inv.Release
	}
	out.printf("MetalLB %s in namespace %s, from %s, BGP mode %s, on %d nodes, becomes Lintel:\n\n", inv.Old.Version(), inv.Old.Namespace, how, inv.Old.Mode(), len(inv.Nodes))
	for i, step := range steps {
		mark := " "
		if s.Record != nil && s.Record.Has(step.ID()) {
			mark = "x"
		}
		out.printf("%2d [%s] %s\n          back: %s\n", i+1, mark, step.Does, step.Undo)
	}
	for _, text := range takeover.Notes(inv) {
		out.printf("\nNote: %s\n", text)
	}
}

// giveBack goes back to MetalLB.
func (c *cluster) giveBack(ctx context.Context, m *migrator.Migrator, s *migrator.State, out *errWriter, yes bool) error {
	if s.Record == nil {
		return fmt.Errorf("no take-over has begun in namespace %s: there is no Secret %s", c.system, takeover.RecordName)
	}
	steps := takeover.Steps(s.Inventory)
	if !yes {
		out.printf("To go back to MetalLB:\n\n")
		for i := len(steps) - 1; i >= 0; i-- {
			if s.Record.Begun(steps, i) {
				out.printf("%2d %s: %s\n", i+1, steps[i].ID(), steps[i].Undo)
			}
		}
		out.printf("\nNothing was changed. --yes does it.\n")
		return out.err
	}
	changed, err := m.Revert(ctx, s)
	if err != nil {
		return err
	}
	if len(changed) == 0 {
		out.printf("\nDone: MetalLB is back, and all Services have the addresses that they had.\n")
		return out.err
	}
	out.printf("\nDone: MetalLB is back. These Services have other addresses than before:\n")
	for _, text := range changed {
		out.printf("! %s\n", text)
	}
	return out.err
}
