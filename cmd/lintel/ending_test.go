package main

import (
	"context"
	"errors"
	"net"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/fake"
	k8stesting "k8s.io/client-go/testing"

	"github.com/lintel-lb/lintel/internal/bgp"
)

// kubelet answers like one: it is there, or gone, or goes a moment after it was asked.
type kubelet func(ctx context.Context, address string) (net.Conn, error)

func runningKubelet(_ context.Context, _ string) (net.Conn, error) {
	near, _ := net.Pipe()
	return near, nil
}

func goneKubelet(context.Context, string) (net.Conn, error) { return nil, unix.ECONNREFUSED }

func goingKubelet() kubelet {
	asked := false
	return func(context.Context, string) (net.Conn, error) {
		if asked {
			return nil, unix.ECONNREFUSED
		}
		asked = true
		near, far := net.Pipe()
		far.Close()
		return near, nil
	}
}

func TestEnding(t *testing.T) {
	deleted := metav1.NewTime(time.Unix(1, 0))
	pod := func(edit func(*corev1.Pod)) *corev1.Pod {
		p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "own", Finalizers: []string{"x/y"}}}
		edit(p)
		return p
	}
	stays := func(*corev1.Pod) {}
	node := func(edit func(*corev1.Node)) *corev1.Node {
		n := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "n1"}, Status: corev1.NodeStatus{
			Addresses:       []corev1.NodeAddress{{Type: corev1.NodeHostName, Address: "n1"}, {Type: corev1.NodeInternalIP, Address: "192.0.2.1"}},
			DaemonEndpoints: corev1.NodeDaemonEndpoints{KubeletEndpoint: corev1.DaemonEndpoint{Port: 10250}},
			Conditions:      []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionTrue, Message: "kubelet is posting ready status"}}}}
		edit(n)
		return n
	}
	fine := func(*corev1.Node) {}
	tainted := func(key string) func(*corev1.Node) {
		return func(n *corev1.Node) { n.Spec.Taints = []corev1.Taint{{Key: key}} }
	}
	ready := func(message string) func(*corev1.Node) {
		return func(n *corev1.Node) {
			n.Status.Conditions[0] = corev1.NodeCondition{Type: corev1.NodeReady, Status: corev1.ConditionFalse, Reason: "KubeletNotReady", Message: message}
		}
	}
	for _, c := range []struct {
		name    string
		pod     *corev1.Pod
		own     string
		node    *corev1.Node
		kubelet kubelet
		want    bgp.End
	}{
		{"the pod is deleted, as in an update", pod(func(p *corev1.Pod) { p.DeletionTimestamp = &deleted }), "own", node(fine), goneKubelet, bgp.EndRestart},
		{"the pod is gone already", pod(func(p *corev1.Pod) { p.Name = "other" }), "own", node(fine), goneKubelet, bgp.EndRestart},
		{"not in a pod", pod(stays), "", node(fine), goneKubelet, bgp.EndRestart},
		{"a probe has failed, or the image is another", pod(stays), "own", node(fine), runningKubelet, bgp.EndRestart},
		{"the kubelet is not ready for another reason", pod(stays), "own", node(ready("container runtime is down")), runningKubelet, bgp.EndRestart},
		{"another taint", pod(stays), "own", node(tainted("node-role.kubernetes.io/control-plane")), runningKubelet, bgp.EndRestart},
		{"the kubelet cannot be asked", pod(stays), "own", node(fine), func(context.Context, string) (net.Conn, error) { return nil, unix.EACCES }, bgp.EndRestart},
		{"the node does not say where its kubelet is", pod(stays), "own", node(func(n *corev1.Node) { n.Status = corev1.NodeStatus{} }), goneKubelet, bgp.EndRestart},
		{"the Node object is gone", pod(stays), "own", node(func(n *corev1.Node) { n.Name = "n2" }), goneKubelet, bgp.EndRestart},

		{"the machine goes, its kubelet first", pod(stays), "own", node(fine), goneKubelet, bgp.EndDrain},
		{"the machine goes, its kubelet at the same time", pod(stays), "own", node(fine), goingKubelet(), bgp.EndDrain},
		{"the node is shut down in order", pod(stays), "own", node(ready("[node is shutting down, PLEG is not healthy]")), runningKubelet, bgp.EndDrain},
		{"the pod is ended by that", pod(func(p *corev1.Pod) {
			p.Status.Reason, p.Status.Message = "Terminated", "Pod was terminated in response to imminent node shutdown."
		}), "own", node(fine), runningKubelet, bgp.EndDrain},
		{"the node is cordoned", pod(stays), "own", node(func(n *corev1.Node) { n.Spec.Unschedulable = true }), runningKubelet, bgp.EndDrain},
		{"the node is out of service", pod(stays), "own", node(tainted(corev1.TaintNodeOutOfService)), runningKubelet, bgp.EndDrain},
		{"the node is scaled away", pod(stays), "own", node(tainted("ToBeDeletedByClusterAutoscaler")), runningKubelet, bgp.EndDrain},
	} {
		t.Run(c.name, func(t *testing.T) {
			core := fake.NewClientset(c.pod, c.node).CoreV1()
			r := endReason{pods: core.Pods("ns"), nodes: core.Nodes(), pod: c.own, node: "n1", dial: c.kubelet}
			got, err := r.find(t.Context())
			if err != nil || got.because == "" || got.ending().End != c.want {
				t.Errorf("ends as %v since %s, want %v; %v", got.ending().End, got.because, c.want, err)
			}
		})
	}
}

// Without an answer of the API server the node is taken to stay: routes that are withdrawn
// without need can be the only ones.
func TestEndingWithoutAnAnswer(t *testing.T) {
	for _, what := range []string{"pods", "nodes"} {
		c := fake.NewClientset(&corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "own"}})
		c.PrependReactor("list", what, func(k8stesting.Action) (bool, runtime.Object, error) { return true, nil, errors.New("no answer") })
		got, err := endReason{pods: c.CoreV1().Pods("ns"), nodes: c.CoreV1().Nodes(), pod: "own", node: "n1", dial: goneKubelet}.find(t.Context())
		if err == nil || got.ending().End != bgp.EndRestart {
			t.Errorf("without %s it ends as %v, %v", what, got.ending().End, err)
		}
	}
}

// A kubelet that ends while it is watched, over the kernel's TCP.
func TestKubeletThatEnds(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	at := ln.Addr().(*net.TCPAddr)
	go func() {
		c, err := ln.Accept()
		ln.Close()
		if err == nil {
			c.Close()
		}
	}()
	node := &corev1.Node{Status: corev1.NodeStatus{
		Addresses:       []corev1.NodeAddress{{Type: corev1.NodeInternalIP, Address: at.IP.String()}},
		DaemonEndpoints: corev1.NodeDaemonEndpoints{KubeletEndpoint: corev1.DaemonEndpoint{Port: int32(at.Port)}}}}
	r := endReason{dial: dialTCP}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if !r.kubeletGone(ctx, node) {
		t.Error("its end was not seen")
	}
}
