package migrator

import (
	"context"
	"errors"
	"fmt"

	appsv1 "k8s.io/api/apps/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/util/retry"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/lintel-lb/lintel/internal/takeover"
)

func (m *Migrator) daemonSet(ctx context.Context, namespace, name string) (*appsv1.DaemonSet, error) {
	ds := &appsv1.DaemonSet{}
	err := m.Client.Get(ctx, client.ObjectKey{Namespace: namespace, Name: name}, ds)
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("migrator: read DaemonSet %s: %w", name, err)
	}
	return ds, nil
}

// replaceSpec gives a DaemonSet that exists update strategy and pod template of another.
func (m *Migrator) replaceSpec(ctx context.Context, live, want *appsv1.DaemonSet) error {
	seen := live.Generation
	err := retry.RetryOnConflict(retry.DefaultRetry, func() error {
		live.Spec.UpdateStrategy, live.Spec.Template = want.Spec.UpdateStrategy, want.Spec.Template
		err := m.Client.Update(ctx, live)
		if !apierrors.IsConflict(err) {
			return err
		}
		if again := m.Client.Get(ctx, client.ObjectKeyFromObject(live), live); again != nil {
			return again
		}
		if live.Generation != seen {
			return errors.New("somebody has changed it meanwhile: run the same again")
		}
		return err // its status has changed
	})
	if err != nil {
		return fmt.Errorf("migrator: DaemonSet %s: %w", live.Name, err)
	}
	return nil
}

// rename gives the pods of a DaemonSet to one of another name; they go on running.
func (m *Migrator) rename(ctx context.Context, old *appsv1.DaemonSet, want *appsv1.DaemonSet) error {
	if old != nil {
		if err := m.remove(ctx, old, client.PropagationPolicy(metav1.DeletePropagationOrphan)); err != nil {
			return err
		}
	}
	if err := m.Client.Create(ctx, want); client.IgnoreAlreadyExists(err) != nil {
		return fmt.Errorf("migrator: DaemonSet %s: %w", want.Name, err)
	}
	return nil
}

// hold has MetalLB's DaemonSet leave nodes that are taken over, and restart nothing.
func (m *Migrator) hold(ctx context.Context, s *State) error {
	old := s.Inventory.Old.Speaker
	want := takeover.Hold(old, false)
	want.Name = takeover.AsideName(s.Inventory.Old, s.Inventory.Target)
	want.ResourceVersion = ""
	live, err := m.daemonSet(ctx, old.Namespace, old.Name)
	if err != nil {
		return err
	}
	switch {
	case want.Name != old.Name:
		if live != nil && takeover.IsLintel(&live.Spec.Template.Spec, "speaker") {
			live = nil
		}
		err = m.rename(ctx, live, want)
	case live == nil:
		return fmt.Errorf("migrator: DaemonSet %s is gone", old.Name)
	default:
		err = m.replaceSpec(ctx, live, want)
	}
	if err != nil {
		return err
	}
	return m.adopted(ctx, want)
}

// adopted waits until a DaemonSet has as many pods that run as it wants.
func (m *Migrator) adopted(ctx context.Context, want *appsv1.DaemonSet) error {
	return until(ctx, patience, "DaemonSet "+want.Name+" has not all its pods", func(ctx context.Context) error {
		ds, err := m.daemonSet(ctx, want.Namespace, want.Name)
		switch {
		case err != nil:
			return err
		case ds == nil:
			return errors.New("it does not exist")
		case ds.Status.ObservedGeneration != ds.Generation || ds.Status.NumberReady != ds.Status.DesiredNumberScheduled:
			return fmt.Errorf("%d of %d are ready", ds.Status.NumberReady, ds.Status.DesiredNumberScheduled)
		}
		return nil
	})
}

// release undoes hold.
func (m *Migrator) release(ctx context.Context, s *State) error {
	want := s.Inventory.Old.Speaker.DeepCopy()
	want.ResourceVersion = ""
	aside, err := m.daemonSet(ctx, want.Namespace, takeover.AsideName(s.Inventory.Old, s.Inventory.Target))
	if err != nil {
		return err
	}
	if takeover.AsideName(s.Inventory.Old, s.Inventory.Target) != want.Name {
		err = m.rename(ctx, aside, want)
	} else if aside != nil {
		err = m.replaceSpec(ctx, aside, want)
	}
	if err != nil {
		return err
	}
	return m.adopted(ctx, want)
}

// ownSet is Lintel's DaemonSet; nil where there is none, or MetalLB's has its name.
func (m *Migrator) ownSet(ctx context.Context, s *State) (*appsv1.DaemonSet, error) {
	ds, err := m.daemonSet(ctx, s.Inventory.Target.Namespace, s.Inventory.Target.Speaker.Name)
	if err != nil || ds == nil || !takeover.IsLintel(&ds.Spec.Template.Spec, "speaker") {
		return nil, err
	}
	return ds, nil
}

// holdOwn has Lintel's DaemonSet leave the nodes that are not taken over.
func (m *Migrator) holdOwn(ctx context.Context, s *State) error {
	ds, err := m.ownSet(ctx, s)
	if err != nil || ds == nil || takeover.Held(ds) {
		return err
	}
	return m.replaceSpec(ctx, ds, takeover.Hold(ds, true))
}

// unholdOwn undoes holdOwn, which a way back that was broken off has left, and waits until that
// is in force, and every node has its speaker that had it before.
func (m *Migrator) unholdOwn(ctx context.Context, s *State) error {
	ds, err := m.ownSet(ctx, s)
	if err != nil || ds == nil || ds.DeletionTimestamp != nil {
		return err
	}
	var nodes []string
	if takeover.Held(ds) {
		pods, err := m.pods(ctx, ds.Namespace, ds.Name)
		if err != nil {
			return err
		}
		for i := range pods {
			if ready(&pods[i]) {
				nodes = append(nodes, pods[i].Spec.NodeName)
			}
		}
		if err := m.replaceSpec(ctx, ds, takeover.Unhold(ds, s.Inventory.Target.Speaker.Spec.UpdateStrategy)); err != nil {
			return err
		}
	}
	return until(ctx, patience, "DaemonSet "+ds.Name+" does not get its affinity and update strategy back", func(ctx context.Context) error {
		ds, err := m.ownSet(ctx, s)
		switch {
		case err != nil:
			return err
		case ds == nil:
			return errors.New("it is gone")
		case ds.Status.ObservedGeneration < ds.Generation:
			return errors.New("the DaemonSet controller has not seen it")
		}
		for _, node := range nodes {
			pod, err := m.podOn(ctx, s, ds.Name, node)
			if err != nil {
				return err
			}
			if pod == nil || !ready(pod) {
				return fmt.Errorf("the speaker on %s is not ready", node)
			}
		}
		return nil
	})
}
