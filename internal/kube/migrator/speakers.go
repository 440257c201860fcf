package migrator

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"sync"

	"github.com/lintel-lb/lintel/internal/announce"
	"github.com/lintel-lb/lintel/internal/kube/endpoint"
	"github.com/lintel-lb/lintel/internal/lb"
	"github.com/lintel-lb/lintel/internal/takeover"
)

// reports asks all of Lintel's speakers that are ready, all at once, and gives their answers by
// node.
func (m *Migrator) reports(ctx context.Context, s *State) (map[string]*endpoint.SpeakerReport, error) {
	pods, err := m.pods(ctx, s.Inventory.Target.Namespace, s.Inventory.Target.Speaker.Name)
	if err != nil {
		return nil, err
	}
	var (
		mu   sync.Mutex
		wg   sync.WaitGroup
		out  = map[string]*endpoint.SpeakerReport{}
		errs []error
	)
	for i := range pods {
		pod := &pods[i]
		if !takeover.IsLintel(&pod.Spec, "speaker") || !ready(pod) {
			continue
		}
		wg.Go(func() {
			r, err := m.Inspect(ctx, pod)
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				errs = append(errs, fmt.Errorf("the speaker on %s cannot be asked: %w", pod.Spec.NodeName, err))
				return
			}
			out[pod.Spec.NodeName] = r
		})
	}
	wg.Wait()
	return out, errors.Join(errs...)
}

// untilAll waits until what all of Lintel's speakers report passes a check.
func (m *Migrator) untilAll(ctx context.Context, s *State, what string, check func(context.Context, map[string]*endpoint.SpeakerReport) error) error {
	return until(ctx, patience, what, func(ctx context.Context) error {
		reports, err := m.reports(ctx, s)
		if err != nil {
			return err
		}
		return check(ctx, reports)
	})
}

// allKnow waits until every speaker of Lintel's that runs says that membership is mixed, or not.
func (m *Migrator) allKnow(ctx context.Context, s *State, isMixed bool) error {
	return m.untilAll(ctx, s, "the speakers do not agree about mixed membership", func(_ context.Context, reports map[string]*endpoint.SpeakerReport) error {
		for _, node := range slices.Sorted(maps.Keys(reports)) {
			if reports[node].Settings.Mixed != isMixed {
				return fmt.Errorf("the speaker on %s says mixed %t", node, reports[node].Settings.Mixed)
			}
		}
		return nil
	})
}

// joined waits until Lintel's speaker on a node and the others count each other in, and it has
// sessions with the BGPPeers that the node announced to before.
func (m *Migrator) joined(ctx context.Context, s *State, node string) error {
	return m.untilAll(ctx, s, "the speaker on "+node+" is not ready to announce", func(_ context.Context, reports map[string]*endpoint.SpeakerReport) error {
		r := reports[node]
		switch {
		case r == nil:
			return errors.New("it is not ready")
		case !r.Settings.Mixed:
			return errors.New("it does not know of mixed membership")
		case r.Joining:
			return fmt.Errorf("it has not met the others: %s", strings.Join(r.Problems, "; "))
		case r.Gated:
			return errors.New("its check of the dataplane fails")
		}
		if s.Inventory.Old.Membership() {
			if err := acquainted(reports, node); err != nil {
				return err
			}
		}
		return sessionsUp(r, m.peersOf(s.Record.Before[node]))
	})
}

// allAcquainted waits until all speakers know each other as they are. While membership is mixed
// nothing depends on that. When it ends, two that do not would both have an address.
func (m *Migrator) allAcquainted(ctx context.Context, s *State) error {
	if !s.Inventory.Old.Membership() {
		return nil
	}
	return m.untilAll(ctx, s, "the speakers do not count each other in", func(_ context.Context, reports map[string]*endpoint.SpeakerReport) error {
		for _, node := range slices.Sorted(maps.Keys(reports)) {
			if err := acquainted(reports, node); err != nil {
				return err
			}
		}
		return nil
	})
}

// acquainted says who of the others does not know the speaker of a node as it is, or whom that
// one does not know.
func acquainted(reports map[string]*endpoint.SpeakerReport, node string) error {
	for _, other := range slices.Sorted(maps.Keys(reports)) {
		if other == node {
			continue
		}
		if err := knows(reports[other], reports[node]); err != nil {
			return err
		}
		if err := knows(reports[node], reports[other]); err != nil {
			return err
		}
	}
	return nil
}

// knows says in what one speaker is wrong about another. Speakers of before that was reported
// tell only whom they see.
func knows(who, whom *endpoint.SpeakerReport) error {
	i := slices.IndexFunc(who.Others, func(o endpoint.Other) bool { return o.Node == whom.Node })
	if i < 0 {
		if who.Others == nil && slices.Contains(who.Members, whom.Node) {
			return nil
		}
		return fmt.Errorf("the speaker on %s does not see the one on %s", who.Node, whom.Node)
	}
	switch o := who.Others[i]; {
	case !o.Told:
		return fmt.Errorf("the speaker on %s has not learnt the links of %s", who.Node, whom.Node)
	case o.Gated && !whom.Gated && !whom.Joining:
		return fmt.Errorf("the speaker on %s does not count on %s to announce", who.Node, whom.Node)
	case !o.Gated && (whom.Gated || whom.Joining):
		return fmt.Errorf("the speaker on %s counts on %s to announce, which does not", who.Node, whom.Node)
	}
	return nil
}

// settled waits until one speaker alone announces each address by layer 2 that any node can.
func (m *Migrator) settled(ctx context.Context, s *State) error {
	return m.untilAll(ctx, s, "not every address is announced by one node", func(ctx context.Context, reports map[string]*endpoint.SpeakerReport) error {
		w, err := m.World(ctx)
		if err != nil {
			return err
		}
		w.Settings.Mixed = false
		if !s.Inventory.Old.Membership() {
			w.Members = lb.Members{}
		}
		return errors.Join(unsettled(reports, announce.Decide(w))...)
	})
}

// unsettled names the addresses that several nodes announce, or none where one should.
func unsettled(reports map[string]*endpoint.SpeakerReport, d *announce.Decider) (out []error) {
	by := map[netip.Addr][]string{}
	for _, node := range slices.Sorted(maps.Keys(reports)) {
		for _, a := range reports[node].Addresses {
			if a.Protocol == lb.Layer2 {
				by[a.Address] = append(by[a.Address], node)
			}
		}
	}
	for _, a := range slices.SortedFunc(maps.Keys(by), netip.Addr.Compare) {
		if nodes := by[a]; len(nodes) > 1 {
			out = append(out, fmt.Errorf("%s is announced by %s", a, strings.Join(nodes, " and ")))
		}
	}
	for _, a := range d.Addresses() {
		if owner, ok := d.Owner(a); ok && len(by[a]) == 0 {
			out = append(out, fmt.Errorf("%s is announced by no node, and %s should", a, owner))
		}
	}
	return out
}
