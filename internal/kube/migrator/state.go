package migrator

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/lintel-lb/lintel/api/v1beta2"
	"github.com/lintel-lb/lintel/internal/takeover"
)

// State is what is known of a take-over.
type State struct {
	// Record is nil before it has begun.
	Record    *takeover.Record
	Inventory *takeover.Inventory
	// releases are the Secrets of Helm's revisions of MetalLB.
	releases []corev1.Secret
}

// Read looks at the cluster. manifests are Lintel's; they may be empty where a take-over has
// begun.
func (m *Migrator) Read(ctx context.Context, namespace string, manifests []byte) (*State, error) {
	s := &State{Inventory: &takeover.Inventory{}}
	var err error
	if s.Record, err = m.record(ctx, namespace); err != nil {
		return nil, err
	}
	if s.releases, err = m.helmReleases(ctx); err != nil {
		return nil, err
	}
	inv := s.Inventory
	if s.Record != nil {
		inv.Release = s.Record.Release
		if inv.Old, err = takeover.NewInstallation(s.Record.Old, false); err != nil {
			return nil, err
		}
		if len(manifests) == 0 {
			inv.Target, err = takeover.NewInstallation(s.Record.Target, true)
			if err != nil {
				return nil, err
			}
		}
	} else if inv.Old, inv.Release, err = m.findMetalLB(ctx, s.releases); err != nil {
		return nil, err
	}
	if inv.Target == nil {
		if inv.Target, err = m.target(manifests, inv.Old.Namespace); err != nil {
			return nil, err
		}
		if s.Record != nil {
			s.Record.Target = inv.Target.Objects
		}
	}
	if err := m.readNodes(ctx, s); err != nil {
		return nil, err
	}
	if s.Record == nil {
		if err := m.readExisting(ctx, s); err != nil {
			return nil, err
		}
	}
	if err := m.readFRR(ctx, inv); err != nil {
		return nil, err
	}
	var peers v1beta2.BGPPeerList
	if err := m.Client.List(ctx, &peers, client.InNamespace(inv.Old.Namespace)); err != nil && !meta.IsNoMatchError(err) {
		return nil, fmt.Errorf("migrator: list the BGPPeers: %w", err)
	}
	for _, p := range peers.Items {
		if p.Spec.ASN == p.Spec.MyASN || p.Spec.DynamicASN == "internal" {
			inv.Internal = append(inv.Internal, p.Name)
		}
	}
	return s, nil
}

// target reads Lintel's manifests.
func (m *Migrator) target(manifests []byte, namespace string) (*takeover.Installation, error) {
	if len(manifests) == 0 {
		return nil, errors.New("migrator: give Lintel's manifests with --manifests")
	}
	objects, err := takeover.Parse(manifests)
	if err != nil {
		return nil, err
	}
	for _, o := range objects {
		if err := m.place(o, namespace); err != nil {
			return nil, err
		}
	}
	takeover.Adopt(objects, namespace)
	return takeover.NewInstallation(objects, true)
}

// place gives a namespaced object without a namespace the one that is meant.
func (m *Migrator) place(o *takeover.Object, namespace string) error {
	if o.GetNamespace() != "" {
		return nil
	}
	namespaced, err := m.Client.IsObjectNamespaced(o)
	if meta.IsNoMatchError(err) {
		return nil // a kind that the cluster does not have; it cannot be there either
	}
	if err != nil {
		return fmt.Errorf("migrator: %s: %w", takeover.IDOf(o), err)
	}
	if namespaced {
		o.SetNamespace(namespace)
	}
	return nil
}

// helmReleases lists what Helm stores of releases of MetalLB's chart.
func (m *Migrator) helmReleases(ctx context.Context) ([]corev1.Secret, error) {
	var all corev1.SecretList
	if err := m.Client.List(ctx, &all, client.MatchingLabels{"owner": "helm"}); err != nil {
		return nil, fmt.Errorf("migrator: list Helm's Secrets: %w", err)
	}
	return slices.DeleteFunc(all.Items, func(s corev1.Secret) bool {
		_, ok, err := takeover.ReadRelease(s.Data["release"])
		return err != nil || !ok
	}), nil
}

// plainObjects are those of MetalLB's plain manifests, of all flavours.
func plainObjects(namespace string) []*takeover.Object {
	var out []*takeover.Object
	add := func(apiVersion, kind string, namespaced bool, names ...string) {
		for _, name := range names {
			o := &takeover.Object{}
			o.SetAPIVersion(apiVersion)
			o.SetKind(kind)
			o.SetName(name)
			if namespaced {
				o.SetNamespace(namespace)
			}
			out = append(out, o)
		}
	}
	add("apps/v1", "Deployment", true, "controller", "frr-k8s-statuscleaner")
	add("apps/v1", "DaemonSet", true, "speaker", "frr-k8s-daemon")
	add("v1", "ServiceAccount", true, "controller", "speaker", "frr-k8s-daemon")
	add("v1", "ConfigMap", true, "metallb-excludel2", "frr-startup")
	add("v1", "Secret", true, "metallb-webhook-cert")
	add("v1", "Service", true, "metallb-webhook-service", "controller-monitor-service", "speaker-monitor-service")
	add("rbac.authorization.k8s.io/v1", "Role", true, "controller", "pod-lister", "prometheus-k8s")
	add("rbac.authorization.k8s.io/v1", "RoleBinding", true, "controller", "pod-lister", "prometheus-k8s")
	add("rbac.authorization.k8s.io/v1", "ClusterRole", false, "metallb-system:controller", "metallb-system:speaker")
	add("rbac.authorization.k8s.io/v1", "ClusterRoleBinding", false, "metallb-system:controller", "metallb-system:speaker")
	add("admissionregistration.k8s.io/v1", "ValidatingWebhookConfiguration", false, "metallb-webhook-configuration")
	add("monitoring.coreos.com/v1", "ServiceMonitor", true, "controller-monitor", "speaker-monitor")
	return out
}

// findMetalLB finds the MetalLB that runs, of Helm or of plain manifests.
func (m *Migrator) findMetalLB(ctx context.Context, releases []corev1.Secret) (in *takeover.Installation, release string, err error) {
	var wanted []*takeover.Object
	for _, s := range releases {
		r, ok, err := takeover.ReadRelease(s.Data["release"])
		if err != nil || !ok || r.Status != "deployed" {
			continue
		}
		if release != "" && release != r.Name {
			return nil, "", fmt.Errorf("migrator: there are two releases of MetalLB, %s and %s: only one can be taken over", release, r.Name)
		}
		release = r.Name
		for _, o := range r.Manifest {
			if err := m.place(o, s.Namespace); err != nil {
				return nil, "", err
			}
		}
		wanted = r.Manifest
	}
	if release == "" {
		var sets appsv1.DaemonSetList
		if err := m.Client.List(ctx, &sets, client.MatchingLabels{"app": "metallb", "component": "speaker"}); err != nil {
			return nil, "", fmt.Errorf("migrator: list DaemonSets: %w", err)
		}
		for _, d := range sets.Items {
			if !takeover.IsLintel(&d.Spec.Template.Spec, "speaker") {
				wanted = plainObjects(d.Namespace)
			}
		}
	}
	if wanted == nil {
		return nil, "", fmt.Errorf("migrator: no MetalLB runs in this cluster: neither Helm knows a release of it, nor is there a DaemonSet labelled app=metallb,component=speaker")
	}
	var live []*takeover.Object
	for _, o := range wanted {
		if takeover.IsCRD(o) || o.GetKind() == "Namespace" {
			continue
		}
		found, err := m.get(ctx, o)
		if err != nil {
			return nil, "", err
		}
		if found != nil {
			live = append(live, found)
		}
	}
	in, err = takeover.NewInstallation(live, false)
	return in, release, err
}

// get reads the object of that name; nil if there is none.
func (m *Migrator) get(ctx context.Context, o *takeover.Object) (*takeover.Object, error) {
	found := &takeover.Object{}
	found.SetGroupVersionKind(o.GroupVersionKind())
	err := m.Client.Get(ctx, client.ObjectKeyFromObject(o), found)
	switch {
	case apierrors.IsNotFound(err) || meta.IsNoMatchError(err):
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("migrator: read %s: %w", takeover.IDOf(o), err)
	}
	return found, nil
}

func (m *Migrator) readNodes(ctx context.Context, s *State) error {
	inv := s.Inventory
	pods, err := m.pods(ctx, inv.Old.Namespace, inv.Old.Speaker.Name, takeover.AsideName(inv.Old, inv.Target))
	if err != nil {
		return err
	}
	orphans, err := m.orphans(ctx, inv.Old.Speaker)
	if err != nil {
		return err
	}
	nodes := map[string]bool{}
	for _, p := range slices.Concat(pods, orphans) {
		if p.Spec.NodeName == "" || takeover.IsLintel(&p.Spec, "speaker") {
			continue
		}
		nodes[p.Spec.NodeName] = true
		if !ready(&p) {
			inv.Unready = append(inv.Unready, p.Spec.NodeName)
		}
	}
	if s.Record != nil {
		inv.Unready = nil // what is begun is finished or undone
		for node := range s.Record.Before {
			nodes[node] = true // it may have neither speaker nor label now
		}
		for _, id := range s.Record.Done {
			if node, ok := strings.CutPrefix(id, string(takeover.Node)+"/"); ok {
				nodes[node] = true
			}
		}
		var labelled corev1.NodeList
		if err := m.Client.List(ctx, &labelled, client.HasLabels{takeover.LabelTaken}); err != nil {
			return fmt.Errorf("migrator: list Nodes: %w", err)
		}
		for _, n := range labelled.Items {
			nodes[n.Name] = true
		}
	}
	inv.Nodes = slices.Sorted(maps.Keys(nodes))
	return nil
}

// readExisting finds objects of the target that somebody else has.
func (m *Migrator) readExisting(ctx context.Context, s *State) error {
	inv := s.Inventory
	for _, o := range inv.Target.Objects {
		id := takeover.IDOf(o)
		if takeover.IsCRD(o) || id.Kind == "Namespace" || takeover.Find(inv.Old.Objects, id) != nil {
			continue
		}
		found, err := m.get(ctx, o)
		if err != nil {
			return err
		}
		if found != nil {
			inv.Existing = append(inv.Existing, id)
		}
	}
	return nil
}

// readFRR finds what ties FRR to others than MetalLB.
func (m *Migrator) readFRR(ctx context.Context, inv *takeover.Inventory) error {
	if inv.Old.Mode() == takeover.ModeNative {
		return nil
	}
	var extras corev1.ConfigMap
	err := m.Client.Get(ctx, client.ObjectKey{Namespace: inv.Old.Namespace, Name: "bgpextras"}, &extras)
	if client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("migrator: read ConfigMap bgpextras: %w", err)
	}
	inv.BGPExtras = strings.TrimSpace(extras.Data["extras"]) != ""
	configs := frrConfigurations()
	if err := m.Client.List(ctx, configs); err != nil && !meta.IsNoMatchError(err) {
		return fmt.Errorf("migrator: list FRRConfigurations: %w", err)
	}
	for _, c := range configs.Items {
		if !slices.ContainsFunc(inv.Nodes, func(n string) bool { return c.GetName() == "metallb-"+n }) {
			inv.ForeignFRR = append(inv.ForeignFRR, c.GetNamespace()+"/"+c.GetName())
		}
	}
	return nil
}

func frrConfigurations() *unstructured.UnstructuredList {
	l := &unstructured.UnstructuredList{}
	l.SetGroupVersionKind(schema.GroupVersionKind{Group: "frrk8s.metallb.io", Version: "v1beta1", Kind: "FRRConfigurationList"})
	return l
}

// pods are those of DaemonSets of these names.
func (m *Migrator) pods(ctx context.Context, namespace string, sets ...string) ([]corev1.Pod, error) {
	var all corev1.PodList
	if err := m.Client.List(ctx, &all, client.InNamespace(namespace)); err != nil {
		return nil, fmt.Errorf("migrator: list pods: %w", err)
	}
	return slices.DeleteFunc(all.Items, func(p corev1.Pod) bool {
		owner := metav1.GetControllerOf(&p)
		return owner == nil || owner.Kind != "DaemonSet" || !slices.Contains(sets, owner.Name)
	}), nil
}

// orphans are the pods of a DaemonSet while they have no owner, since it is about to get another
// name.
func (m *Migrator) orphans(ctx context.Context, ds *appsv1.DaemonSet) ([]corev1.Pod, error) {
	selector, err := metav1.LabelSelectorAsSelector(ds.Spec.Selector)
	if err != nil {
		return nil, fmt.Errorf("migrator: selector of DaemonSet %s: %w", ds.Name, err)
	}
	var all corev1.PodList
	if err := m.Client.List(ctx, &all, client.InNamespace(ds.Namespace), client.MatchingLabelsSelector{Selector: selector}); err != nil {
		return nil, fmt.Errorf("migrator: list pods: %w", err)
	}
	return slices.DeleteFunc(all.Items, func(p corev1.Pod) bool { return metav1.GetControllerOf(&p) != nil }), nil
}

// nodeOf is the node that a pod of a DaemonSet is for, also before it is scheduled.
func nodeOf(p *corev1.Pod) string {
	if p.Spec.NodeName != "" || p.Spec.Affinity == nil || p.Spec.Affinity.NodeAffinity == nil {
		return p.Spec.NodeName
	}
	required := p.Spec.Affinity.NodeAffinity.RequiredDuringSchedulingIgnoredDuringExecution
	if required == nil {
		return ""
	}
	for _, t := range required.NodeSelectorTerms {
		for _, f := range t.MatchFields {
			if f.Key == "metadata.name" && len(f.Values) == 1 {
				return f.Values[0]
			}
		}
	}
	return ""
}

func ready(p *corev1.Pod) bool {
	return p.DeletionTimestamp == nil && slices.ContainsFunc(p.Status.Conditions, func(c corev1.PodCondition) bool {
		return c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue
	})
}

// record reads what an earlier run has done; nil if there was none.
func (m *Migrator) record(ctx context.Context, namespace string) (*takeover.Record, error) {
	var secret corev1.Secret
	err := m.Client.Get(ctx, client.ObjectKey{Namespace: namespace, Name: takeover.RecordName}, &secret)
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("migrator: read the record: %w", err)
	}
	return takeover.DecodeRecord(secret.Data[takeover.RecordKey])
}

func (m *Migrator) save(ctx context.Context, s *State) error {
	data, err := s.Record.Encode()
	if err != nil {
		return err
	}
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: s.Inventory.Old.Namespace, Name: takeover.RecordName}}
	err = m.Client.Get(ctx, client.ObjectKeyFromObject(secret), secret)
	secret.Data = map[string][]byte{takeover.RecordKey: data}
	switch {
	case apierrors.IsNotFound(err):
		err = m.Client.Create(ctx, secret)
	case err == nil:
		err = m.Client.Update(ctx, secret)
	}
	if err != nil {
		return fmt.Errorf("migrator: write the record: %w", err)
	}
	return nil
}

// begin writes down what there is, before anything is changed.
func (m *Migrator) begin(ctx context.Context, s *State) error {
	inv := s.Inventory
	s.Record = &takeover.Record{Version: takeover.RecordVersion, Release: inv.Release, Target: inv.Target.Objects, Before: map[string][]string{}}
	for _, o := range inv.Old.Objects {
		s.Record.Old = append(s.Record.Old, takeover.Bare(o))
	}
	for _, o := range inv.Target.Objects {
		if !takeover.IsCRD(o) {
			continue
		}
		found, err := m.get(ctx, o)
		if err != nil {
			return err
		}
		if found != nil {
			s.Record.Definitions = append(s.Record.Definitions, takeover.Bare(found))
		}
	}
	for i := range s.releases {
		r, ok, err := takeover.ReadRelease(s.releases[i].Data["release"])
		if err != nil || !ok || r.Status != "deployed" {
			continue
		}
		o := &takeover.Object{}
		if err := m.Client.Scheme().Convert(&s.releases[i], o, nil); err != nil {
			return fmt.Errorf("migrator: Helm's Secret: %w", err)
		}
		s.Record.Releases = append(s.Record.Releases, takeover.Bare(o))
	}
	var err error
	if s.Record.Services, err = m.services(ctx); err != nil {
		return err
	}
	if inv.Old, err = takeover.NewInstallation(s.Record.Old, false); err != nil {
		return err
	}
	return m.save(ctx, s)
}
