package speaker

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/lintel-lb/lintel/api/v1beta1"
	"github.com/lintel-lb/lintel/internal/lb"
)

// bgpStatusName is the same for the same Service and node.
func bgpStatusName(k lb.ServiceKey, node string) string {
	sum := sha256.Sum256([]byte(k.String() + "#" + node))
	return "bgp-" + hex.EncodeToString(sum[:8])
}

// writeBGP makes the ServiceBGPStatus of a Service list the peers that it is announced to:
// absent where there are none.
func (w *statusWriter) writeBGP(ctx context.Context, k lb.ServiceKey, peers []string) error {
	obj := &v1beta1.ServiceBGPStatus{ObjectMeta: metav1.ObjectMeta{Namespace: w.namespace, Name: bgpStatusName(k, w.node)}}
	if len(peers) == 0 {
		if err := client.IgnoreNotFound(w.client.Delete(ctx, obj)); err != nil {
			return fmt.Errorf("delete ServiceBGPStatus: %w", err)
		}
		return nil
	}
	owners, err := w.owners(ctx)
	if err != nil {
		return err
	}
	err = w.client.Get(ctx, client.ObjectKeyFromObject(obj), obj)
	if err == nil && !belongsTo(obj, owners) {
		// It is of an earlier pod of this node, and would go with that.
		err = w.replace(ctx, obj)
	}
	switch {
	case apierrors.IsNotFound(err):
		obj.Labels = map[string]string{labelNode: w.node, labelServiceName: k.Name, labelServiceNamespace: k.Namespace}
		obj.OwnerReferences = owners
		if err := w.client.Create(ctx, obj); err != nil {
			return fmt.Errorf("create ServiceBGPStatus: %w", err)
		}
	case err != nil:
		return fmt.Errorf("read ServiceBGPStatus: %w", err)
	case slices.Equal(obj.Status.Peers, peers):
		return nil
	}
	obj.Status = v1beta1.ServiceBGPStatusValue{Node: w.node, ServiceName: k.Name, ServiceNamespace: k.Namespace, Peers: peers}
	if err := w.client.Status().Update(ctx, obj); err != nil {
		return fmt.Errorf("update ServiceBGPStatus: %w", err)
	}
	return nil
}
