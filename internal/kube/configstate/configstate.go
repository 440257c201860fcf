// Package configstate writes ConfigurationState objects, in which each component says what
// it makes of the configuration.
package configstate

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
	labelComponent = "metallb.io/component-type"
	labelNode      = "metallb.io/node-name"
)

// Component is who writes, and under which condition.
type Component struct {
	Namespace string
	name      string
	labels    map[string]string
	condition string
}

// Controller is the component that gives addresses.
func Controller(namespace string) Component {
	return Component{Namespace: namespace, name: "controller",
		labels: map[string]string{labelComponent: "controller"}, condition: config.ConditionPools}
}

// Speaker is the component that announces from a node.
func Speaker(namespace, node string) Component {
	return Component{Namespace: namespace, name: "speaker-" + node,
		labels: map[string]string{labelComponent: "speaker", labelNode: node}, condition: config.ConditionConfig}
}

// Name is the name of the component's object.
func (c Component) Name() string { return c.name }

// Write makes the component's object sum up the verdicts and have the other conditions given,
// and creates it if it is missing, owned by owners. Nothing is written where nothing changed.
func (c Component) Write(ctx context.Context, cl client.Client, owners []metav1.OwnerReference, verdicts []config.Verdict, others ...metav1.Condition) error {
	obj := &v1beta1.ConfigurationState{ObjectMeta: metav1.ObjectMeta{Namespace: c.Namespace, Name: c.name}}
	err := cl.Get(ctx, client.ObjectKeyFromObject(obj), obj)
	switch {
	case apierrors.IsNotFound(err):
		obj.Labels, obj.OwnerReferences = c.labels, owners
		if err := cl.Create(ctx, obj); err != nil {
			return fmt.Errorf("create ConfigurationState %s: %w", c.name, err)
		}
	case err != nil:
		return fmt.Errorf("read ConfigurationState %s: %w", c.name, err)
	}
	want := append([]metav1.Condition{config.StateCondition(c.condition, verdicts)}, others...)
	before := len(obj.Status.Conditions)
	obj.Status.Conditions = slices.DeleteFunc(obj.Status.Conditions, func(have metav1.Condition) bool {
		return !slices.ContainsFunc(want, func(w metav1.Condition) bool { return w.Type == have.Type })
	})
	changed := len(obj.Status.Conditions) != before
	for _, w := range want {
		changed = meta.SetStatusCondition(&obj.Status.Conditions, w) || changed
	}
	result, summary := config.Summarize(obj.Status.Conditions)
	if !changed && obj.Status.Result == result && obj.Status.ErrorSummary == summary {
		return nil
	}
	obj.Status.Result, obj.Status.ErrorSummary = result, summary
	if err := cl.Status().Update(ctx, obj); err != nil {
		return fmt.Errorf("update ConfigurationState %s: %w", c.name, err)
	}
	return nil
}
