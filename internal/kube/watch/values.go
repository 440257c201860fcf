package watch

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
	toolscache "k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// Values follows all objects of a kind and keeps of each only what it is translated to. For kinds
// with thousands of large objects, that takes a fraction of the memory and time of an informer,
// which keeps the objects and hands every change through several goroutines.
type Values[T client.Object, V any] struct {
	// Translate makes the value of an object. A value that points to the object would keep it.
	Translate func(T) V
	// Set is called for every object that exists, appears or changes, and Remove, with the last
	// value, for every one that goes. Both are called from one goroutine and must not block.
	Set, Remove func(V)

	source toolscache.ListerWatcher
	kind   T
	synced atomic.Bool
	mu     sync.Mutex // of known; the reflector calls from one goroutine at a time
	known  map[types.NamespacedName]V
}

// NewValues makes Values of what a source lists and watches. Run follows it.
func NewValues[T client.Object, V any](source toolscache.ListerWatcher, kind T, translate func(T) V, set, remove func(V)) *Values[T, V] {
	return &Values[T, V]{Translate: translate, Set: set, Remove: remove, source: source, kind: kind, known: map[types.NamespacedName]V{}}
}

// Run follows the source until ctx is done. Failures are logged by the library, and what was known
// stays in force until the source can be read again.
func (v *Values[T, V]) Run(ctx context.Context) {
	toolscache.NewReflectorWithOptions(v.source, v.kind, v, toolscache.ReflectorOptions{
		Name: fmt.Sprintf("%T", v.kind), Backoff: pauses()}).RunWithContext(ctx)
}

// pauses are those before the source is listed again. Those of the library grow to a minute where
// watches break off several times within two minutes, as behind a balancer that changes its mind.
func pauses() *wait.Backoff {
	return &wait.Backoff{Duration: 500 * time.Millisecond, Factor: 2, Jitter: 1, Steps: 10, Cap: 5 * time.Second}
}

// Synced tells whether every object of the first list was handed on.
func (v *Values[T, V]) Synced() bool { return v.synced.Load() }

// Each calls f for the value of every object that is known.
func (v *Values[T, V]) Each(f func(V)) {
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, value := range v.known {
		f(value)
	}
}

// translated is a value with the name of its object, by which the library tells objects apart.
type translated[V any] struct {
	metav1.ObjectMeta
	value V
}

// Transformer has objects translated as they arrive, rather than at the end of a long list.
func (v *Values[T, V]) Transformer() toolscache.TransformFunc {
	return func(o any) (any, error) {
		if object, ok := o.(T); ok {
			return v.translated(object), nil
		}
		return o, nil
	}
}

func (v *Values[T, V]) translated(o T) *translated[V] {
	return &translated[V]{metav1.ObjectMeta{Namespace: o.GetNamespace(), Name: o.GetName()}, v.Translate(o)}
}

// item translates an object that is not yet.
func (v *Values[T, V]) item(o any) (*translated[V], error) {
	switch o := o.(type) {
	case *translated[V]:
		return o, nil
	case T:
		return v.translated(o), nil
	}
	return nil, fmt.Errorf("watch: an object of type %T among %T", o, v.kind)
}

// Add implements the library's ReflectorStore.
func (v *Values[T, V]) Add(o any) error { return v.Update(o) }

// Update implements the library's ReflectorStore.
func (v *Values[T, V]) Update(o any) error {
	item, err := v.item(o)
	if err != nil {
		return err
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	v.set(item)
	return nil
}

func (v *Values[T, V]) set(item *translated[V]) {
	v.known[types.NamespacedName{Namespace: item.Namespace, Name: item.Name}] = item.value
	v.Set(item.value)
}

// Delete implements the library's ReflectorStore.
func (v *Values[T, V]) Delete(o any) error {
	item, err := v.item(o)
	if err != nil {
		return err
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	v.remove(types.NamespacedName{Namespace: item.Namespace, Name: item.Name})
	return nil
}

func (v *Values[T, V]) remove(name types.NamespacedName) {
	if value, known := v.known[name]; known {
		delete(v.known, name)
		v.Remove(value)
	}
}

// Replace implements the library's ReflectorStore: the list is all there is.
func (v *Values[T, V]) Replace(list []any, _ string) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	exist := make(map[types.NamespacedName]bool, len(list))
	for _, o := range list {
		item, err := v.item(o)
		if err != nil {
			return err
		}
		exist[types.NamespacedName{Namespace: item.Namespace, Name: item.Name}] = true
		v.set(item)
	}
	for name := range v.known {
		if !exist[name] {
			v.remove(name)
		}
	}
	v.synced.Store(true)
	return nil
}

// Resync implements the library's ReflectorStore; there is nothing to repeat.
func (v *Values[T, V]) Resync() error { return nil }
