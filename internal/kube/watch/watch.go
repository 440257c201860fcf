// Package watch connects the informers of a cache to functions.
package watch

import (
	"context"
	"fmt"

	toolscache "k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// Synced tells whether the functions given to Objects have seen every object of the first list.
type Synced func() bool

// Objects calls set for every object of the kind that exists, appears or changes, and remove
// for every one that goes. Both are called from one goroutine and must not block; the objects
// belong to the cache and must not be changed.
func Objects[T client.Object](ctx context.Context, c cache.Cache, kind T, set, remove func(T)) (Synced, error) {
	informer, err := c.GetInformer(ctx, kind, cache.BlockUntilSynced(false))
	if err != nil {
		return nil, fmt.Errorf("watch %T: %w", kind, err)
	}
	registration, err := informer.AddEventHandler(toolscache.ResourceEventHandlerFuncs{
		AddFunc:    func(obj any) { set(obj.(T)) },
		UpdateFunc: func(_, obj any) { set(obj.(T)) },
		DeleteFunc: func(obj any) {
			if gone, ok := obj.(toolscache.DeletedFinalStateUnknown); ok {
				obj = gone.Obj
			}
			if o, ok := obj.(T); ok {
				remove(o)
			}
		},
	})
	if err != nil {
		return nil, fmt.Errorf("watch %T: %w", kind, err)
	}
	return registration.HasSynced, nil
}

// WaitFor waits until all have synced, or until ctx is done.
func WaitFor(ctx context.Context, all ...Synced) error {
	has := make([]toolscache.InformerSynced, len(all))
	for i, s := range all {
		has[i] = toolscache.InformerSynced(s)
	}
	if !toolscache.WaitForCacheSync(ctx.Done(), has...) {
		return fmt.Errorf("watch: stopped before the first lists were complete: %w", context.Cause(ctx))
	}
	return nil
}
