package lab

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/lintel-lb/lintel/lab/internal/machine"
)

const (
	poll    = 50 * time.Millisecond
	patient = 90 * time.Second // a step of a start on a slow machine
)

// waitFor polls until check succeeds. It gives up when one of the daemons that
// it depends on has ended, and shows the end of its log.
func (l *Lab) waitFor(ctx context.Context, m machine.Machine, what string, check func(context.Context) error, daemons ...string) error {
	return wait(ctx, what, func(ctx context.Context) error {
		for _, d := range daemons {
			if !m.Alive(d) {
				return final{fmt.Errorf("%s has ended; its log %s ends:\n%s", d, m.Log(d), m.Tail(d, 15))}
			}
		}
		return check(ctx)
	})
}

// final is an error that waiting does not help against.
type final struct{ error }

// wait polls until check succeeds, ends with a final error, or patience or ctx
// ends. A single check may take two seconds.
func wait(ctx context.Context, what string, check func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, patient)
	defer cancel()
	tick := time.NewTicker(poll)
	defer tick.Stop()
	for {
		inner, done := context.WithTimeout(ctx, 2*time.Second)
		err := check(inner)
		done()
		var end final
		if err == nil {
			return nil
		} else if errors.As(err, &end) {
			return fmt.Errorf("lab: %s: %w", what, end.error)
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("lab: %s: %w; last: %w", what, context.Cause(ctx), err)
		case <-tick.C:
		}
	}
}

// waitReady returns when every node is Ready and takes Pods: the scheduler passes over a node
// until its taint is gone, which is a moment later.
func (l *Lab) waitReady(ctx context.Context) error {
	client, err := l.Client()
	if err != nil {
		return err
	}
	return wait(ctx, "nodes Ready", func(ctx context.Context) error {
		for _, h := range l.plan.With(RoleNode) {
			m := l.machine(h)
			for _, d := range []string{"containerd", "kubelet", "kube-proxy"} {
				if !m.Alive(d) {
					return final{fmt.Errorf("%s of %s has ended; its log %s ends:\n%s", d, h.Name, m.Log(d), m.Tail(d, 15))}
				}
			}
		}
		list, err := client.CoreV1().Nodes().List(ctx, metav1.ListOptions{})
		if err != nil {
			return err
		}
		var waiting []string
		for _, n := range list.Items {
			if ready := readiness(&n); ready.Status != corev1.ConditionTrue {
				waiting = append(waiting, n.Name+" "+ready.Message)
			} else if slices.ContainsFunc(n.Spec.Taints, func(t corev1.Taint) bool { return t.Key == corev1.TaintNodeNotReady }) {
				waiting = append(waiting, n.Name+" is tainted "+corev1.TaintNodeNotReady)
			}
		}
		if len(waiting) > 0 {
			return errors.New(strings.Join(waiting, ", "))
		}
		return nil
	})
}

func readiness(n *corev1.Node) corev1.NodeCondition {
	for _, c := range n.Status.Conditions {
		if c.Type == corev1.NodeReady {
			return c
		}
	}
	return corev1.NodeCondition{Status: corev1.ConditionUnknown, Message: "has not reported"}
}
