package lab

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"runtime"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/lintel-lb/lintel/lab/internal/machine"
	"github.com/lintel-lb/lintel/lab/internal/render"
)

// startControlPlane returns when the API server says that it is ready.
func (l *Lab) startControlPlane(ctx context.Context, s steps) error {
	c, m := l.controlPlane(), l.machine(l.control())
	if err := spawn(ctx, m, c.Etcd()); err != nil {
		return err
	}
	if err := spawn(ctx, m, c.APIServer()); err != nil {
		return err
	}
	client, err := l.Client()
	if err != nil {
		return err
	}
	ready := func(ctx context.Context) error {
		return client.RESTClient().Get().AbsPath("/readyz").Do(ctx).Error()
	}
	if err := l.waitFor(ctx, m, "the API server", ready, "etcd", "kube-apiserver"); err != nil {
		return err
	}
	s.done("API server ready")
	for _, argv := range [][]string{c.ControllerManager(), c.Scheduler()} {
		if err := spawn(ctx, m, argv); err != nil {
			return err
		}
	}
	return nil
}

func spawn(ctx context.Context, m machine.Machine, argv []string) error {
	return m.Spawn(ctx, machine.Program{Name: argv[0], Argv: argv})
}

// createNodes makes the Node objects before the kubelets do, for the plan's
// ranges of Pods.
func (l *Lab) createNodes(ctx context.Context) error {
	client, err := l.Client()
	if err != nil {
		return err
	}
	for _, h := range l.plan.With(RoleNode, RoleLight) {
		node := &corev1.Node{
			ObjectMeta: metav1.ObjectMeta{Name: h.Name, Labels: map[string]string{corev1.LabelHostname: h.Name}},
			Spec:       corev1.NodeSpec{PodCIDR: h.PodNet4.String(), PodCIDRs: []string{h.PodNet4.String(), h.PodNet6.String()}},
		}
		if h.Role == RoleLight {
			// What a kubelet would say of itself.
			node.Labels[corev1.LabelOSStable], node.Labels[corev1.LabelArchStable] = runtime.GOOS, runtime.GOARCH
			node.Labels[LightLabel] = "true"
			node.Spec.Taints = []corev1.Taint{{Key: LightLabel, Value: "true", Effect: corev1.TaintEffectNoSchedule}}
		}
		_, err := client.CoreV1().Nodes().Create(ctx, node, metav1.CreateOptions{})
		if err != nil && !apierrors.IsAlreadyExists(err) {
			return fmt.Errorf("lab: create node %s: %w", h.Name, err)
		}
	}
	return nil
}

// startRuntime starts containerd on a node and gives it the images.
func (l *Lab) startRuntime(ctx context.Context, h Host, images []string) error {
	m, n := l.machine(h), l.node(h)
	// The kubelet takes its control group for a given.
	if err := os.MkdirAll(filepath.Join(m.Cgroup, "pods"), 0o755); err != nil {
		return fmt.Errorf("lab: %w", err)
	}
	if err := spawn(ctx, m, n.Containerd()); err != nil {
		return err
	}
	listens := func(ctx context.Context) error {
		socket, err := m.Path("containerd", render.ContainerdSocket)
		if err != nil {
			return err
		}
		var d net.Dialer
		conn, err := d.DialContext(ctx, "unix", socket)
		if err != nil {
			return err
		}
		return conn.Close()
	}
	if err := l.waitFor(ctx, m, "containerd of "+h.Name, listens, "containerd"); err != nil {
		return err
	}
	for _, image := range images {
		if err := l.loadOn(ctx, h, image); err != nil {
			return err
		}
	}
	return nil
}

// startNode starts what makes a machine with containerd a node.
func (l *Lab) startNode(ctx context.Context, h Host) error {
	m, n := l.machine(h), l.node(h)
	// The kubelet mounts volumes that containerd has to see.
	for _, argv := range [][]string{n.Kubelet(), l.proxy(h.Name)} {
		if err := m.Spawn(ctx, machine.Program{Name: argv[0], Argv: argv, Share: "containerd"}); err != nil {
			return err
		}
	}
	return nil
}

func (l *Lab) proxy(node string) []string {
	return render.Proxy(filepath.Join(l.pki(), "proxy.kubeconfig"), node)
}

// startBeyondNodes starts the control plane's kube-proxy, so that the API
// server reaches Services, and what keeps light nodes alive.
func (l *Lab) startBeyondNodes(ctx context.Context) error {
	nodes := l.plan.With(RoleNode, RoleLight)
	if len(nodes) == 0 {
		return nil
	}
	if err := spawn(ctx, l.machine(l.control()), l.proxy(nodes[0].Name)); err != nil {
		return err
	}
	return l.startHeartbeat(ctx)
}
