package resources

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/lintel-lb/lintel/internal/kube/watch"
)

// Changes are called by Watch. Neither may block.
type Changes struct {
	// Config is called when an object that configuration is made of appears, changes or goes.
	Config func()
	// Status is called when only the status of such an object changed; it may be nil.
	Status func()
}

// Watch follows all objects that configuration is made of: those that users write, and
// Secrets, in the namespaces that the cache holds.
func Watch(ctx context.Context, c cache.Cache, call Changes) ([]watch.Synced, error) {
	kinds := []client.Object{&corev1.Secret{}}
	for _, kind := range Kinds() {
		kinds = append(kinds, kind)
	}
	var all []watch.Synced
	for _, kind := range kinds {
		seen := map[client.ObjectKey]stamp{}
		synced, err := watch.Objects(ctx, c, kind,
			func(o client.Object) {
				k, now := client.ObjectKeyFromObject(o), stampOf(o)
				if old, known := seen[k]; !known || old != now {
					seen[k] = now
					call.Config()
				} else if call.Status != nil {
					call.Status()
				}
			},
			func(o client.Object) {
				delete(seen, client.ObjectKeyFromObject(o))
				call.Config()
			})
		if err != nil {
			return nil, err
		}
		all = append(all, synced)
	}
	return all, nil
}

// stamp changes when anything but the status of an object does.
type stamp struct {
	uid        string
	generation int64
	// version stands for the generation where the API server keeps none, as for Secrets.
	version string
	labels  string
}

func stampOf(o client.Object) stamp {
	s := stamp{uid: string(o.GetUID()), generation: o.GetGeneration(), labels: fmt.Sprint(o.GetLabels())}
	if s.generation == 0 {
		s.version = o.GetResourceVersion()
	}
	return s
}
