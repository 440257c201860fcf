package migrator

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/lintel-lb/lintel/api/v1beta1"
	"github.com/lintel-lb/lintel/internal/announce"
	"github.com/lintel-lb/lintel/internal/lb"
	"github.com/lintel-lb/lintel/internal/takeover"
)

// node replaces the speaker of one node: MetalLB's by Lintel's, or with forward false the
// other way round. What the node announced before is known from status objects, which both
// write, and is what it has to announce after.
func (m *Migrator) node(ctx context.Context, s *State, name string, forward bool) error {
	var node corev1.Node
	if err := m.Client.Get(ctx, client.ObjectKey{Name: name}, &node); err != nil {
		if client.IgnoreNotFound(err) == nil {
			m.Say("      node %s is gone\n", name)
			delete(s.Record.Before, name)
			return nil
		}
		return fmt.Errorf("migrator: read node %s: %w", name, err)
	}
	if _, known := s.Record.Before[name]; !known {
		before, err := m.announced(ctx, s, name)
		if err != nil {
			return err
		}
		if s.Record.Before == nil {
			s.Record.Before = map[string][]string{}
		}
		s.Record.Before[name] = before
		if err := m.note(ctx, s, takeover.Step{Action: takeover.Node, Node: name}, false); err != nil {
			return err
		}
	}
	if err := m.drain(ctx, s, &node); err != nil {
		return err
	}
	if err := m.swap(ctx, s, name, forward); err != nil {
		return err
	}
	if forward {
		if err := m.joined(ctx, s, name); err != nil {
			return err
		}
	}
	if err := m.undrain(ctx, name); err != nil {
		return err
	}
	if err := m.announcesAgain(ctx, s, name); err != nil {
		return err
	}
	if forward {
		m.sayDown(ctx, s, name)
	}
	delete(s.Record.Before, name)
	return nil
}

// drain moves addresses and routes away from a node with the label that Kubernetes has for it,
// which both sides honour, unless nobody else could have one of the addresses.
func (m *Migrator) drain(ctx context.Context, s *State, node *corev1.Node) error {
	if _, excluded := node.Labels[lb.LabelExclude]; excluded || s.Inventory.Old.IgnoresExclusion() {
		return nil
	}
	alone, err := m.irreplaceable(ctx, s, node.Name)
	if err != nil {
		return err
	}
	if len(alone) > 0 {
		m.Say("      no other node can announce %s: no answer while the speaker is replaced\n", strings.Join(alone, ", "))
		return nil
	}
	if err := m.label(ctx, node.Name, lb.LabelExclude, takeover.DrainValue); err != nil {
		return err
	}
	err = until(ctx, moveTime, "it still announces", func(ctx context.Context) error {
		left, err := m.announced(ctx, s, node.Name)
		if err == nil && len(left) > 0 {
			err = errors.New(strings.Join(left, ", "))
		}
		return err
	})
	if err != nil && ctx.Err() == nil {
		m.Say("      %v; going on\n", err)
	}
	return ctx.Err()
}

// undrain removes the label, if a take-over has set it.
func (m *Migrator) undrain(ctx context.Context, name string) error {
	var node corev1.Node
	if err := m.Client.Get(ctx, client.ObjectKey{Name: name}, &node); err != nil {
		return fmt.Errorf("migrator: read node %s: %w", name, err)
	}
	if node.Labels[lb.LabelExclude] != takeover.DrainValue {
		return nil
	}
	return m.label(ctx, name, lb.LabelExclude, "")
}

// decide is who announces what by what is known now.
func (m *Migrator) decide(ctx context.Context, s *State) (*announce.Decider, error) {
	w, err := m.World(ctx)
	if err != nil {
		return nil, err
	}
	old, target := s.Inventory.Old, s.Inventory.Target
	pods, err := m.pods(ctx, old.Namespace, old.Speaker.Name, takeover.AsideName(old, target), target.Speaker.Name)
	if err != nil {
		return nil, err
	}
	w.Settings.Mixed = true
	w.Members = lb.Members{Enabled: true, Alive: map[string]bool{}}
	for i := range pods {
		if ready(&pods[i]) {
			w.Members.Alive[pods[i].Spec.NodeName] = true
		}
	}
	return announce.Decide(w), nil
}

// irreplaceable are the addresses that only this node can answer for by layer 2.
func (m *Migrator) irreplaceable(ctx context.Context, s *State, name string) ([]string, error) {
	d, err := m.decide(ctx, s)
	if err != nil {
		return nil, err
	}
	var mine []netip.Addr
	for _, a := range d.Addresses() {
		if _, own := d.OwnerScope(a, name); own {
			mine = append(mine, a)
		}
	}
	alive := maps.Clone(d.World().Members.Alive)
	delete(alive, name)
	d.SetMembers(lb.Members{Enabled: true, Alive: alive})
	d.Flush()
	var out []string
	for _, a := range mine {
		if _, ok := d.Owner(a); !ok {
			out = append(out, a.String())
		}
	}
	return out, nil
}

// swap ends one speaker of a node and waits for the other.
func (m *Migrator) swap(ctx context.Context, s *State, name string, forward bool) error {
	old, target := s.Inventory.Old, s.Inventory.Target
	from, to, value := takeover.AsideName(old, target), target.Speaker.Name, "true"
	if !forward {
		from, to, value = to, from, ""
		if err := m.holdOwn(ctx, s); err != nil {
			return err
		}
	}
	if err := m.end(ctx, s, from, name); err != nil {
		return err
	}
	if err := m.label(ctx, name, takeover.LabelTaken, value); err != nil {
		return err
	}
	err := until(ctx, patience, "the speaker on "+name+" does not end", func(ctx context.Context) error {
		pod, err := m.podOn(ctx, s, from, name)
		if err == nil && pod != nil && pod.Spec.NodeName != "" {
			err = fmt.Errorf("pod %s is there", pod.Name)
		}
		return err
	})
	if err != nil {
		return err
	}
	if forward && old.Mode() == takeover.ModeFRRK8s {
		if err := m.dropFRR(ctx, name); err != nil {
			return err
		}
	}
	// A pod that could not be scheduled for a while is not tried again at once; a new one is.
	if pod, err := m.podOn(ctx, s, to, name); err != nil {
		return err
	} else if pod != nil && pod.Spec.NodeName == "" {
		if err := m.Client.Delete(ctx, pod); client.IgnoreNotFound(err) != nil {
			return fmt.Errorf("migrator: delete pod %s: %w", pod.Name, err)
		}
	}
	return until(ctx, patience, "the new speaker on "+name+" does not start", func(ctx context.Context) error {
		pod, err := m.podOn(ctx, s, to, name)
		switch {
		case err != nil:
			return err
		case pod == nil:
			return fmt.Errorf("DaemonSet %s has no pod for it", to)
		case !ready(pod):
			return fmt.Errorf("pod %s is %s%s", pod.Name, pod.Status.Phase, waiting(pod))
		}
		return nil
	})
}

// end asks a speaker to end. The pods of MetalLB's chart have no grace period: they are gone from
// the API before their process is from the node, and the next speaker would find its ports taken.
// So they are given one. The node must be labelled at once, lest another pod is made.
func (m *Migrator) end(ctx context.Context, s *State, set, node string) error {
	pod, err := m.podOn(ctx, s, set, node)
	if err != nil || pod == nil || pod.Spec.NodeName == "" || pod.DeletionTimestamp != nil {
		return err
	}
	grace := int64(leastGrace)
	if g := pod.Spec.TerminationGracePeriodSeconds; g != nil {
		grace = max(grace, *g)
	}
	if err := m.Client.Delete(ctx, pod, client.GracePeriodSeconds(grace)); client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("migrator: delete pod %s: %w", pod.Name, err)
	}
	return nil
}

// waiting says why a pod does not run.
func waiting(p *corev1.Pod) string {
	for _, c := range p.Status.ContainerStatuses {
		if w := c.State.Waiting; w != nil {
			return ": " + w.Reason + " " + w.Message
		}
	}
	for _, c := range p.Status.Conditions {
		if c.Type == corev1.PodScheduled && c.Status == corev1.ConditionFalse {
			return ": " + c.Message
		}
	}
	return ""
}

func (m *Migrator) podOn(ctx context.Context, s *State, set, node string) (*corev1.Pod, error) {
	pods, err := m.pods(ctx, s.Inventory.Old.Namespace, set)
	if err != nil {
		return nil, err
	}
	for i := range pods {
		if nodeOf(&pods[i]) == node {
			return &pods[i], nil
		}
	}
	return nil, nil
}

// dropFRR deletes what MetalLB had FRR announce on a node, which outlives its speaker.
func (m *Migrator) dropFRR(ctx context.Context, node string) error {
	list := frrConfigurations()
	if err := m.Client.List(ctx, list); err != nil {
		return fmt.Errorf("migrator: list FRRConfigurations: %w", err)
	}
	for i := range list.Items {
		if list.Items[i].GetName() == "metallb-"+node {
			return m.remove(ctx, &unstructured.Unstructured{Object: list.Items[i].Object})
		}
	}
	return nil
}

// announcesAgain waits until a node announces all that it announced before, as far as the
// Services still exist and have not moved.
func (m *Migrator) announcesAgain(ctx context.Context, s *State, node string) error {
	return until(ctx, patience, "node "+node+" does not announce what it announced before", func(ctx context.Context) error {
		now, err := m.announced(ctx, s, node)
		if err != nil {
			return err
		}
		existing, err := m.services(ctx)
		if err != nil {
			return err
		}
		var missing []string
		for _, a := range s.Record.Before[node] {
			service, _, _ := strings.Cut(a, " ")
			if len(existing[service].Addresses) > 0 && m.awaited(a) && !slices.Contains(now, a) {
				missing = append(missing, a)
			}
		}
		if missing, err = m.withoutMoved(ctx, s, node, missing); err != nil {
			return err
		}
		if len(missing) > 0 {
			return fmt.Errorf("missing: %s", strings.Join(missing, ", "))
		}
		return nil
	})
}

// withoutMoved leaves out what is not the node's to announce any more: its endpoints have gone since,
// or another node has been elected and announces it.
func (m *Migrator) withoutMoved(ctx context.Context, s *State, node string, missing []string) ([]string, error) {
	if len(missing) == 0 {
		return nil, nil
	}
	d, err := m.decide(ctx, s)
	if err != nil {
		return nil, err
	}
	var left []string
	for _, a := range missing {
		moved, err := m.moved(ctx, s, d, node, a)
		if err != nil {
			return nil, err
		}
		if !moved {
			left = append(left, a)
		}
	}
	return left, nil
}

func (m *Migrator) moved(ctx context.Context, s *State, d *announce.Decider, node, announced string) (bool, error) {
	name, _, _ := strings.Cut(announced, " ")
	key, err := lb.ParseServiceKey(name)
	if err != nil {
		return false, err
	}
	protocol, known := lb.Layer2, false
	if strings.Contains(announced, toPeer) {
		protocol = lb.BGP
	}
	for _, v := range d.AllVerdicts(key, node) {
		if v.Protocol != protocol {
			continue
		}
		known = true
		switch v.Reason {
		case lb.NoEndpoints, lb.NoLocalEndpoint:
		case lb.OtherNode:
			there, err := m.announced(ctx, s, v.Owner)
			if err != nil || !slices.Contains(there, announced) {
				return false, err
			}
		default:
			return false, nil
		}
	}
	return known, nil
}

// announced lists what a node announces according to the status objects, which both sides write:
// "namespace/name by layer2", or "namespace/name to PEER".
func (m *Migrator) announced(ctx context.Context, s *State, node string) ([]string, error) {
	ns := client.InNamespace(s.Inventory.Old.Namespace)
	var out []string
	var layer2 v1beta1.ServiceL2StatusList
	if err := m.Client.List(ctx, &layer2, ns); err != nil && !meta.IsNoMatchError(err) {
		return nil, fmt.Errorf("migrator: list ServiceL2Statuses: %w", err)
	}
	for _, st := range layer2.Items {
		if st.Status.Node == node {
			out = append(out, st.Status.ServiceNamespace+"/"+st.Status.ServiceName+" by layer2")
		}
	}
	var routed v1beta1.ServiceBGPStatusList
	if err := m.Client.List(ctx, &routed, ns); err != nil && !meta.IsNoMatchError(err) {
		return nil, fmt.Errorf("migrator: list ServiceBGPStatuses: %w", err)
	}
	for _, st := range routed.Items {
		if st.Status.Node != node {
			continue
		}
		for _, peer := range st.Status.Peers {
			out = append(out, st.Status.ServiceNamespace+"/"+st.Status.ServiceName+toPeer+peer)
		}
	}
	slices.Sort(out)
	return slices.Compact(out), nil
}
