package migrator

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/lintel-lb/lintel/internal/announce"
	"github.com/lintel-lb/lintel/internal/kube/endpoint"
	"github.com/lintel-lb/lintel/internal/kube/mixed"
	"github.com/lintel-lb/lintel/internal/lb"
	"github.com/lintel-lb/lintel/internal/takeover"
)

// sim does what the controllers of DaemonSets and Deployments do, and the scheduler: before
// each read everything is as they would bring it about. A node has room for one speaker.
type sim struct {
	t testing.TB
	// made counts pods, for their UIDs.
	made int
	// settled tells that nothing was changed since everything was brought about.
	settled bool
	// writes is how many more requests may change something; none after it reached zero. Below
	// zero there is no limit.
	writes int
	// report, if there is one, changes what a speaker says of itself.
	report func(*endpoint.SpeakerReport)
	nodes  []string
}

// errBroken is what a request gets once everything has broken off.
var errBroken = errors.New("broken off")

const hashKey = "template"

// simulate is start with controllers that work and speakers that can be asked.
func simulate(t *testing.T, nodes ...string) (*Migrator, *sim) {
	t.Helper()
	m := start(t, nodes...)
	s := &sim{t: t, writes: -1, nodes: nodes}
	if err := m.Client.DeleteAllOf(t.Context(), &corev1.Pod{}, client.InNamespace(namespace)); err != nil {
		t.Fatal(err)
	}
	under := m.Client.(client.WithWatch)
	if err := m.Client.Create(t.Context(), &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "memberlist"}, Data: map[string][]byte{"secretkey": []byte("k")}}); err != nil {
		t.Fatal(err)
	}
	m.Client = interceptor.NewClient(under, interceptor.Funcs{
		Get: func(ctx context.Context, c client.WithWatch, key client.ObjectKey, o client.Object, opts ...client.GetOption) error {
			s.settle(ctx, c)
			return c.Get(ctx, key, o, opts...)
		},
		List: func(ctx context.Context, c client.WithWatch, list client.ObjectList, opts ...client.ListOption) error {
			s.settle(ctx, c)
			return c.List(ctx, list, opts...)
		},
		Delete: func(ctx context.Context, c client.WithWatch, o client.Object, opts ...client.DeleteOption) error {
			if err := s.write(); err != nil {
				return err
			}
			options := &client.DeleteOptions{}
			options.ApplyOptions(opts)
			if p := options.PropagationPolicy; p != nil && *p == metav1.DeletePropagationOrphan {
				s.orphan(ctx, c, o.GetName())
			}
			return c.Delete(ctx, o, opts...)
		},
		Create: func(ctx context.Context, c client.WithWatch, o client.Object, opts ...client.CreateOption) error {
			if err := s.write(); err != nil {
				return err
			}
			return c.Create(ctx, o, opts...)
		},
		Update: func(ctx context.Context, c client.WithWatch, o client.Object, opts ...client.UpdateOption) error {
			if err := s.write(); err != nil {
				return err
			}
			return c.Update(ctx, o, opts...)
		},
		Patch: func(ctx context.Context, c client.WithWatch, o client.Object, patch client.Patch, opts ...client.PatchOption) error {
			if err := s.write(); err != nil {
				return err
			}
			return c.Patch(ctx, o, patch, opts...)
		},
		Apply: func(ctx context.Context, c client.WithWatch, o runtime.ApplyConfiguration, opts ...client.ApplyOption) error {
			if err := s.write(); err != nil {
				return err
			}
			return apply(ctx, c, o)
		},
	})
	m.Inspect = func(ctx context.Context, p *corev1.Pod) (*endpoint.SpeakerReport, error) {
		return s.inspect(ctx, under, p)
	}
	return m, s
}

// write counts a request that changes something.
func (s *sim) write() error {
	if s.writes == 0 {
		return errBroken
	}
	s.writes--
	s.settled = false
	return nil
}

func (s *sim) pods(ctx context.Context, c client.Client) []corev1.Pod {
	var pods corev1.PodList
	s.must(c.List(ctx, &pods, client.InNamespace(namespace)))
	return pods.Items
}

// must fails the test. An object that is not there any more is of no account.
func (s *sim) must(err error) {
	s.t.Helper()
	if err != nil && !apierrors.IsNotFound(err) {
		s.t.Error(err)
	}
}

// apply is server-side apply for objects that nobody else has a part in.
func apply(ctx context.Context, c client.Client, o runtime.ApplyConfiguration) error {
	text, err := json.Marshal(o)
	if err != nil {
		return err
	}
	want := &takeover.Object{}
	if err := want.UnmarshalJSON(text); err != nil {
		return err
	}
	live := want.DeepCopy()
	switch err := c.Get(ctx, client.ObjectKeyFromObject(want), live); {
	case apierrors.IsNotFound(err):
		return c.Create(ctx, want)
	case err != nil:
		return err
	}
	return c.Patch(ctx, live, client.RawPatch(types.MergePatchType, text))
}

func (s *sim) orphan(ctx context.Context, c client.Client, set string) {
	for _, p := range s.pods(ctx, c) {
		if owner := metav1.GetControllerOf(&p); owner != nil && owner.Name == set {
			p.OwnerReferences = nil
			s.must(c.Update(ctx, &p))
		}
	}
}

// settle brings the world in line. What is asked for after its context ended is still settled.
func (s *sim) settle(ctx context.Context, c client.Client) {
	if s.settled {
		return
	}
	s.settled = true
	ctx = context.WithoutCancel(ctx)
	var sets appsv1.DaemonSetList
	s.must(c.List(ctx, &sets, client.InNamespace(namespace)))
	var nodes corev1.NodeList
	s.must(c.List(ctx, &nodes))
	s.collect(ctx, c, sets.Items, nodes.Items)
	for i := range sets.Items {
		s.place(ctx, c, &sets.Items[i], nodes.Items)
	}
	for i := range sets.Items {
		s.count(ctx, c, &sets.Items[i])
	}
	var deployments appsv1.DeploymentList
	s.must(c.List(ctx, &deployments, client.InNamespace(namespace)))
	for _, d := range deployments.Items {
		if n := replicas(&d); d.Status.ReadyReplicas != n {
			d.Status.ReadyReplicas, d.Status.UpdatedReplicas = n, n
			s.must(c.Status().Update(ctx, &d))
		}
	}
}

// collect adopts pods without an owner, and deletes those that no DaemonSet wants.
func (s *sim) collect(ctx context.Context, c client.Client, sets []appsv1.DaemonSet, nodes []corev1.Node) {
	for _, p := range s.pods(ctx, c) {
		owner := metav1.GetControllerOf(&p)
		if owner == nil {
			for _, ds := range sets {
				if labels.SelectorFromSet(ds.Spec.Selector.MatchLabels).Matches(labels.Set(p.Labels)) {
					p.OwnerReferences = ownedBy(ds.Name)
					s.must(c.Update(ctx, &p))
					break
				}
			}
			continue
		}
		wanted := false
		for i := range sets {
			ds := &sets[i]
			if ds.Name != owner.Name {
				continue
			}
			for j := range nodes {
				wanted = wanted || nodes[j].Name == nodeOf(&p) && matches(ds, &nodes[j])
			}
			if ds.Spec.UpdateStrategy.Type != appsv1.OnDeleteDaemonSetStrategyType && p.Annotations[hashKey] != s.hash(ds) {
				wanted = false
			}
		}
		if !wanted {
			s.must(c.Delete(ctx, &p))
		}
	}
}

// place makes the pods that a DaemonSet lacks. One that finds its node full waits.
func (s *sim) place(ctx context.Context, c client.Client, ds *appsv1.DaemonSet, nodes []corev1.Node) {
	pods := s.pods(ctx, c)
	for i := range nodes {
		node, full := nodes[i].Name, false
		var own *corev1.Pod
		for j := range pods {
			p := &pods[j]
			full = full || p.Spec.NodeName == node
			if owner := metav1.GetControllerOf(p); owner != nil && owner.Name == ds.Name && nodeOf(p) == node {
				own = p
			}
		}
		if !matches(ds, &nodes[i]) || own != nil && (own.Spec.NodeName != "" || full) {
			continue
		}
		if own != nil {
			s.must(c.Delete(ctx, own))
		}
		s.made++
		p := pod(ds.Name, node, !full)
		p.Name, p.UID = fmt.Sprintf("%s-%d", ds.Name, s.made), types.UID(fmt.Sprint(s.made))
		p.Labels, p.Annotations = ds.Spec.Template.Labels, map[string]string{hashKey: s.hash(ds)}
		p.Spec.Containers[0].Args = ds.Spec.Template.Spec.Containers[0].Args
		if full {
			p.Spec.NodeName = ""
			p.Spec.Affinity = &corev1.Affinity{NodeAffinity: &corev1.NodeAffinity{RequiredDuringSchedulingIgnoredDuringExecution: &corev1.NodeSelector{
				NodeSelectorTerms: []corev1.NodeSelectorTerm{{MatchFields: []corev1.NodeSelectorRequirement{
					{Key: "metadata.name", Operator: corev1.NodeSelectorOpIn, Values: []string{node}}}}}}}}
		}
		s.must(c.Create(ctx, p))
	}
}

func (s *sim) count(ctx context.Context, c client.Client, ds *appsv1.DaemonSet) {
	var desired, isReady int32
	for _, p := range s.pods(ctx, c) {
		if owner := metav1.GetControllerOf(&p); owner != nil && owner.Name == ds.Name {
			desired++
			if ready(&p) {
				isReady++
			}
		}
	}
	if ds.Status.DesiredNumberScheduled != desired || ds.Status.NumberReady != isReady || ds.Status.ObservedGeneration != ds.Generation {
		ds.Status.DesiredNumberScheduled, ds.Status.NumberReady, ds.Status.ObservedGeneration = desired, isReady, ds.Generation
		s.must(c.Status().Update(ctx, ds))
	}
}

func (s *sim) hash(ds *appsv1.DaemonSet) string {
	b, err := json.Marshal(ds.Spec.Template)
	s.must(err)
	return fmt.Sprintf("%x", sha256.Sum256(b))
}

// matches tells whether the required affinity allows a node; of operators it knows two.
func matches(ds *appsv1.DaemonSet, n *corev1.Node) bool {
	a := ds.Spec.Template.Spec.Affinity
	if a == nil || a.NodeAffinity == nil || a.NodeAffinity.RequiredDuringSchedulingIgnoredDuringExecution == nil {
		return true
	}
	return slices.ContainsFunc(a.NodeAffinity.RequiredDuringSchedulingIgnoredDuringExecution.NodeSelectorTerms, func(t corev1.NodeSelectorTerm) bool {
		return !slices.ContainsFunc(t.MatchExpressions, func(r corev1.NodeSelectorRequirement) bool {
			_, has := n.Labels[r.Key]
			return has != (r.Operator == corev1.NodeSelectorOpExists)
		})
	})
}

func ownedBy(set string) []metav1.OwnerReference {
	yes := true
	return []metav1.OwnerReference{{APIVersion: "apps/v1", Kind: "DaemonSet", Name: set, Controller: &yes}}
}

// inspect is what the speaker in a pod says.
func (s *sim) inspect(ctx context.Context, c client.Client, p *corev1.Pod) (*endpoint.SpeakerReport, error) {
	r := &endpoint.SpeakerReport{Node: p.Spec.NodeName}
	err := c.Get(ctx, client.ObjectKey{Namespace: namespace, Name: mixed.ConfigMap}, &corev1.ConfigMap{})
	if client.IgnoreNotFound(err) != nil {
		return nil, err
	}
	r.Settings.Mixed = err == nil
	for _, n := range s.nodes {
		r.Members = append(r.Members, n)
		if n != r.Node {
			r.Others = append(r.Others, endpoint.Other{Node: n, Told: true})
		}
	}
	w := world(s.nodes...)
	w.Settings.Mixed = r.Settings.Mixed
	d := announce.Decide(w)
	for _, a := range d.Addresses() {
		if _, own := d.OwnerScope(a, r.Node); own {
			r.Addresses = append(r.Addresses, endpoint.AnnouncedAddress{Address: a, Protocol: lb.Layer2})
		}
	}
	if s.report != nil {
		s.report(r)
	}
	return r, nil
}

// speakers says whose speaker each node has, with its UID.
func (s *sim) speakers(ctx context.Context, m *Migrator) map[string]string {
	s.t.Helper()
	var pods corev1.PodList
	s.must(m.Client.List(ctx, &pods, client.InNamespace(namespace)))
	out := map[string]string{}
	for _, p := range pods.Items {
		whose := "MetalLB"
		if takeover.IsLintel(&p.Spec, "speaker") {
			whose = "Lintel"
		}
		if p.Spec.NodeName != "" {
			out[p.Spec.NodeName] += fmt.Sprintf("%s %s", whose, p.UID)
		}
	}
	return out
}
