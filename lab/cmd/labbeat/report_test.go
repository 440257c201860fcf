package main

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/strategicpatch"
)

func TestStatusPatchReplacesAddressesAndConditions(t *testing.T) {
	before, err := json.Marshal(corev1.Node{Status: corev1.NodeStatus{
		Addresses:  []corev1.NodeAddress{{Type: corev1.NodeInternalIP, Address: "192.0.2.1"}},
		Conditions: []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionUnknown}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	patch, err := statusPatch(node{Name: "l1", Addresses: []string{"10.89.1.1", "fd89::1:1"}}, time.Unix(1, 0))
	if err != nil {
		t.Fatal(err)
	}
	after, err := strategicpatch.StrategicMergePatch(before, patch, corev1.Node{})
	if err != nil {
		t.Fatal(err)
	}
	var got corev1.Node
	if err := json.Unmarshal(after, &got); err != nil {
		t.Fatal(err)
	}
	want := []corev1.NodeAddress{
		{Type: corev1.NodeHostName, Address: "l1"},
		{Type: corev1.NodeInternalIP, Address: "10.89.1.1"},
		{Type: corev1.NodeInternalIP, Address: "fd89::1:1"},
	}
	if diff := cmp.Diff(want, got.Status.Addresses); diff != "" {
		t.Errorf("addresses (-want +got):\n%s", diff)
	}
	ready := 0
	for _, c := range got.Status.Conditions {
		if c.Type == corev1.NodeReady && c.Status == corev1.ConditionTrue {
			ready++
		}
	}
	if ready != 1 || len(got.Status.Conditions) != 4 {
		t.Errorf("conditions: %+v", got.Status.Conditions)
	}
}

func TestLeasePatchIsALease(t *testing.T) {
	now := metav1.NewMicroTime(time.Date(2026, 1, 2, 3, 4, 5, 678000, time.UTC))
	var got coordinationv1.Lease
	if err := json.Unmarshal(leasePatch(now), &got); err != nil {
		t.Fatal(err)
	}
	if got.Spec.RenewTime == nil || !got.Spec.RenewTime.Equal(&now) {
		t.Errorf("renewed at %v, want %v", got.Spec.RenewTime, now)
	}
}
