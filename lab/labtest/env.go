package labtest

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/lintel-lb/lintel/lab"
)

const (
	// applyTime bounds an Apply.
	applyTime = 30 * time.Second

	// cleanupTime bounds the removal of a test's objects.
	cleanupTime = 90 * time.Second

	// slotTime is how long a parallel test waits for its share of addresses.
	slotTime = 10 * time.Minute
)

// Env is what one test has for itself. Its methods fail the test if the lab does
// not do what it is asked for; those that return an error are about what is
// under test.
type Env struct {
	Lab *lab.Lab

	// Namespace is the test's own Kubernetes namespace. Name begins with the
	// same words and is for objects outside of it.
	Namespace string
	Name      string

	// Pool4 and Pool6 are the test's own addresses on the nodes' segment;
	// Routed4 and Routed6 are its own prefixes that are on no segment.
	Pool4, Pool6     Range
	Routed4, Routed6 netip.Prefix

	// Client reads and writes objects; Core is for what it cannot do.
	Client client.Client
	Core   kubernetes.Interface

	t       testing.TB
	suite   *suite
	applied applied
	broken  []string // hosts that Break has broken, first first
	kept    keeper
}

// New prepares the lab for a test. Everything that the Env has made is removed
// when the test ends; of a test that has failed, a directory with logs, objects
// and the state of the network stays, and its path is in the test's log.
func New(t testing.TB) *Env {
	t.Helper()
	s := shared
	if s == nil {
		t.Fatal("labtest: TestMain has to call labtest.Main")
	}
	if err := s.start(); err != nil {
		t.Fatal(err)
	}
	var slot int
	select {
	case slot = <-s.slots:
	case <-time.After(slotTime):
		t.Fatalf("labtest: all %d shares of the addresses are taken by other tests", slotCount)
	case <-s.ctx.Done():
		t.Fatal("labtest: interrupted")
	}
	t.Cleanup(func() { s.slots <- slot })

	name := objectName(t.Name(), rand.Text())
	r := rangesOf(slot)
	e := &Env{
		Lab: s.lab, Namespace: name, Name: name,
		Pool4: r.pool4, Pool6: r.pool6, Routed4: r.routed4, Routed6: r.routed6,
		Client: s.clients.objects, Core: s.clients.core, t: t, suite: s,
		// Made before the cleanups are registered, so that it goes after them.
		kept: keeper{dir: t.TempDir()},
	}
	// Last in, first out: what a failed test leaves is collected before its
	// objects go, and hosts are repaired in between.
	t.Cleanup(e.removeApplied)
	t.Cleanup(e.repairAll)
	t.Cleanup(e.collect)
	e.createNamespace()
	return e
}

// objectName makes a name for Kubernetes objects of at most 40 characters out
// of a test's name and something random.
func objectName(test, random string) string {
	var b strings.Builder
	for _, r := range strings.ToLower(strings.TrimPrefix(test, "Test")) {
		switch {
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9':
			b.WriteRune(r)
		case b.Len() > 0 && !strings.HasSuffix(b.String(), "-"):
			b.WriteByte('-')
		}
	}
	words := b.String()
	words = strings.Trim(words[:min(len(words), 32)], "-")
	return "t-" + words + "-" + strings.ToLower(random[:5])
}

func (e *Env) createNamespace() {
	e.t.Helper()
	e.Apply("apiVersion: v1\nkind: Namespace\nmetadata:\n  name: {{.Namespace}}\n", nil)
	// Pods are refused until there is an account for them.
	e.Eventually("the namespace has its service account", time.Minute, func(ctx context.Context) error {
		_, err := e.Core.CoreV1().ServiceAccounts(e.Namespace).Get(ctx, "default", metav1.GetOptions{})
		return err
	})
}

// Page runs the demo page as a Deployment called name, with that many Pods, each
// labelled app=name, and returns when all are ready. The Pods spread over the
// nodes.
func (e *Env) Page(name string, replicas int) {
	e.t.Helper()
	e.Apply(pageManifest, map[string]any{"Name": name, "Replicas": replicas})
	e.Eventually(fmt.Sprintf("%d Pods of %s are ready", replicas, name), time.Minute, func(ctx context.Context) error {
		var pods corev1.PodList
		err := e.Client.List(ctx, &pods, client.InNamespace(e.Namespace), client.MatchingLabels{"app": name})
		if err != nil {
			return err
		}
		ready := 0
		var waiting []error
		for i := range pods.Items {
			if why := unready(&pods.Items[i]); why != "" {
				waiting = append(waiting, fmt.Errorf("%s: %s", pods.Items[i].Name, why))
				continue
			}
			ready++
		}
		if ready != replicas || len(waiting) > 0 {
			return errors.Join(append([]error{fmt.Errorf("%d are ready", ready)}, waiting...)...)
		}
		return nil
	})
}

// unready returns why a Pod is not ready, or nothing.
func unready(p *corev1.Pod) string {
	if p.DeletionTimestamp != nil {
		return "terminating"
	}
	for _, s := range p.Status.ContainerStatuses {
		if s.State.Waiting != nil && s.State.Waiting.Message != "" {
			return s.State.Waiting.Reason + ": " + s.State.Waiting.Message
		}
	}
	for _, c := range p.Status.Conditions {
		if c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue {
			return ""
		}
	}
	return "not ready, phase " + string(p.Status.Phase)
}

const pageManifest = `
apiVersion: apps/v1
kind: Deployment
metadata:
  name: {{.Vars.Name}}
spec:
  replicas: {{.Vars.Replicas}}
  selector:
    matchLabels: {app: {{.Vars.Name}}}
  template:
    metadata:
      labels: {app: {{.Vars.Name}}}
    spec:
      terminationGracePeriodSeconds: 5
      automountServiceAccountToken: false
      topologySpreadConstraints:
      - maxSkew: 1
        topologyKey: kubernetes.io/hostname
        whenUnsatisfiable: ScheduleAnyway
        labelSelector:
          matchLabels: {app: {{.Vars.Name}}}
      containers:
      - name: page
        image: {{.PageImage}}
        imagePullPolicy: Never
        ports:
        - {name: http, containerPort: 80}
        env:
        - name: POD_NAME
          valueFrom: {fieldRef: {fieldPath: metadata.name}}
        - name: NODE_NAME
          valueFrom: {fieldRef: {fieldPath: spec.nodeName}}
        readinessProbe:
          httpGet: {path: /healthz, port: http}
          periodSeconds: 1
`
