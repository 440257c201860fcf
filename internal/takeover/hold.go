package takeover

import (
	"slices"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
)

// Hold gives a DaemonSet whose pods are replaced only when they are deleted, and which leaves
// the nodes that are labelled LabelTaken, or with taken those that are not.
func Hold(ds *appsv1.DaemonSet, taken bool) *appsv1.DaemonSet {
	ds = ds.DeepCopy()
	ds.Spec.UpdateStrategy = appsv1.DaemonSetUpdateStrategy{Type: appsv1.OnDeleteDaemonSetStrategyType}
	op := corev1.NodeSelectorOpDoesNotExist
	if taken {
		op = corev1.NodeSelectorOpExists
	}
	requirement := corev1.NodeSelectorRequirement{Key: LabelTaken, Operator: op}
	spec := &ds.Spec.Template.Spec
	if spec.Affinity == nil {
		spec.Affinity = &corev1.Affinity{}
	}
	if spec.Affinity.NodeAffinity == nil {
		spec.Affinity.NodeAffinity = &corev1.NodeAffinity{}
	}
	required := spec.Affinity.NodeAffinity.RequiredDuringSchedulingIgnoredDuringExecution
	if required == nil || len(required.NodeSelectorTerms) == 0 {
		required = &corev1.NodeSelector{NodeSelectorTerms: []corev1.NodeSelectorTerm{{}}}
	}
	for i := range required.NodeSelectorTerms { // the terms are alternatives
		t := &required.NodeSelectorTerms[i]
		t.MatchExpressions = append(t.MatchExpressions, requirement)
	}
	spec.Affinity.NodeAffinity.RequiredDuringSchedulingIgnoredDuringExecution = required
	return ds
}

// Held tells whether Hold made a DaemonSet what it is.
func Held(ds *appsv1.DaemonSet) bool {
	a := ds.Spec.Template.Spec.Affinity
	if a == nil || a.NodeAffinity == nil || a.NodeAffinity.RequiredDuringSchedulingIgnoredDuringExecution == nil {
		return false
	}
	return slices.ContainsFunc(a.NodeAffinity.RequiredDuringSchedulingIgnoredDuringExecution.NodeSelectorTerms, func(t corev1.NodeSelectorTerm) bool {
		return slices.ContainsFunc(t.MatchExpressions, isHold)
	})
}

// Unhold takes back what Hold did to the pod template, and to the letter, so that pods made
// before are as the template says and stay. The update strategy is not kept by Hold: it is given.
func Unhold(ds *appsv1.DaemonSet, strategy appsv1.DaemonSetUpdateStrategy) *appsv1.DaemonSet {
	ds = ds.DeepCopy()
	ds.Spec.UpdateStrategy = strategy
	if !Held(ds) {
		return ds
	}
	spec := &ds.Spec.Template.Spec
	node := spec.Affinity.NodeAffinity
	required := node.RequiredDuringSchedulingIgnoredDuringExecution
	for i := range required.NodeSelectorTerms {
		t := &required.NodeSelectorTerms[i]
		t.MatchExpressions = slices.DeleteFunc(t.MatchExpressions, isHold)
		if len(t.MatchExpressions) == 0 {
			t.MatchExpressions = nil
		}
	}
	required.NodeSelectorTerms = slices.DeleteFunc(required.NodeSelectorTerms, func(t corev1.NodeSelectorTerm) bool {
		return len(t.MatchExpressions) == 0 && len(t.MatchFields) == 0
	})
	if len(required.NodeSelectorTerms) == 0 {
		node.RequiredDuringSchedulingIgnoredDuringExecution = nil
	}
	if node.RequiredDuringSchedulingIgnoredDuringExecution == nil && len(node.PreferredDuringSchedulingIgnoredDuringExecution) == 0 {
		spec.Affinity.NodeAffinity = nil
	}
	if *spec.Affinity == (corev1.Affinity{}) {
		spec.Affinity = nil
	}
	return ds
}

func isHold(r corev1.NodeSelectorRequirement) bool { return r.Key == LabelTaken }
