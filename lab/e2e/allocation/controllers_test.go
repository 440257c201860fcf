package allocation

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	autoscalingv1 "k8s.io/api/autoscaling/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/lintel-lb/lintel/lab/e2e/install"
)

const (
	deployment = "controller"
	lease      = "lintel-controller"

	// takeOver is how long a replica may take to lead after its leader fell silent: the time
	// that the lease lasts, 8 s, after it has last seen it renewed. It looks every 1 to 2.2 s, so
	// that it sees the last renewal late, and the end of the lease too; the rest is for a busy
	// machine.
	takeOver = 15 * time.Second

	// started is how long a Pod may take to run again.
	started = time.Minute
)

// controllers are the Pods of the controller that are not going, by name.
func (f fixture) controllers(ctx context.Context) ([]corev1.Pod, error) {
	var list corev1.PodList
	err := f.Client.List(ctx, &list, client.InNamespace(install.Namespace), client.MatchingLabels{"component": "controller"})
	slices.SortFunc(list.Items, func(a, b corev1.Pod) int { return strings.Compare(a.Name, b.Name) })
	return list.Items, err
}

// leading waits until there are so many controllers, all ready, one of them with the lead,
// and returns the name of its Pod. With none wanted it returns "".
func (f fixture) leading(replicas int) string {
	f.t.Helper()
	leader := ""
	f.Eventually(fmt.Sprintf("%d controllers with a leader", replicas), started, func(ctx context.Context) error {
		pods, err := f.controllers(ctx)
		if err != nil {
			return err
		}
		if len(pods) != replicas {
			return fmt.Errorf("there are %d Pods", len(pods))
		}
		for _, p := range pods {
			if p.DeletionTimestamp != nil || !slices.ContainsFunc(p.Status.Conditions, func(c corev1.PodCondition) bool {
				return c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue
			}) {
				return fmt.Errorf("%s is not ready", p.Name)
			}
		}
		if replicas == 0 {
			return nil
		}
		if leader, err = f.holder(ctx); err != nil {
			return err
		}
		if !slices.ContainsFunc(pods, func(p corev1.Pod) bool { return p.Name == leader }) {
			return fmt.Errorf("the lease is held by %q", leader)
		}
		return nil
	})
	return leader
}

// holder is who holds the lease.
func (f fixture) holder(ctx context.Context) (string, error) {
	l, err := f.Core.CoordinationV1().Leases(install.Namespace).Get(ctx, lease, metav1.GetOptions{})
	if err != nil || l.Spec.HolderIdentity == nil {
		return "", err
	}
	return *l.Spec.HolderIdentity, nil
}

// scale sets the number of controllers, until the test ends, and returns the leader.
func (f fixture) scale(replicas int) string {
	f.t.Helper()
	f.t.Cleanup(func() { f.setReplicas(context.WithoutCancel(f.t.Context()), 1) })
	f.setReplicas(f.t.Context(), replicas)
	return f.leading(replicas)
}

func (f fixture) setReplicas(ctx context.Context, replicas int) {
	f.t.Helper()
	want := &autoscalingv1.Scale{
		ObjectMeta: metav1.ObjectMeta{Namespace: install.Namespace, Name: deployment},
		Spec:       autoscalingv1.ScaleSpec{Replicas: int32(replicas)},
	}
	if _, err := f.Core.AppsV1().Deployments(install.Namespace).UpdateScale(ctx, deployment, want, metav1.UpdateOptions{}); err != nil {
		f.t.Error(err)
	}
}

// deletePod deletes a Pod of the controller, as a rollout does.
func (f fixture) deletePod(name string) {
	f.t.Helper()
	if err := f.Core.CoreV1().Pods(install.Namespace).Delete(f.t.Context(), name, metav1.DeleteOptions{}); err != nil {
		f.t.Fatal(err)
	}
}

// restarts is how often the containers of a Pod were started again.
func (f fixture) restarts(ctx context.Context, pod string) (int, error) {
	p, err := f.Core.CoreV1().Pods(install.Namespace).Get(ctx, pod, metav1.GetOptions{})
	if err != nil {
		return 0, err
	}
	n := 0
	for _, c := range p.Status.ContainerStatuses {
		n += int(c.RestartCount)
	}
	return n, nil
}

// process is the ID of a controller's process, which is found by the control group of its
// container.
func (f fixture) process(pod string) int {
	f.t.Helper()
	p, err := f.Core.CoreV1().Pods(install.Namespace).Get(f.t.Context(), pod, metav1.GetOptions{})
	if err != nil {
		f.t.Fatal(err)
	}
	id := ""
	for _, c := range p.Status.ContainerStatuses {
		id = strings.TrimPrefix(c.ContainerID, "containerd://")
	}
	dirs, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		f.t.Fatal(err)
	}
	for _, dir := range dirs {
		group, err := os.ReadFile(filepath.Join(dir, "cgroup"))
		if err != nil || id == "" || !strings.Contains(string(group), id) {
			continue
		}
		pid, err := strconv.Atoi(filepath.Base(dir))
		if err != nil {
			f.t.Fatal(err)
		}
		return pid
	}
	f.t.Fatalf("no process of Pod %s", pod)
	return 0
}

// pause stops a process until the function that it returns is called, or the test ends.
func (f fixture) pause(pid int) (resume func()) {
	f.t.Helper()
	if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
		f.t.Fatal(err)
	}
	resume = func() { _ = syscall.Kill(pid, syscall.SIGCONT) } // it may have ended
	f.t.Cleanup(resume)
	return resume
}
