package labtest

import (
	"context"
	"fmt"
	"strings"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/lintel-lb/lintel/lab"
)

// ownedLabel is on every object that a test applies; its value is the test's
// namespace.
const ownedLabel = "labtest.lintel.dev/test"

// extensionGroups are the API groups whose objects belong to what a failed test
// leaves and to what an earlier run may have left.
var extensionGroups = []string{"metallb.io", "lintel.dev"}

// clients talk to the API server as an administrator.
type clients struct {
	objects client.Client
	core    kubernetes.Interface
}

func newClients(l *lab.Lab, s *runtime.Scheme) (clients, error) {
	if s == nil {
		s = scheme.Scheme
	}
	config, err := l.RESTConfig()
	if err != nil {
		return clients{}, fmt.Errorf("labtest: %w", err)
	}
	objects, err := client.New(config, client.Options{Scheme: s})
	if err != nil {
		return clients{}, fmt.Errorf("labtest: client: %w", err)
	}
	core, err := kubernetes.NewForConfig(config)
	if err != nil {
		return clients{}, fmt.Errorf("labtest: client: %w", err)
	}
	return clients{objects: objects, core: core}, nil
}

// extensionResources returns the names of the resources in extensionGroups that
// the API server has, as kubectl takes them.
func (s *suite) extensionResources(ctx context.Context) ([]string, error) {
	var out []string
	for _, group := range extensionGroups {
		names, err := s.lab.Kubectl(ctx, nil, "api-resources", "--api-group="+group, "--output=name", "--verbs=list,delete")
		if err != nil {
			return nil, fmt.Errorf("labtest: %w", err)
		}
		out = append(out, strings.Fields(string(names))...)
	}
	return out, nil
}

// sweep removes what tests of an earlier run have left in the cluster.
func (s *suite) sweep(ctx context.Context) error {
	extensions, err := s.extensionResources(ctx)
	if err != nil {
		return err
	}
	kinds := append([]string{"services", "namespaces", "clusterroles", "clusterrolebindings"}, extensions...)
	_, err = s.lab.Kubectl(ctx, nil, "delete", strings.Join(kinds, ","), "--all-namespaces", "--selector="+ownedLabel, "--ignore-not-found", "--wait")
	if err != nil {
		return fmt.Errorf("labtest: remove what an earlier run has left: %w", err)
	}
	return nil
}
