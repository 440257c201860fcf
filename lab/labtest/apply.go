package labtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/template"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/lintel-lb/lintel/lab/page"
)

// fieldOwner is who owns the fields that tests apply.
const fieldOwner = "labtest"

// Values are what a manifest's template can use.
type Values struct {
	*Env

	// PageImage is the image of package page.
	PageImage string

	// Vars are the values that the test gave.
	Vars map[string]any
}

// applied remembers what a test has applied, in order, each object once.
type applied struct {
	objects []*unstructured.Unstructured
}

func (a *applied) add(o *unstructured.Unstructured) {
	if !slices.ContainsFunc(a.objects, func(b *unstructured.Unstructured) bool { return sameObject(o, b) }) {
		a.objects = append(a.objects, o)
	}
}

func sameObject(a, b *unstructured.Unstructured) bool {
	return a.GroupVersionKind() == b.GroupVersionKind() && a.GetNamespace() == b.GetNamespace() && a.GetName() == b.GetName()
}

// Apply fills in a manifest of one or more objects, which is a text/template
// over Values, and applies it on the server's side. Namespaced objects without
// a namespace get the test's. All are removed when the test ends, and what they
// own is gone before the next test begins, so an object that exists and is not
// the test's own is refused.
func (e *Env) Apply(manifest string, vars map[string]any) {
	e.t.Helper()
	if err := e.TryApply(manifest, vars); err != nil {
		e.t.Fatal(err)
	}
}

// TryApply is Apply for manifests that the API server may refuse. It stops at
// the first refusal and returns it.
func (e *Env) TryApply(manifest string, vars map[string]any) error {
	e.t.Helper()
	ctx, cancel := context.WithTimeout(e.t.Context(), applyTime)
	defer cancel()
	for _, o := range e.render(manifest, vars) {
		if err := e.applyOne(ctx, o); err != nil {
			return fmt.Errorf("labtest: apply %s: %w", describe(o), err)
		}
	}
	return nil
}

// Delete removes the objects of a manifest, and returns when they are gone.
func (e *Env) Delete(manifest string, vars map[string]any) {
	e.t.Helper()
	ctx, cancel := context.WithTimeout(e.t.Context(), cleanupTime)
	defer cancel()
	if err := e.remove(ctx, e.render(manifest, vars)); err != nil {
		e.t.Fatal(err)
	}
}

// render returns the objects of a manifest, each in its namespace.
func (e *Env) render(manifest string, vars map[string]any) []*unstructured.Unstructured {
	e.t.Helper()
	objects, err := decode(manifest, Values{Env: e, PageImage: page.Ref, Vars: vars})
	if err != nil {
		e.t.Fatalf("labtest: manifest: %v\n%s", err, manifest)
	}
	for _, o := range objects {
		namespaced, err := e.Client.IsObjectNamespaced(o)
		if err != nil {
			e.t.Fatalf("labtest: %s: %v", describe(o), err)
		}
		if namespaced && o.GetNamespace() == "" {
			o.SetNamespace(e.Namespace)
		}
	}
	return objects
}

// decode fills a manifest in and returns its objects.
func decode(manifest string, values Values) ([]*unstructured.Unstructured, error) {
	t, err := template.New("manifest").Option("missingkey=error").Parse(manifest)
	if err != nil {
		return nil, err
	}
	var text bytes.Buffer
	if err := t.Execute(&text, values); err != nil {
		return nil, err
	}
	var out []*unstructured.Unstructured
	for d := yaml.NewYAMLOrJSONDecoder(&text, 4096); ; {
		o := &unstructured.Unstructured{}
		err := d.Decode(&o.Object)
		if errors.Is(err, io.EOF) {
			return out, nil
		}
		if err != nil {
			return nil, err
		}
		if len(o.Object) == 0 {
			continue // nothing between two separators
		}
		if o.GetAPIVersion() == "" || o.GetKind() == "" || o.GetName() == "" {
			return nil, fmt.Errorf("object %d lacks apiVersion, kind or metadata.name", len(out)+1)
		}
		out = append(out, o)
	}
}

func (e *Env) applyOne(ctx context.Context, o *unstructured.Unstructured) error {
	found := &unstructured.Unstructured{}
	found.SetGroupVersionKind(o.GroupVersionKind())
	err := e.Client.Get(ctx, client.ObjectKeyFromObject(o), found)
	switch {
	case apierrors.IsNotFound(err):
	case err != nil:
		return err
	case found.GetLabels()[ownedLabel] != e.Namespace:
		return errors.New("it exists and is not this test's: use {{.Name}} in its name")
	}
	labels := o.GetLabels()
	if labels == nil {
		labels = make(map[string]string)
	}
	labels[ownedLabel] = e.Namespace
	o.SetLabels(labels)
	if err := e.Client.Apply(ctx, client.ApplyConfigurationFromUnstructured(o), client.FieldOwner(fieldOwner), client.ForceOwnership); err != nil {
		return err
	}
	e.applied.add(o)
	return nil
}

// removeApplied removes everything that the test has applied, last first.
func (e *Env) removeApplied() {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(e.t.Context()), cleanupTime)
	defer cancel()
	objects := slices.Clone(e.applied.objects)
	slices.Reverse(objects)
	if err := e.remove(ctx, objects); err != nil {
		e.t.Error(err)
	}
}

// remove deletes objects and waits until they are gone, and with them what they
// own, such as Pods. Some go only with others, so all are deleted before any is
// waited for. A namespace is not waited for: Kubernetes lets five seconds pass
// before it looks at one, and by then there is nothing of interest in it.
func (e *Env) remove(ctx context.Context, objects []*unstructured.Unstructured) error {
	var errs []error
	for _, o := range objects {
		err := e.Client.Delete(ctx, o, client.PropagationPolicy(metav1.DeletePropagationForeground))
		if client.IgnoreNotFound(err) != nil && !meta.IsNoMatchError(err) {
			errs = append(errs, fmt.Errorf("labtest: delete %s: %w", describe(o), err))
		}
	}
	err := poll(ctx, func(ctx context.Context) error {
		var left []string
		for _, o := range objects {
			found := &unstructured.Unstructured{}
			found.SetGroupVersionKind(o.GroupVersionKind())
			err := e.Client.Get(ctx, client.ObjectKeyFromObject(o), found)
			switch {
			case err == nil && o.GetKind() == "Namespace" && found.GetDeletionTimestamp() != nil:
			case err == nil:
				left = append(left, fmt.Sprintf("%s, finalizers %v", describe(o), found.GetFinalizers()))
			case client.IgnoreNotFound(err) != nil && !meta.IsNoMatchError(err):
				return err
			}
		}
		if len(left) > 0 {
			return fmt.Errorf("there is still: %s", strings.Join(left, "; "))
		}
		return nil
	})
	if err != nil {
		errs = append(errs, fmt.Errorf("labtest: objects do not go: %w", err))
	}
	return errors.Join(errs...)
}

func describe(o *unstructured.Unstructured) string {
	if o.GetNamespace() == "" {
		return o.GetKind() + " " + o.GetName()
	}
	return o.GetKind() + " " + o.GetNamespace() + "/" + o.GetName()
}

const pollEvery = 50 * time.Millisecond

// poll calls check until it succeeds or ctx ends, and then returns what check
// said last.
func poll(ctx context.Context, check func(context.Context) error) error {
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	var last error
	for {
		err := check(ctx)
		if err == nil {
			return nil
		}
		// What a check says because its time is up hides what was wrong.
		if last == nil || ctx.Err() == nil {
			last = err
		}
		select {
		case <-ctx.Done():
			return last
		case <-tick.C:
		}
	}
}
