package main

import (
	"context"
	"fmt"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	corev1client "k8s.io/client-go/kubernetes/typed/core/v1"

	"github.com/lintel-lb/lintel/internal/bgp"
)

const (
	// askTimeout bounds asking whether the own pod is deleted.
	askTimeout = 500 * time.Millisecond
	// goingWait is how long routers that are told of a node that goes have to move traffic, in
	// which it still forwards.
	goingWait = time.Second
)

// replaced tells whether a pod is deleted, which is how Kubernetes ends one that is to be
// replaced. A node that is shut down ends its processes and leaves the pods as they are. Without a
// name there is no pod.
func replaced(ctx context.Context, pods corev1client.PodInterface, name string) (bool, error) {
	if name == "" {
		return true, nil
	}
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	// A list, as speakers may not get pods.
	list, err := pods.List(ctx, metav1.ListOptions{FieldSelector: fields.OneTermEqualSelector(metav1.ObjectNameField, name).String()})
	if err != nil {
		return false, fmt.Errorf("own pod: %w", err)
	}
	for i := range list.Items {
		if list.Items[i].Name == name {
			return list.Items[i].DeletionTimestamp != nil, nil
		}
	}
	return true, nil
}

// endingOf is how BGP sessions end when the speaker is told to. One that comes back leaves its
// routes with the routers. Where the node goes, they would send traffic to nobody until the
// restart time is over. Without an answer of the API server the node is taken to stay: routes
// that are withdrawn without need can be the only ones.
func endingOf(replaced bool, err error) bgp.Ending {
	if err != nil || replaced {
		return bgp.Ending{End: bgp.EndRestart}
	}
	return bgp.Ending{End: bgp.EndDrain, Wait: goingWait, Text: "the node shuts down"}
}
