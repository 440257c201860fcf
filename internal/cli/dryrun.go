package cli

import (
	"context"
	"encoding/json"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/jsonmergepatch"
	"k8s.io/apimachinery/pkg/util/strategicpatch"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// Actions on an object of a file.
const (
	actionCreate    = "create"
	actionChange    = "change"
	actionDelete    = "delete"
	actionUnchanged = "unchanged"
	actionRefused   = "refused"
)

// planned is an object of a file, with what applying the file would do to it.
type planned struct {
	Kind      string `json:"kind"`
	Namespace string `json:"namespace,omitempty"`
	Name      string `json:"name"`
	Action    string `json:"action"`
	// Message says why the API server refuses the object.
	Message string `json:"message,omitempty"`
	// object is what would be stored; nil where there would be none.
	object *unstructured.Unstructured
}

// changes tells whether anything is written.
func (p planned) changes() bool { return p.Action != actionUnchanged }

// dryRun finds out what applying a manifest would do, as kubectl apply does it: the API server
// is asked to carry it out without keeping it, so that defaults and refusals are its own, also
// of fields that it does not know.
func (c *cluster) dryRun(ctx context.Context, m manifest, created map[string]bool) (planned, error) {
	out := planned{Kind: m.GetKind(), Namespace: m.GetNamespace(), Name: m.GetName()}
	live := &unstructured.Unstructured{}
	live.SetGroupVersionKind(m.GroupVersionKind())
	err := c.client.Get(ctx, client.ObjectKeyFromObject(m), live)
	switch {
	case apierrors.IsNotFound(err):
		out.Action, out.object = actionCreate, m.DeepCopy()
		if created[m.GetNamespace()] {
			return out, nil // the namespace is in the files, too, and cannot be asked about yet
		}
		err = c.client.Create(ctx, out.object, client.DryRunAll, client.FieldValidation(metav1.FieldValidationStrict))
	case err != nil:
		return out, fmt.Errorf("read %s %s: %w", out.Kind, out.Name, err)
	default:
		var patch client.Patch
		if patch, err = applyPatch(live, m.Unstructured); err != nil {
			return out, fmt.Errorf("compare %s %s: %w", out.Kind, out.Name, err)
		}
		out.Action, out.object = actionUnchanged, live
		if patch == nil {
			return out, nil
		}
		out.Action, out.object = actionChange, live.DeepCopy()
		err = c.client.Patch(ctx, out.object, patch, client.DryRunAll, client.FieldValidation(metav1.FieldValidationStrict))
		if err == nil && sameContent(live, out.object) {
			out.Action = actionUnchanged
		}
	}
	if apierrors.IsInvalid(err) || apierrors.IsBadRequest(err) {
		out.Action, out.Message, out.object = actionRefused, err.Error(), nil
		if live.GetUID() != "" || live.GetResourceVersion() != "" {
			out.object = live
		}
		return out, nil
	}
	if err != nil {
		return out, fmt.Errorf("try %s %s: %w", out.Kind, out.Name, err)
	}
	return out, nil
}

// applyPatch is what kubectl apply would send; nil where nothing differs. Fields that an
// earlier apply has set and that the file has no more are removed, others stay.
func applyPatch(live, file *unstructured.Unstructured) (client.Patch, error) {
	original := []byte(live.GetAnnotations()[corev1.LastAppliedConfigAnnotation])
	current, err := live.MarshalJSON()
	if err != nil {
		return nil, err
	}
	modified, err := file.MarshalJSON()
	if err != nil {
		return nil, err
	}
	var patch []byte
	kind := types.MergePatchType
	if typed := builtIn(file.GetKind()); typed != nil && file.GroupVersionKind().Group == "" {
		kind = types.StrategicMergePatchType
		var schema strategicpatch.PatchMetaFromStruct
		if schema, err = strategicpatch.NewPatchMetaFromStruct(typed); err == nil {
			patch, err = strategicpatch.CreateThreeWayMergePatch(original, modified, current, schema, true)
		}
	} else {
		patch, err = jsonmergepatch.CreateThreeWayJSONMergePatch(original, modified, current)
	}
	if err != nil {
		return nil, err
	}
	var fields map[string]any
	if err := json.Unmarshal(patch, &fields); err != nil {
		return nil, err
	}
	if len(fields) == 0 {
		return nil, nil
	}
	return client.RawPatch(kind, patch), nil
}

// sameContent tells whether two versions of an object differ in bookkeeping only. Fields that are
// only written, such as stringData of a Secret, always make a patch, though it may change nothing.
func sameContent(a, b *unstructured.Unstructured) bool {
	content := func(o *unstructured.Unstructured) map[string]any {
		o = o.DeepCopy()
		o.SetManagedFields(nil)
		o.SetResourceVersion("")
		o.SetGeneration(0)
		annotations := o.GetAnnotations()
		delete(annotations, corev1.LastAppliedConfigAnnotation)
		o.SetAnnotations(annotations)
		if len(annotations) == 0 {
			unstructured.RemoveNestedField(o.Object, "metadata", "annotations")
		}
		return o.Object
	}
	return equality.Semantic.DeepEqual(content(a), content(b))
}

// builtIn gives an empty object of the kinds of Kubernetes that a plan looks at.
func builtIn(kind string) client.Object {
	switch kind {
	case "Service":
		return &corev1.Service{}
	case "Namespace":
		return &corev1.Namespace{}
	case "Node":
		return &corev1.Node{}
	case "Secret":
		return &corev1.Secret{}
	}
	return nil
}

// deletion finds out what deleting a manifest would do.
func (c *cluster) deletion(ctx context.Context, m manifest) (planned, error) {
	out := planned{Kind: m.GetKind(), Namespace: m.GetNamespace(), Name: m.GetName(), Action: actionDelete}
	live := &unstructured.Unstructured{}
	live.SetGroupVersionKind(m.GroupVersionKind())
	err := c.client.Get(ctx, client.ObjectKeyFromObject(m), live)
	if apierrors.IsNotFound(err) {
		out.Action = actionUnchanged
		return out, nil
	}
	if err != nil {
		return out, fmt.Errorf("read %s %s: %w", out.Kind, out.Name, err)
	}
	return out, nil
}

// placed gives a manifest the namespace that kubectl would put it in.
func (c *cluster) placed(m manifest) (manifest, error) {
	scope, err := c.client.IsObjectNamespaced(m)
	if err != nil {
		if meta.IsNoMatchError(err) {
			return m, fmt.Errorf("%s: the cluster does not know %s of %s: install the CRDs first", m.file, m.GetKind(), m.GetAPIVersion())
		}
		return m, fmt.Errorf("look up %s: %w", m.GetKind(), err)
	}
	if scope && m.GetNamespace() == "" {
		m.SetNamespace(c.namespace)
	}
	return m, nil
}
