package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"io"

	"github.com/spf13/cobra"
)

// options are what all verbs share.
type options struct {
	kubeconfig string
	context    string
	namespace  string
	// system is the namespace of the load balancer itself.
	system string
	// account is the service account whose token opens the inspection of speakers.
	account string
	output  string
}

// Run executes one command line.
func Run(ctx context.Context, version string, args []string) error {
	root := newRoot(version)
	root.SetArgs(args)
	return root.ExecuteContext(ctx)
}

func newRoot(version string) *cobra.Command {
	o := &options{}
	root := &cobra.Command{
		Use:           "lintel",
		Short:         "Addresses for Services of type LoadBalancer on bare metal",
		Version:       version,
		SilenceUsage:  true,
		SilenceErrors: true,
		Long: `Lintel gives Services of type LoadBalancer an address and announces it to the network.

In the cluster run "lintel controller" and "lintel speaker"; each lists its flags with -h.
The verbs below are for people, and for kubectl as "kubectl lintel".`,
	}
	f := root.PersistentFlags()
	f.StringVar(&o.kubeconfig, "kubeconfig", "", "kubeconfig file")
	f.StringVar(&o.context, "context", "", "kubeconfig context")
	f.StringVarP(&o.namespace, "namespace", "n", "", "namespace of the Service")
	f.StringVar(&o.system, "lintel-namespace", "metallb-system", "namespace that Lintel runs in")
	f.StringVar(&o.account, "inspector-account", "lintel-inspector", "service account in that namespace which may inspect speakers")
	f.StringVarP(&o.output, "output", "o", "", "output format: empty for people, json for machines")
	root.AddCommand(newWhy(o), newStatus(o), newPlan(o), newMigrate(o), newVersion(version))
	return root
}

func newVersion(version string) *cobra.Command {
	return &cobra.Command{
		Use: "version", Short: "Print the version", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, err := fmt.Fprintln(cmd.OutOrStdout(), version)
			return err
		},
	}
}

// checkOutput refuses formats that do not exist.
func (o *options) checkOutput() error {
	if o.output != "" && o.output != "json" {
		return fmt.Errorf("unknown output format %q: leave -o out, or use -o json", o.output)
	}
	return nil
}

// errWriter remembers the first error of many writes.
type errWriter struct {
	w   io.Writer
	err error
}

func (e *errWriter) printf(format string, args ...any) {
	if e.err == nil {
		_, e.err = fmt.Fprintf(e.w, format, args...)
	}
}

// printer is a result that can be printed for people.
type printer interface {
	print(io.Writer) error
}

// show prints a result in the format that was asked for.
func (o *options) show(w io.Writer, p printer) error {
	if o.output == "json" {
		enc := json.NewEncoder(w)
		enc.SetIndent("", "  ")
		return enc.Encode(p)
	}
	return p.print(w)
}
