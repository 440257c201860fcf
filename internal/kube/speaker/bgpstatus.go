package speaker

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

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
	key := reportKey{k, lb.BGP}
	if len(peers) == 0 {
		return w.remove(ctx, key, obj)
	}
	fresh, err := w.prepare(ctx, key, obj)
	if err != nil || !fresh && slices.Equal(obj.Status.Peers, peers) {
		return err
	}
	obj.Status = v1beta1.ServiceBGPStatusValue{Node: w.node, ServiceName: k.Name, ServiceNamespace: k.Namespace, Peers: peers}
	if err := w.client.Status().Update(ctx, obj); err != nil {
		return fmt.Errorf("update ServiceBGPStatus: %w", err)
	}
	return nil
}
