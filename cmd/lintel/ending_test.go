package main

import (
	"errors"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/fake"

	"github.com/lintel-lb/lintel/internal/bgp"
)

func TestEnding(t *testing.T) {
	deleted := metav1.NewTime(time.Unix(1, 0))
	pod := func(name string, deletion *metav1.Time) *corev1.Pod {
		return &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: name, DeletionTimestamp: deletion, Finalizers: []string{"x/y"}}}
	}
	for _, c := range []struct {
		name string
		pod  *corev1.Pod
		own  string
		want bgp.End
	}{
		{name: "the pod is deleted, as in an update", pod: pod("own", &deleted), own: "own", want: bgp.EndRestart},
		{name: "the pod is gone already", pod: pod("other", nil), own: "own", want: bgp.EndRestart},
		{name: "not in a pod", pod: pod("other", nil), want: bgp.EndRestart},
		{name: "the pod stays: the node goes", pod: pod("own", nil), own: "own", want: bgp.EndDrain},
	} {
		t.Run(c.name, func(t *testing.T) {
			pods := fake.NewClientset(c.pod).CoreV1().Pods("ns")
			if got := endingOf(replaced(t.Context(), pods, c.own)); got.End != c.want {
				t.Errorf("ends as %v, want %v", got.End, c.want)
			}
		})
	}
	if got := endingOf(false, errors.New("no answer")); got.End != bgp.EndRestart {
		t.Errorf("without an answer it ends as %v", got.End)
	}
}
