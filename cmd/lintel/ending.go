package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	corev1client "k8s.io/client-go/kubernetes/typed/core/v1"

	"github.com/lintel-lb/lintel/internal/bgp"
)

const (
	// askTimeout bounds finding out whether the node goes.
	askTimeout = 500 * time.Millisecond
	// goingWait is how long routers that are told of a node that goes have to move traffic, in
	// which it still forwards.
	goingWait = time.Second
)

// conclusion is what a speaker that is told to end takes to be the reason.
type conclusion struct {
	nodeGoes bool
	because  string
}

// endReason finds out why a speaker was told to end.
type endReason struct {
	pods  corev1client.PodInterface
	nodes corev1client.NodeInterface
	// pod is the name of the own pod, empty without one, and node that of the Node.
	pod, node string
	// dial opens a TCP connection.
	dial func(ctx context.Context, address string) (net.Conn, error)
}

// find tells a node that goes from a speaker that comes back. A pod that is to be replaced is
// deleted. In one that is not, the container is started again, as after a failed probe, a crash
// or a change of its image; unless the node goes, which it says itself, or its kubelet is the
// first to end, after which nothing is started any more.
func (r endReason) find(ctx context.Context) (conclusion, error) {
	if r.pod == "" {
		return conclusion{because: "it does not run in a pod"}, nil
	}
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	// Lists, as speakers may not get pods and nodes.
	pods, err := r.pods.List(ctx, named(r.pod))
	if err != nil {
		return conclusion{}, fmt.Errorf("own pod: %w", err)
	}
	i := slices.IndexFunc(pods.Items, func(p corev1.Pod) bool { return p.Name == r.pod })
	if i < 0 || pods.Items[i].DeletionTimestamp != nil {
		return conclusion{because: "its pod is deleted, and another one takes its place"}, nil
	}
	nodes, err := r.nodes.List(ctx, named(r.node))
	if err != nil {
		return conclusion{}, fmt.Errorf("own node: %w", err)
	}
	j := slices.IndexFunc(nodes.Items, func(n corev1.Node) bool { return n.Name == r.node })
	if j < 0 {
		return conclusion{because: "its Node object is gone, with all that was announced for it"}, nil
	}
	node := &nodes.Items[j]
	if why := saysItGoes(&pods.Items[i], node); why != "" {
		return conclusion{nodeGoes: true, because: why}, nil
	}
	if r.kubeletGone(ctx, node) {
		return conclusion{nodeGoes: true, because: "the kubelet of the node has ended, so that nothing is started any more"}, nil
	}
	return conclusion{because: "the node says nothing of going and its kubelet runs, which starts the container again"}, nil
}

func named(name string) metav1.ListOptions {
	return metav1.ListOptions{FieldSelector: fields.OneTermEqualSelector(metav1.ObjectNameField, name).String()}
}

// saysItGoes tells how the objects of a node show that it is about to go; empty if they do not.
// In an orderly shutdown the kubelet marks its node and its pods before it ends them.
func saysItGoes(pod *corev1.Pod, node *corev1.Node) string {
	if pod.Status.Reason == "Terminated" && strings.Contains(pod.Status.Message, "node shutdown") {
		return "the kubelet ends its pod since the node shuts down"
	}
	for _, c := range node.Status.Conditions {
		if c.Type == corev1.NodeReady && c.Status != corev1.ConditionTrue && strings.Contains(c.Message, "node is shutting down") {
			return "the kubelet says that the node shuts down"
		}
	}
	for _, t := range node.Spec.Taints {
		switch t.Key {
		case corev1.TaintNodeUnreachable, corev1.TaintNodeOutOfService, "node.cloudprovider.kubernetes.io/shutdown",
			"ToBeDeletedByClusterAutoscaler", "karpenter.sh/disrupted":
			return "the node has the taint " + t.Key
		}
	}
	if node.Spec.Unschedulable {
		return "the node is cordoned"
	}
	return ""
}

// kubeletGone watches the kubelet for as long as there is time. Where a machine shuts down
// without word to Kubernetes, it ends at about the same moment as what it has started.
func (r endReason) kubeletGone(ctx context.Context, node *corev1.Node) bool {
	port := node.Status.DaemonEndpoints.KubeletEndpoint.Port
	i := slices.IndexFunc(node.Status.Addresses, func(a corev1.NodeAddress) bool { return a.Type == corev1.NodeInternalIP })
	if i < 0 || port == 0 {
		return false
	}
	address := net.JoinHostPort(node.Status.Addresses[i].Address, strconv.Itoa(int(port)))
	for ctx.Err() == nil {
		c, err := r.dial(ctx, address)
		if errors.Is(err, unix.ECONNREFUSED) {
			return true
		}
		if err != nil {
			return false // it cannot be told
		}
		untilClosed(ctx, c)
	}
	return false
}

func dialTCP(ctx context.Context, address string) (net.Conn, error) {
	return new(net.Dialer).DialContext(ctx, "tcp", address)
}

// untilClosed waits until the other end has closed a connection, and closes it.
func untilClosed(ctx context.Context, c net.Conn) {
	defer context.AfterFunc(ctx, func() { c.Close() })()
	defer c.Close()
	_, _ = io.Copy(io.Discard, c)
}

// ending is how BGP sessions end when the speaker is told to. One that comes back leaves its
// routes with the routers. Where the node goes, they would send traffic to nobody until the
// restart time is over.
func (c conclusion) ending() bgp.Ending {
	if !c.nodeGoes {
		return bgp.Ending{End: bgp.EndRestart}
	}
	return bgp.Ending{End: bgp.EndDrain, Wait: goingWait, Text: "the node shuts down"}
}
