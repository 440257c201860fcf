package migrator

import (
	"context"
	"fmt"
	"net/netip"
	"slices"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/lintel-lb/lintel/internal/announce"
	"github.com/lintel-lb/lintel/internal/kube/mixed"
	"github.com/lintel-lb/lintel/internal/takeover"
)

// keep has Helm leave the resource definitions, and with them all configuration.
func (m *Migrator) keep(ctx context.Context, s *State) error {
	for _, d := range s.Record.Definitions {
		patch := fmt.Appendf(nil, `{"metadata":{"annotations":{%q:"keep"}}}`, takeover.KeepAnnotation)
		if err := m.Client.Patch(ctx, d.DeepCopy(), client.RawPatch(types.MergePatchType, patch)); err != nil {
			return fmt.Errorf("migrator: keep %s: %w", takeover.IDOf(d), err)
		}
	}
	for i := range s.releases {
		secret := &s.releases[i]
		data, changed, err := takeover.KeepDefinitions(secret.Data["release"])
		if err != nil {
			return fmt.Errorf("migrator: Secret %s: %w", secret.Name, err)
		}
		if !changed {
			continue
		}
		secret.Data["release"] = data
		if err := m.Client.Update(ctx, secret); err != nil {
			return fmt.Errorf("migrator: Secret %s: %w", secret.Name, err)
		}
		// What is put back if the take-over is reverted protects them as well.
		for _, saved := range s.Record.Releases {
			if saved.GetName() == secret.Name && saved.GetNamespace() == secret.Namespace {
				if err := m.Client.Scheme().Convert(secret, saved, nil); err != nil {
					return fmt.Errorf("migrator: Helm's Secret: %w", err)
				}
				*saved = *takeover.Bare(saved)
			}
		}
	}
	return nil
}

// key has Lintel's speakers use the key of MetalLB's, and keeps it when MetalLB's Deployment,
// which owns it, goes.
func (m *Migrator) key(ctx context.Context, s *State) error {
	old, target := s.Inventory.Old, s.Inventory.Target
	if !old.Membership() || old.Secret() == "" {
		return nil
	}
	var secret corev1.Secret
	if err := m.Client.Get(ctx, client.ObjectKey{Namespace: old.Namespace, Name: old.Secret()}, &secret); err != nil {
		return fmt.Errorf("migrator: read the memberlist Secret: %w", err)
	}
	if old.Secret() == target.Secret() {
		secret.OwnerReferences = slices.DeleteFunc(secret.OwnerReferences, func(r metav1.OwnerReference) bool { return r.Name == old.Controller.Name })
		if err := m.Client.Update(ctx, &secret); err != nil {
			return fmt.Errorf("migrator: Secret %s: %w", secret.Name, err)
		}
		return nil
	}
	return m.copyKey(ctx, old.Namespace, old.Secret(), target.Secret())
}

// copyKey copies a memberlist Secret to another name.
func (m *Migrator) copyKey(ctx context.Context, namespace, from, to string) error {
	if from == "" || to == "" || from == to {
		return nil
	}
	var source corev1.Secret
	if err := m.Client.Get(ctx, client.ObjectKey{Namespace: namespace, Name: from}, &source); err != nil {
		return fmt.Errorf("migrator: read the memberlist Secret: %w", err)
	}
	copied := corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: to}}
	err := m.Client.Get(ctx, client.ObjectKeyFromObject(&copied), &copied)
	copied.Data = source.Data
	switch {
	case apierrors.IsNotFound(err):
		err = m.Client.Create(ctx, &copied)
	case err == nil:
		err = m.Client.Update(ctx, &copied)
	}
	if err != nil {
		return fmt.Errorf("migrator: copy the memberlist Secret to %s: %w", to, err)
	}
	return nil
}

// mix makes membership mixed, and waits until all of Lintel's speakers that run know.
func (m *Migrator) mix(ctx context.Context, s *State) error {
	text, err := s.Inventory.Old.SpeakerSelector()
	if err != nil {
		return err
	}
	selector, err := labels.Parse(text)
	if err != nil {
		return fmt.Errorf("migrator: %w", err)
	}
	cm := mixed.New(s.Inventory.Old.Namespace, mixed.Setting{Speakers: selector, ZeroLocalPref: s.Inventory.PinsLocalPref()})
	if err := m.Client.Create(ctx, cm); client.IgnoreAlreadyExists(err) != nil {
		return fmt.Errorf("migrator: make membership mixed: %w", err)
	}
	return m.allKnow(ctx, s, true)
}

func (m *Migrator) removeMixed(ctx context.Context, s *State) error {
	return m.remove(ctx, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: s.Inventory.Old.Namespace, Name: mixed.ConfigMap}})
}

// unmix ends mixed membership, once nobody but Lintel announces.
func (m *Migrator) unmix(ctx context.Context, s *State) error {
	pods, err := m.pods(ctx, s.Inventory.Old.Namespace, takeover.AsideName(s.Inventory.Old, s.Inventory.Target))
	if err != nil {
		return err
	}
	for _, p := range pods {
		if p.Spec.NodeName != "" {
			return fmt.Errorf("migrator: node %s has a speaker of MetalLB: run this again to take it over", p.Spec.NodeName)
		}
	}
	if err := m.allAcquainted(ctx, s); err != nil {
		return err
	}
	if err := m.sayMoves(ctx); err != nil {
		return err
	}
	if err := m.removeMixed(ctx, s); err != nil {
		return err
	}
	if err := m.allKnow(ctx, s, false); err != nil {
		return err
	}
	return m.settled(ctx, s)
}

// sayMoves tells which addresses move when Lintel's own election holds.
func (m *Migrator) sayMoves(ctx context.Context) error {
	w, err := m.World(ctx)
	if err != nil {
		return err
	}
	w.Settings.Mixed = true
	d := announce.Decide(w)
	before := map[netip.Addr]string{}
	for _, a := range d.Addresses() {
		before[a], _ = d.Owner(a)
	}
	settings := w.Settings
	settings.Mixed = false
	d.SetSettings(settings)
	d.Flush()
	for _, a := range d.Addresses() {
		if now, _ := d.Owner(a); now != before[a] {
			m.Say("      %s moves from %s to %s\n", a, before[a], now)
		}
	}
	return nil
}

// scale sets the replicas of a Deployment and waits until it has them; with none, until the
// last pod is gone.
func (m *Migrator) scale(ctx context.Context, d *appsv1.Deployment, replicas int32) error {
	patch := fmt.Appendf(nil, `{"spec":{"replicas":%d}}`, replicas)
	live := &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Namespace: d.Namespace, Name: d.Name}}
	if err := m.Client.Patch(ctx, live, client.RawPatch(types.MergePatchType, patch)); err != nil {
		return fmt.Errorf("migrator: scale Deployment %s: %w", d.Name, err)
	}
	return m.scaled(ctx, d, replicas)
}

func (m *Migrator) scaled(ctx context.Context, d *appsv1.Deployment, replicas int32) error {
	return until(ctx, patience, "Deployment "+d.Name, func(ctx context.Context) error {
		live := &appsv1.Deployment{}
		if err := m.Client.Get(ctx, client.ObjectKeyFromObject(d), live); err != nil {
			return err
		}
		if live.Status.ObservedGeneration != live.Generation || live.Status.ReadyReplicas != replicas || live.Status.UpdatedReplicas != replicas {
			return fmt.Errorf("%d of %d pods are ready", live.Status.ReadyReplicas, replicas)
		}
		if replicas > 0 {
			return nil
		}
		selector, err := metav1.LabelSelectorAsSelector(d.Spec.Selector)
		if err != nil {
			return err
		}
		var pods corev1.PodList
		if err := m.Client.List(ctx, &pods, client.InNamespace(d.Namespace), client.MatchingLabelsSelector{Selector: selector}); err != nil {
			return err
		}
		if len(pods.Items) > 0 {
			return fmt.Errorf("%d pods have not ended", len(pods.Items))
		}
		return nil
	})
}

func replicas(d *appsv1.Deployment) int32 {
	if d.Spec.Replicas == nil {
		return 1
	}
	return *d.Spec.Replicas
}

func (m *Migrator) stopController(ctx context.Context, s *State) error {
	err := m.scale(ctx, s.Inventory.Old.Controller, 0)
	if apierrors.IsNotFound(err) {
		return nil // a way back was broken off before it came back
	}
	return err
}

func (m *Migrator) restartController(ctx context.Context, s *State) error {
	old := s.Inventory.Old.Controller
	if err := m.ensureOld(ctx, s, takeover.ID{Group: "apps", Kind: "Deployment", Namespace: old.Namespace, Name: old.Name}); err != nil {
		return err
	}
	return m.scaled(ctx, old, replicas(old))
}

// ensureOld puts one of MetalLB's objects back as it was.
func (m *Migrator) ensureOld(ctx context.Context, s *State, id takeover.ID) error {
	if o := takeover.Find(s.Record.Old, id); o != nil {
		return m.ensure(ctx, o)
	}
	return nil
}

func (m *Migrator) dropWebhook(ctx context.Context, s *State) error {
	for _, o := range s.Record.Old {
		if o.GetKind() == "ValidatingWebhookConfiguration" {
			if err := m.remove(ctx, o.DeepCopy()); err != nil {
				return err
			}
		}
	}
	return nil
}

func (m *Migrator) restoreWebhook(ctx context.Context, s *State) error {
	for _, o := range s.Record.Old {
		if o.GetKind() == "ValidatingWebhookConfiguration" {
			if err := m.ensure(ctx, o); err != nil {
				return err
			}
		}
	}
	return nil
}

func (m *Migrator) definitions(ctx context.Context, s *State) error {
	for _, o := range s.Inventory.Target.Objects {
		if !takeover.IsCRD(o) {
			continue
		}
		live, err := m.get(ctx, o)
		if err != nil {
			return err
		}
		if live != nil {
			strategy, _, _ := unstructured.NestedString(live.Object, "spec", "conversion", "strategy")
			if strategy == "Webhook" {
				patch := []byte(`{"spec":{"conversion":{"strategy":"None","webhook":null}}}`)
				if err := m.Client.Patch(ctx, live, client.RawPatch(types.MergePatchType, patch)); err != nil {
					return fmt.Errorf("migrator: conversion of %s: %w", takeover.IDOf(o), err)
				}
			}
		}
		if err := m.apply(ctx, o); err != nil {
			return err
		}
	}
	return nil
}

// restoreDefinitions puts the old definitions back; ones that were not there stay, since they
// hold nothing.
func (m *Migrator) restoreDefinitions(ctx context.Context, s *State) error {
	for _, o := range s.Record.Definitions {
		o = o.DeepCopy()
		a := o.GetAnnotations()
		if a == nil {
			a = map[string]string{}
		}
		a[takeover.KeepAnnotation] = "keep"
		o.SetAnnotations(a)
		if err := m.ensure(ctx, o); err != nil {
			return err
		}
	}
	return nil
}

// isWorkload tells what has steps of its own.
func isWorkload(s *State, o *takeover.Object) bool {
	id := takeover.IDOf(o)
	return id.Kind == "Deployment" && id.Name == s.Inventory.Target.Controller.Name ||
		id.Kind == "DaemonSet" && id.Name == s.Inventory.Target.Speaker.Name
}

// objects applies what is neither definition nor workload; both has roles keep MetalLB's rights.
func (m *Migrator) objects(ctx context.Context, s *State, both bool) error {
	for _, o := range s.Inventory.Target.Objects {
		if takeover.IsCRD(o) || o.GetKind() == "Namespace" || isWorkload(s, o) {
			continue
		}
		if both {
			o = takeover.WithRights(o, s.Record.Old)
		}
		if err := m.apply(ctx, o); err != nil {
			return err
		}
	}
	return nil
}

func (m *Migrator) restoreObjects(ctx context.Context, s *State) error {
	target := s.Inventory.Target
	// What Helm stores of Lintel, if it was installed over the take-over, would have an uninstall
	// delete objects that are MetalLB's again.
	if release := takeover.Adopt(target.Objects, target.Namespace); release != "" {
		err := m.Client.DeleteAllOf(ctx, &corev1.Secret{}, client.InNamespace(target.Namespace), client.MatchingLabels{"owner": "helm", "name": release})
		if err != nil {
			return fmt.Errorf("migrator: delete Helm's record of release %s: %w", release, err)
		}
	}
	for _, o := range slices.Backward(target.Objects) {
		if takeover.IsCRD(o) || o.GetKind() == "Namespace" || isWorkload(s, o) {
			continue
		}
		var err error
		if old := takeover.Find(s.Record.Old, takeover.IDOf(o)); old != nil {
			err = m.ensure(ctx, old)
		} else {
			err = m.remove(ctx, o.DeepCopy())
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// workload is the object of the target for its controller or speaker.
func workload(s *State, kind string) *takeover.Object {
	for _, o := range s.Inventory.Target.Objects {
		if o.GetKind() == kind && isWorkload(s, o) {
			return o
		}
	}
	return nil
}

func (m *Migrator) startController(ctx context.Context, s *State) error {
	target := s.Inventory.Target.Controller
	if target.Name == s.Inventory.Old.Controller.Name {
		live := &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Namespace: target.Namespace, Name: target.Name}}
		err := m.Client.Get(ctx, client.ObjectKeyFromObject(live), live)
		if client.IgnoreNotFound(err) != nil {
			return fmt.Errorf("migrator: read Deployment %s: %w", target.Name, err)
		}
		if err == nil && !takeover.IsLintel(&live.Spec.Template.Spec, "controller") {
			if err := m.remove(ctx, live, client.PropagationPolicy(metav1.DeletePropagationBackground)); err != nil {
				return err
			}
		}
	}
	if err := m.apply(ctx, workload(s, "Deployment")); err != nil {
		return err
	}
	if err := m.scaled(ctx, target, replicas(target)); err != nil {
		return err
	}
	return m.sameAddresses(ctx, s)
}

func (m *Migrator) dropController(ctx context.Context, s *State) error {
	target := s.Inventory.Target.Controller
	live := &appsv1.Deployment{}
	err := m.Client.Get(ctx, client.ObjectKeyFromObject(target), live)
	if client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("migrator: read Deployment %s: %w", target.Name, err)
	}
	if err == nil && takeover.IsLintel(&live.Spec.Template.Spec, "controller") {
		if err := m.scale(ctx, target, 0); err != nil {
			return err
		}
		return m.remove(ctx, live, client.PropagationPolicy(metav1.DeletePropagationBackground))
	}
	return nil
}

func (m *Migrator) startSpeakers(ctx context.Context, s *State) error {
	// One that is on its way out, since a way back was broken off here, would go with its successor.
	ds, err := m.daemonSet(ctx, s.Inventory.Target.Namespace, s.Inventory.Target.Speaker.Name)
	if err != nil {
		return err
	}
	if ds != nil && ds.DeletionTimestamp != nil {
		if err := m.remove(ctx, ds, client.PropagationPolicy(metav1.DeletePropagationForeground)); err != nil {
			return err
		}
	}
	return m.apply(ctx, workload(s, "DaemonSet"))
}

func (m *Migrator) dropSpeakers(ctx context.Context, s *State) error {
	ds, err := m.daemonSet(ctx, s.Inventory.Target.Namespace, s.Inventory.Target.Speaker.Name)
	if err != nil || ds == nil || !takeover.IsLintel(&ds.Spec.Template.Spec, "speaker") {
		return err
	}
	return m.remove(ctx, ds, client.PropagationPolicy(metav1.DeletePropagationForeground))
}

// removeOld removes what is left of MetalLB, and the marks of the take-over.
func (m *Migrator) removeOld(ctx context.Context, s *State) error {
	old, target := s.Inventory.Old, s.Inventory.Target
	for _, o := range takeover.Leftovers(old, target) {
		if err := m.remove(ctx, o.DeepCopy(), client.PropagationPolicy(metav1.DeletePropagationBackground)); err != nil {
			return err
		}
	}
	if name := takeover.AsideName(old, target); name != old.Speaker.Name {
		ds := &appsv1.DaemonSet{ObjectMeta: metav1.ObjectMeta{Namespace: old.Namespace, Name: name}}
		if err := m.remove(ctx, ds, client.PropagationPolicy(metav1.DeletePropagationBackground)); err != nil {
			return err
		}
	}
	if err := m.objects(ctx, s, false); err != nil {
		return err
	}
	// A DaemonSet that is held would leave every node that loses the label.
	if err := m.unholdOwn(ctx, s); err != nil {
		return err
	}
	for _, node := range s.Inventory.Nodes {
		if err := m.label(ctx, node, takeover.LabelTaken, ""); err != nil {
			return err
		}
	}
	for i := range s.releases {
		if err := m.remove(ctx, &s.releases[i]); err != nil {
			return err
		}
	}
	return nil
}

// restoreOld undoes removeOld: MetalLB's DaemonSet comes back without pods, since all nodes are
// taken over, and its Deployment without replicas.
func (m *Migrator) restoreOld(ctx context.Context, s *State) error {
	for _, node := range s.Inventory.Nodes {
		if err := m.label(ctx, node, takeover.LabelTaken, "true"); err != nil {
			return err
		}
	}
	for _, o := range s.Record.Releases {
		if err := m.ensure(ctx, o); err != nil {
			return err
		}
	}
	if err := m.objects(ctx, s, true); err != nil {
		return err
	}
	old, target := s.Inventory.Old, s.Inventory.Target
	// MetalLB's went with its Deployment, and its speakers are to read the key that is in use.
	if err := m.copyKey(ctx, old.Namespace, target.Secret(), old.Secret()); err != nil {
		return err
	}
	for _, o := range takeover.Leftovers(old, target) {
		switch {
		case o.GetKind() == "ValidatingWebhookConfiguration": // comes back with its own step
			continue
		case o.GetKind() == "DaemonSet" && o.GetName() == old.Speaker.Name:
			continue
		case o.GetKind() == "Deployment" && o.GetName() == old.Controller.Name:
			o = o.DeepCopy()
			if err := unstructured.SetNestedField(o.Object, int64(0), "spec", "replicas"); err != nil {
				return err
			}
		}
		if err := m.ensure(ctx, o); err != nil {
			return err
		}
	}
	ds := takeover.Hold(old.Speaker, false)
	ds.Name, ds.ResourceVersion = takeover.AsideName(old, target), ""
	if err := m.Client.Create(ctx, ds); client.IgnoreAlreadyExists(err) != nil {
		return fmt.Errorf("migrator: DaemonSet %s: %w", ds.Name, err)
	}
	return nil
}

// label sets a label of a node, or removes it with an empty value.
func (m *Migrator) label(ctx context.Context, node, key, value string) error {
	text := fmt.Sprintf("%q", value)
	if value == "" {
		text = "null"
	}
	patch := fmt.Appendf(nil, `{"metadata":{"labels":{%q:%s}}}`, key, text)
	n := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: node}}
	if err := m.Client.Patch(ctx, n, client.RawPatch(types.MergePatchType, patch)); client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("migrator: label node %s: %w", node, err)
	}
	return nil
}
