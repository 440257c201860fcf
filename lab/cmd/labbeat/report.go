package main

import (
	"encoding/json"
	"fmt"
	"runtime"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// statusPatch is what a kubelet would say about a sound node that runs no Pods.
func statusPatch(n node, now time.Time) ([]byte, error) {
	t := metav1.NewTime(now)
	status := corev1.NodeStatus{
		Capacity:    corev1.ResourceList{corev1.ResourcePods: resource.MustParse("0")},
		Allocatable: corev1.ResourceList{corev1.ResourcePods: resource.MustParse("0")},
		NodeInfo: corev1.NodeSystemInfo{
			OperatingSystem: runtime.GOOS, Architecture: runtime.GOARCH, OSImage: "light node of a lab",
		},
		Addresses: []corev1.NodeAddress{{Type: corev1.NodeHostName, Address: n.Name}},
		Conditions: []corev1.NodeCondition{
			condition(corev1.NodeReady, corev1.ConditionTrue, "KubeletReady", t),
			condition(corev1.NodeMemoryPressure, corev1.ConditionFalse, "KubeletHasSufficientMemory", t),
			condition(corev1.NodeDiskPressure, corev1.ConditionFalse, "KubeletHasNoDiskPressure", t),
			condition(corev1.NodePIDPressure, corev1.ConditionFalse, "KubeletHasSufficientPID", t),
		},
	}
	for _, a := range n.Addresses {
		status.Addresses = append(status.Addresses, corev1.NodeAddress{Type: corev1.NodeInternalIP, Address: a})
	}
	raw, err := json.Marshal(status)
	if err != nil {
		return nil, err
	}
	var fields map[string]any
	if err := json.Unmarshal(raw, &fields); err != nil {
		return nil, err
	}
	// A strategic merge tells addresses apart by type and would keep one of two
	// families, so the list is replaced as a whole, as kubelets do it.
	addresses, ok := fields["addresses"].([]any)
	if !ok {
		return nil, fmt.Errorf("addresses of %s are no list", n.Name)
	}
	fields["addresses"] = append([]any{map[string]string{"$patch": "replace"}}, addresses...)
	patch := map[string]any{"status": fields}
	return json.Marshal(patch)
}

func condition(kind corev1.NodeConditionType, status corev1.ConditionStatus, reason string, now metav1.Time) corev1.NodeCondition {
	return corev1.NodeCondition{
		Type: kind, Status: status, Reason: reason, Message: "light node of a lab",
		LastHeartbeatTime: now, LastTransitionTime: now,
	}
}

func leasePatch(now metav1.MicroTime) []byte {
	return fmt.Appendf(nil, `{"spec":{"renewTime":%q}}`, now.UTC().Format(metav1.RFC3339Micro))
}

// newLease belongs to its Node, so that it goes with it.
func newLease(n *corev1.Node, now metav1.MicroTime) *coordinationv1.Lease {
	seconds := int32(4 * period / time.Second)
	return &coordinationv1.Lease{
		ObjectMeta: metav1.ObjectMeta{
			Name: n.Name, Namespace: corev1.NamespaceNodeLease,
			OwnerReferences: []metav1.OwnerReference{{APIVersion: "v1", Kind: "Node", Name: n.Name, UID: n.UID}},
		},
		Spec: coordinationv1.LeaseSpec{HolderIdentity: &n.Name, LeaseDurationSeconds: &seconds, RenewTime: &now},
	}
}
