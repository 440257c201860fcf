package migrator

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/lintel-lb/lintel/internal/kube/endpoint"
	"github.com/lintel-lb/lintel/internal/lb"
	"github.com/lintel-lb/lintel/internal/takeover"
)

const (
	// patience bounds waiting for one thing, such as a pod that starts or a session that comes up.
	patience = 2 * time.Minute
	// moveTime bounds waiting for addresses to move away from a node. Whether they did is not
	// known for sure, so it goes on after that.
	moveTime = 10 * time.Second
	every    = 250 * time.Millisecond
	// leastGrace is how many seconds a speaker has to end, at least.
	leastGrace = 2
)

// Migrator takes a MetalLB over, or gives it back.
type Migrator struct {
	Client client.Client
	// Say tells people what happens.
	Say func(format string, args ...any)
	// Inspect asks the speaker in a pod about itself.
	Inspect func(context.Context, *corev1.Pod) (*endpoint.SpeakerReport, error)
	// World reads what decisions depend on.
	World func(context.Context) (*lb.World, error)
	// Nodes, if there are any, are the only ones to be taken over this time.
	Nodes []string
	// DownPeers are BGPPeers whose sessions are down anyway and not waited for.
	DownPeers []string
}

// Forward takes all steps that were not taken yet, or up to those for which all nodes must be
// taken over.
func (m *Migrator) Forward(ctx context.Context, s *State) error {
	if s.Record == nil {
		if err := m.begin(ctx, s); err != nil {
			return err
		}
	}
	// Between the two controllers Services are compared with what they were before.
	if s.Record.Has(string(takeover.StartController)) || !s.Record.Has(string(takeover.StopController)) {
		if err := m.renew(ctx, s); err != nil {
			return err
		}
	}
	if err := m.unholdOwn(ctx, s); err != nil {
		return err
	}
	steps := takeover.Steps(s.Inventory)
	var waiting []string
	for i, step := range steps {
		if s.Record.Has(step.ID()) {
			continue
		}
		if step.Node != "" && len(m.Nodes) > 0 && !slices.Contains(m.Nodes, step.Node) {
			waiting = append(waiting, step.Node)
			continue
		}
		if step.Action == takeover.Unmix && len(waiting) > 0 {
			m.Say("Left to MetalLB for now: %s\n", strings.Join(waiting, ", "))
			break
		}
		m.Say("[%d/%d] %s\n", i+1, len(steps), step.Does)
		if err := m.do(ctx, s, step); err != nil {
			return fmt.Errorf("%w\nNothing is lost: run the same again to go on from here, or with --revert to go back", err)
		}
		if err := m.note(ctx, s, step, true); err != nil {
			return err
		}
	}
	return m.sameAddresses(ctx, s)
}

// Revert takes all steps back that were taken, the last one first. changed says which Services
// have other addresses than before, which does not keep it from its end.
func (m *Migrator) Revert(ctx context.Context, s *State) (changed []string, err error) {
	if s.Record.Has(string(takeover.StartController)) {
		if err := m.renew(ctx, s); err != nil {
			return nil, err
		}
	}
	steps := takeover.Steps(s.Inventory)
	for i := len(steps) - 1; i >= 0; i-- {
		step := steps[i]
		if !s.Record.Begun(steps, i) {
			continue
		}
		m.Say("[%d/%d] %s: %s\n", i+1, len(steps), step.ID(), step.Undo)
		// What is half undone is not done, for whoever goes forward from here. A node is noted as
		// such together with what it announces.
		if step.Node == "" {
			if err := m.note(ctx, s, step, false); err != nil {
				return nil, err
			}
		}
		if err := m.undo(ctx, s, step); err != nil {
			return nil, fmt.Errorf("%w\nRun the same again to go on from here", err)
		}
		if err := m.note(ctx, s, step, false); err != nil {
			return nil, err
		}
	}
	if changed, err = m.changed(ctx, s); err != nil {
		return nil, err
	}
	return changed, m.remove(ctx, &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: s.Inventory.Old.Namespace, Name: takeover.RecordName}})
}

// note writes down whether a step is done.
func (m *Migrator) note(ctx context.Context, s *State, step takeover.Step, done bool) error {
	s.Record.Set(step.ID(), done)
	return m.save(ctx, s)
}

func (m *Migrator) do(ctx context.Context, s *State, step takeover.Step) error {
	switch step.Action {
	case takeover.Keep:
		return m.keep(ctx, s)
	case takeover.Key:
		return m.key(ctx, s)
	case takeover.Mix:
		return m.mix(ctx, s)
	case takeover.HoldSpeakers:
		return m.hold(ctx, s)
	case takeover.StopController:
		return m.stopController(ctx, s)
	case takeover.DropWebhook:
		return m.dropWebhook(ctx, s)
	case takeover.ApplyDefinitions:
		return m.definitions(ctx, s)
	case takeover.ApplyObjects:
		return m.objects(ctx, s, true)
	case takeover.StartController:
		return m.startController(ctx, s)
	case takeover.StartSpeakers:
		return m.startSpeakers(ctx, s)
	case takeover.Node:
		return m.node(ctx, s, step.Node, true)
	case takeover.Unmix:
		return m.unmix(ctx, s)
	case takeover.Remove:
		return m.removeOld(ctx, s)
	}
	return fmt.Errorf("migrator: no such step: %s", step.Action)
}

func (m *Migrator) undo(ctx context.Context, s *State, step takeover.Step) error {
	switch step.Action {
	case takeover.Keep, takeover.Key:
		return nil
	case takeover.Mix:
		return m.removeMixed(ctx, s)
	case takeover.HoldSpeakers:
		return m.release(ctx, s)
	case takeover.StopController:
		return m.restartController(ctx, s)
	case takeover.DropWebhook:
		return m.restoreWebhook(ctx, s)
	case takeover.ApplyDefinitions:
		return m.restoreDefinitions(ctx, s)
	case takeover.ApplyObjects:
		return m.restoreObjects(ctx, s)
	case takeover.StartController:
		return m.dropController(ctx, s)
	case takeover.StartSpeakers:
		return m.dropSpeakers(ctx, s)
	case takeover.Node:
		return m.node(ctx, s, step.Node, false)
	case takeover.Unmix:
		return m.mix(ctx, s)
	case takeover.Remove:
		return m.restoreOld(ctx, s)
	}
	return fmt.Errorf("migrator: no such step: %s", step.Action)
}

// until looks again and again until check succeeds. Its error is what check said last.
func until(ctx context.Context, limit time.Duration, what string, check func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	tick := time.NewTicker(every)
	defer tick.Stop()
	var last error
	for {
		err := check(ctx)
		if err == nil {
			return nil
		}
		if last == nil || ctx.Err() == nil {
			last = err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("migrator: %s: %w", what, last)
		case <-tick.C:
		}
	}
}

// remove deletes an object, if it is there, and waits until it is gone.
func (m *Migrator) remove(ctx context.Context, o client.Object, opts ...client.DeleteOption) error {
	err := m.Client.Delete(ctx, o, opts...)
	if apierrors.IsNotFound(err) || meta.IsNoMatchError(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("migrator: delete %s: %w", o.GetName(), err)
	}
	return until(ctx, patience, fmt.Sprintf("%s does not go", o.GetName()), func(ctx context.Context) error {
		err := m.Client.Get(ctx, client.ObjectKeyFromObject(o), o)
		if apierrors.IsNotFound(err) {
			return nil
		}
		if err != nil {
			return err
		}
		return errors.New("it is still there")
	})
}

// ensure creates an object as it was, or replaces what is there by it.
func (m *Migrator) ensure(ctx context.Context, o *takeover.Object) error {
	o = o.DeepCopy()
	live := o.DeepCopy()
	err := m.Client.Get(ctx, client.ObjectKeyFromObject(o), live)
	switch {
	case apierrors.IsNotFound(err):
		err = m.Client.Create(ctx, o)
	case err == nil:
		o.SetResourceVersion(live.GetResourceVersion())
		err = m.Client.Update(ctx, o)
	}
	if err != nil {
		return fmt.Errorf("migrator: restore %s: %w", takeover.IDOf(o), err)
	}
	return nil
}

// apply brings one of Lintel's objects about. It belongs to whom the user will go on with:
// Helm, or kubectl.
func (m *Migrator) apply(ctx context.Context, o *takeover.Object) error {
	owner := client.FieldOwner("kubectl")
	if o.GetAnnotations()["meta.helm.sh/release-name"] != "" {
		owner = "helm"
	}
	if err := m.Client.Apply(ctx, client.ApplyConfigurationFromUnstructured(o.DeepCopy()), owner, client.ForceOwnership); err != nil {
		return fmt.Errorf("migrator: apply %s: %w", takeover.IDOf(o), err)
	}
	return nil
}
