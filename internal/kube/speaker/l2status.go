package speaker

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/lintel-lb/lintel/api/v1beta1"
	"github.com/lintel-lb/lintel/internal/lb"
)

// Labels of ServiceL2Status objects.
const (
	labelNode             = "metallb.io/node"
	labelServiceName      = "metallb.io/service-name"
	labelServiceNamespace = "metallb.io/service-namespace"
)

// statusWriter writes the status objects of one node. Each speaker writes only
// objects of its own node, so that no two ever write the same one.
type statusWriter struct {
	client    client.Client
	node      string
	namespace string
	// pod is the name of the speaker's pod, which owns the objects; empty if there is none.
	pod string

	// podUID is that of the pod, once it is known.
	podUID atomic.Pointer[types.UID]
	mu     sync.Mutex
	// exist are the objects that are there as far as is known: others are created without
	// asking for them first.
	exist map[reportKey]bool
}

func (w *statusWriter) exists(k reportKey) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.exist[k]
}

func (w *statusWriter) created(k reportKey) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.exist == nil {
		w.exist = map[reportKey]bool{}
	}
	w.exist[k] = true
}

func (w *statusWriter) deleted(k reportKey) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.exist, k)
}

// found replaces what is known to exist.
func (w *statusWriter) found(exist map[reportKey]bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.exist = exist
}

// prepare reads an object, or creates it where it is not there: then it is fresh and has no
// status, as the API server takes none with a new object. What belongs to an earlier pod of this
// node would go with that, and is made anew.
func (w *statusWriter) prepare(ctx context.Context, k reportKey, obj client.Object) (fresh bool, err error) {
	owners, err := w.owners(ctx)
	if err != nil {
		return false, err
	}
	create := func() error {
		obj.SetLabels(map[string]string{labelNode: w.node, labelServiceName: k.service.Name, labelServiceNamespace: k.service.Namespace})
		obj.SetOwnerReferences(owners)
		return w.client.Create(ctx, obj)
	}
	if !w.exists(k) {
		err := create()
		if err == nil {
			w.created(k)
			return true, nil
		}
		if !apierrors.IsAlreadyExists(err) {
			return false, fmt.Errorf("create %T: %w", obj, err)
		}
	}
	err = w.client.Get(ctx, client.ObjectKeyFromObject(obj), obj)
	if err == nil && !belongsTo(obj, owners) {
		err = w.replace(ctx, obj)
	}
	if apierrors.IsNotFound(err) {
		fresh, err = true, create()
	}
	if err != nil {
		return false, fmt.Errorf("read or create %T: %w", obj, err)
	}
	w.created(k)
	return fresh, nil
}

// remove deletes an object, if it is there.
func (w *statusWriter) remove(ctx context.Context, k reportKey, obj client.Object) error {
	if err := client.IgnoreNotFound(w.client.Delete(ctx, obj)); err != nil {
		return fmt.Errorf("delete %T: %w", obj, err)
	}
	w.deleted(k)
	return nil
}

// statusName is the same for the same Service and node, which makes creating it idempotent.
func statusName(k lb.ServiceKey, node string) string {
	sum := sha256.Sum256([]byte(k.String() + "#" + node))
	return "l2-" + hex.EncodeToString(sum[:8])
}

// write makes the object of a Service agree with the report: absent where there is nothing to report.
func (w *statusWriter) write(ctx context.Context, k lb.ServiceKey, r report) error {
	obj := &v1beta1.ServiceL2Status{ObjectMeta: metav1.ObjectMeta{Namespace: w.namespace, Name: statusName(k, w.node)}}
	key := reportKey{k, lb.Layer2}
	if len(r.addresses) == 0 {
		return w.remove(ctx, key, obj)
	}
	want := v1beta1.ServiceL2StatusValue{Node: w.node, ServiceName: k.Name, ServiceNamespace: k.Namespace}
	for _, l := range r.links {
		want.Interfaces = append(want.Interfaces, v1beta1.InterfaceInfo{Name: l})
	}
	fresh, err := w.prepare(ctx, key, obj)
	if err != nil || !fresh && sameStatus(obj.Status, want) {
		return err
	}
	obj.Status = want
	if err := w.client.Status().Update(ctx, obj); err != nil {
		return fmt.Errorf("update ServiceL2Status: %w", err)
	}
	return nil
}

// owners makes an object go with the speaker's pod.
func (w *statusWriter) owners(ctx context.Context) ([]metav1.OwnerReference, error) {
	if w.pod == "" {
		return nil, nil
	}
	id := w.podUID.Load()
	if id == nil {
		pod := &corev1.Pod{}
		if err := w.client.Get(ctx, client.ObjectKey{Namespace: w.namespace, Name: w.pod}, pod); err != nil {
			return nil, fmt.Errorf("read the own pod: %w", err)
		}
		id = &pod.UID
		w.podUID.Store(id)
	}
	return []metav1.OwnerReference{{APIVersion: "v1", Kind: "Pod", Name: w.pod, UID: *id}}, nil
}

// belongsTo tells whether an object goes with the given owner.
func belongsTo(o client.Object, owners []metav1.OwnerReference) bool {
	return slices.EqualFunc(o.GetOwnerReferences(), owners, func(a, b metav1.OwnerReference) bool { return a.UID == b.UID })
}

// replace removes an object, so that it is made anew, and says so as the API server does.
func (w *statusWriter) replace(ctx context.Context, o client.Object) error {
	uid := o.GetUID()
	if err := client.IgnoreNotFound(w.client.Delete(ctx, o, client.Preconditions{UID: &uid})); err != nil {
		return err
	}
	o.SetUID("")
	o.SetResourceVersion("")
	return apierrors.NewNotFound(v1beta1.SchemeGroupVersion.WithResource("").GroupResource(), o.GetName())
}

func sameStatus(a, b v1beta1.ServiceL2StatusValue) bool {
	return a.Node == b.Node && a.ServiceName == b.ServiceName && a.ServiceNamespace == b.ServiceNamespace &&
		slices.Equal(a.Interfaces, b.Interfaces)
}

func uid(s string) types.UID { return types.UID(s) }
