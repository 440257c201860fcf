package configstate

import (
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	"github.com/lintel-lb/lintel/api/v1beta1"
	"github.com/lintel-lb/lintel/internal/config"
)

func TestWrite(t *testing.T) {
	s := runtime.NewScheme()
	if err := v1beta1.AddToScheme(s); err != nil {
		t.Fatal(err)
	}
	c := fake.NewClientBuilder().WithScheme(s).WithStatusSubresource(&v1beta1.ConfigurationState{}).Build()
	speaker := Speaker("metallb-system", "n1")
	get := func() *v1beta1.ConfigurationState {
		var o v1beta1.ConfigurationState
		if err := c.Get(t.Context(), client.ObjectKey{Namespace: "metallb-system", Name: "speaker-n1"}, &o); err != nil {
			t.Fatal(err)
		}
		return &o
	}
	bad := config.Verdict{Object: config.Ref{Kind: config.KindPool, Namespace: "metallb-system", Name: "p"}, Message: "no good"}
	if err := speaker.Write(t.Context(), c, nil, []config.Verdict{bad}); err != nil {
		t.Fatal(err)
	}
	o := get()
	if o.Status.Result != v1beta1.ConfigurationInvalid || o.Labels[labelNode] != "n1" || len(o.Status.Conditions) != 1 {
		t.Errorf("after a refusal: %+v", o)
	}
	if err := speaker.Write(t.Context(), c, nil, []config.Verdict{bad}); err != nil {
		t.Fatal(err)
	}
	if again := get(); again.ResourceVersion != o.ResourceVersion {
		t.Error("an unchanged state was written again")
	}
	down := metav1.Condition{Type: "other", Status: metav1.ConditionFalse, Reason: "Down"}
	if err := speaker.Write(t.Context(), c, nil, nil, down); err != nil {
		t.Fatal(err)
	}
	if o := get(); o.Status.Result != v1beta1.ConfigurationValid || len(o.Status.Conditions) != 2 {
		t.Errorf("with a condition of another kind: %+v", o.Status)
	}
	if err := speaker.Write(t.Context(), c, nil, nil); err != nil {
		t.Fatal(err)
	}
	if o := get(); len(o.Status.Conditions) != 1 {
		t.Errorf("without it: %+v", o.Status)
	}
	if o := get(); o.Status.Result != v1beta1.ConfigurationValid || o.Status.ErrorSummary != "" {
		t.Errorf("after the remedy: %+v", o.Status)
	}
}
