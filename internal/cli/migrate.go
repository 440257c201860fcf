package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"

	"github.com/spf13/cobra"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/lintel-lb/lintel/internal/config"
	"github.com/lintel-lb/lintel/internal/ipam"
	"github.com/lintel-lb/lintel/internal/lb"
	"github.com/lintel-lb/lintel/internal/legacy"
)

// legacyConfigMap is where MetalLB before 0.13 kept its configuration.
const legacyConfigMap = "metallb-system/config"

func newMigrate(o *options) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "migrate",
		Short: "Bring what was made for another load balancer to Lintel",
		Args:  cobra.NoArgs,
	}
	cmd.AddCommand(newMigrateConfigMap(o), newMigrateMetalLB(o))
	return cmd
}

func newMigrateConfigMap(o *options) *cobra.Command {
	var file, name string
	cmd := &cobra.Command{
		Use:   "configmap [-f FILE | --configmap NAMESPACE/NAME]",
		Short: "Convert the ConfigMap of MetalLB before 0.13 to resources, and print them",
		Long: `Convert the ConfigMap of MetalLB before 0.13 to resources, and print them.

Nothing in the cluster is changed: the result goes to standard output, as YAML or with -o json as
JSON. What had to be changed on the way, such as a name that an object cannot have, is told in
comments and on standard error. Where anything is wrong, nothing is printed, every mistake is
listed with its key and line, and the exit code is 1.`,
		Example: `  kubectl lintel migrate configmap | kubectl apply -f -
  kubectl lintel migrate configmap -f config.yaml > resources.yaml
  kubectl get configmap -n metallb-system config -o yaml | kubectl lintel migrate configmap -f -`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if o.output != "" && o.output != "yaml" && o.output != "json" {
				return fmt.Errorf("unknown output format %q: use -o yaml or -o json", o.output)
			}
			if file != "" && cmd.Flags().Changed("configmap") {
				return errors.New("give one of --file and --configmap")
			}
			c := conversion{output: o.output, namespace: o.system, forced: cmd.Flags().Changed("lintel-namespace")}
			if file != "" {
				text, err := readInput(cmd.InOrStdin(), file)
				if err != nil {
					return err
				}
				src, err := legacy.Find(text)
				if err != nil {
					return err
				}
				return c.print(src, nil, cmd.OutOrStdout(), cmd.ErrOrStderr())
			}
			cl, err := o.connect()
			if err != nil {
				return err
			}
			src, services, err := cl.legacy(cmd.Context(), name)
			if err != nil {
				return err
			}
			return c.print(src, services, cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	cmd.Flags().StringVarP(&file, "file", "f", "", "read this file, or standard input where it is -; a ConfigMap, or only the text of its data.config")
	cmd.Flags().StringVar(&name, "configmap", legacyConfigMap, "read this ConfigMap from the cluster, NAMESPACE/NAME")
	return cmd
}

// readInput reads a file, or standard input where the name is "-".
func readInput(stdin io.Reader, file string) ([]byte, error) {
	if file == "-" {
		return io.ReadAll(stdin)
	}
	return os.ReadFile(file)
}

// legacy reads a ConfigMap from the cluster, and the Services that may have to change.
func (c *cluster) legacy(ctx context.Context, name string) (legacy.Source, []corev1.Service, error) {
	k := serviceKey(c.system, name)
	var cm corev1.ConfigMap
	if err := c.client.Get(ctx, client.ObjectKey{Namespace: k.Namespace, Name: k.Name}, &cm); err != nil {
		return legacy.Source{}, nil, fmt.Errorf("read ConfigMap %s: %w", k, err)
	}
	src, err := legacy.FromData(cm.Namespace, cm.Data)
	if err != nil {
		return legacy.Source{}, nil, err
	}
	var services corev1.ServiceList
	if err := c.client.List(ctx, &services); err != nil {
		return legacy.Source{}, nil, fmt.Errorf("list the Services: %w", err)
	}
	return src, services.Items, nil
}

// conversion is how a legacy configuration is to be printed.
type conversion struct {
	output string
	// namespace is where objects go that come from no namespace, or all if forced.
	namespace string
	forced    bool
}

// print converts a source. services, if known, are searched for those that ask for a pool
// whose name changes.
func (c conversion) print(src legacy.Source, services []corev1.Service, out, notes io.Writer) error {
	namespace := src.Namespace
	if namespace == "" || c.forced {
		namespace = c.namespace
	}
	result, err := legacy.Convert(src, namespace)
	if err != nil {
		return err
	}
	head := concerned(result.Renamed, services)
	var text []byte
	if c.output == "json" {
		text, err = result.JSON()
	} else {
		text, err = result.YAML(head)
	}
	if err != nil {
		return err
	}
	told := &errWriter{w: notes}
	for _, line := range head {
		told.printf("%s\n", line)
	}
	for _, o := range result.Objects {
		for _, n := range o.Notes {
			told.printf("%s %s: %s\n", o.Value.GetObjectKind().GroupVersionKind().Kind, o.Value.GetName(), n)
		}
	}
	if told.err != nil {
		return told.err
	}
	_, err = out.Write(text)
	return err
}

// concerned tells which Services ask for pools under names that change.
func concerned(renamed []legacy.Rename, services []corev1.Service) []string {
	var out []string
	for _, r := range renamed {
		if r.Kind != string(config.KindPool) {
			continue
		}
		for _, s := range services {
			if ipam.ParseRequest(s.Annotations, s.Spec.LoadBalancerIP).Pool == r.Old {
				out = append(out, fmt.Sprintf("Service %s asks for pool %q: change its annotation to %q",
					lb.ServiceKey{Namespace: s.Namespace, Name: s.Name}, r.Old, r.New))
			}
		}
	}
	slices.Sort(out)
	return out
}
