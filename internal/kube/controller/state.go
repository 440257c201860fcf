package controller

import (
	"context"
	"fmt"
	"slices"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/lintel-lb/lintel/api/v1beta1"
	"github.com/lintel-lb/lintel/internal/config"
)

const (
	// stateName is the name of the controller's ConfigurationState.
	stateName           = "controller"
	labelComponent      = "metallb.io/component-type"
	componentController = "controller"
)

// stateRef stands for the ConfigurationState in the queue of objects.
func (w *objectWriter) stateRef() config.Ref {
	return config.Ref{Kind: "ConfigurationState", Namespace: w.namespace, Name: stateName}
}

// writeState makes the ConfigurationState of the controller sum up the verdicts about pools
// and communities, which are what the controller uses.
func (w *objectWriter) writeState(ctx context.Context) error {
	w.mu.Lock()
	var verdicts []config.Verdict
	for ref, st := range w.want {
		if ref.Kind == config.KindPool || ref.Kind == config.KindCommunity {
			verdicts = append(verdicts, st.verdict)
		}
	}
	w.mu.Unlock()
	slices.SortFunc(verdicts, func(a, b config.Verdict) int { return a.Object.Compare(b.Object) })

	obj := &v1beta1.ConfigurationState{ObjectMeta: metav1.ObjectMeta{
		Namespace: w.namespace, Name: stateName, Labels: map[string]string{labelComponent: componentController}}}
	if err := w.client.Get(ctx, client.ObjectKeyFromObject(obj), obj); apierrors.IsNotFound(err) {
		if err := w.client.Create(ctx, obj); err != nil {
			return fmt.Errorf("create ConfigurationState: %w", err)
		}
	} else if err != nil {
		return fmt.Errorf("read ConfigurationState: %w", err)
	}
	changed := meta.SetStatusCondition(&obj.Status.Conditions, config.StateCondition(config.ConditionPools, verdicts))
	result, summary := config.Summarize(obj.Status.Conditions)
	if !changed && obj.Status.Result == result && obj.Status.ErrorSummary == summary {
		return nil
	}
	obj.Status.Result, obj.Status.ErrorSummary = result, summary
	if err := w.client.Status().Update(ctx, obj); err != nil {
		return fmt.Errorf("update ConfigurationState: %w", err)
	}
	return nil
}
