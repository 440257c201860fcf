package takeover

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
)

func TestHold(t *testing.T) {
	ds := theirs(t).Speaker
	held := Hold(ds, false)
	if ds.Spec.Template.Spec.Affinity != nil {
		t.Error("the original was changed")
	}
	terms := held.Spec.Template.Spec.Affinity.NodeAffinity.RequiredDuringSchedulingIgnoredDuringExecution.NodeSelectorTerms
	if len(terms) != 1 || len(terms[0].MatchExpressions) != 1 || terms[0].MatchExpressions[0].Operator != corev1.NodeSelectorOpDoesNotExist {
		t.Errorf("terms %v", terms)
	}
	zone := func(z string) corev1.NodeSelectorTerm {
		return corev1.NodeSelectorTerm{MatchExpressions: []corev1.NodeSelectorRequirement{{Key: "zone", Operator: corev1.NodeSelectorOpIn, Values: []string{z}}}}
	}
	ds.Spec.Template.Spec.Affinity = &corev1.Affinity{NodeAffinity: &corev1.NodeAffinity{
		RequiredDuringSchedulingIgnoredDuringExecution: &corev1.NodeSelector{NodeSelectorTerms: []corev1.NodeSelectorTerm{zone("a"), zone("b")}}}}
	terms = Hold(ds, true).Spec.Template.Spec.Affinity.NodeAffinity.RequiredDuringSchedulingIgnoredDuringExecution.NodeSelectorTerms
	for _, term := range terms {
		if len(term.MatchExpressions) != 2 || term.MatchExpressions[1].Operator != corev1.NodeSelectorOpExists {
			t.Errorf("an alternative without the requirement: %v", term)
		}
	}
}

// What Hold did is taken back to the letter, whatever affinity there was, since any difference
// would replace all pods.
func TestUnhold(t *testing.T) {
	zone := []corev1.NodeSelectorRequirement{{Key: "zone", Operator: corev1.NodeSelectorOpIn, Values: []string{"a"}}}
	name := []corev1.NodeSelectorRequirement{{Key: "metadata.name", Operator: corev1.NodeSelectorOpIn, Values: []string{"n1"}}}
	required := func(terms ...corev1.NodeSelectorTerm) *corev1.NodeSelector {
		return &corev1.NodeSelector{NodeSelectorTerms: terms}
	}
	preferred := []corev1.PreferredSchedulingTerm{{Weight: 1, Preference: corev1.NodeSelectorTerm{MatchExpressions: zone}}}
	for what, affinity := range map[string]*corev1.Affinity{
		"none":      nil,
		"of pods":   {PodAntiAffinity: &corev1.PodAntiAffinity{}},
		"a term":    {NodeAffinity: &corev1.NodeAffinity{RequiredDuringSchedulingIgnoredDuringExecution: required(corev1.NodeSelectorTerm{MatchExpressions: zone})}},
		"two terms": {NodeAffinity: &corev1.NodeAffinity{RequiredDuringSchedulingIgnoredDuringExecution: required(corev1.NodeSelectorTerm{MatchExpressions: zone}, corev1.NodeSelectorTerm{MatchFields: name})}},
		"preferred": {NodeAffinity: &corev1.NodeAffinity{PreferredDuringSchedulingIgnoredDuringExecution: preferred}},
	} {
		for _, taken := range []bool{false, true} {
			want := ours(t).Speaker
			want.Spec.Template.Spec.Affinity = affinity
			want.Spec.UpdateStrategy = appsv1.DaemonSetUpdateStrategy{Type: appsv1.RollingUpdateDaemonSetStrategyType}
			held := Hold(want, taken)
			if Held(want) || !Held(held) {
				t.Errorf("%s: held %t before and %t after", what, Held(want), Held(held))
			}
			if diff := cmp.Diff(want, Unhold(held, want.Spec.UpdateStrategy)); diff != "" {
				t.Errorf("%s (-want +got)\n%s", what, diff)
			}
		}
	}
}
