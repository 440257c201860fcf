package speaker

import (
	"context"
	"fmt"
	"slices"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/lintel-lb/lintel/api/v1beta1"
	"github.com/lintel-lb/lintel/internal/kube/configstate"
	"github.com/lintel-lb/lintel/internal/lb"
	"github.com/lintel-lb/lintel/internal/members"
)

// upkeepInterval is how often a speaker looks after objects that no change reminds it of.
const upkeepInterval = time.Minute

// upkeep writes this node's ConfigurationState whenever the verdicts change, and removes the
// status objects of nodes whose speaker is dead and cannot do it. Of all speakers, the alive
// one with the first name does the latter.
func (s *Speaker) upkeep(ctx context.Context) {
	state := configstate.Speaker(s.config.Namespace, s.config.Node)
	tick := time.NewTicker(upkeepInterval)
	defer tick.Stop()
	for {
		if err := s.writeState(ctx, state); err != nil && ctx.Err() == nil {
			s.Log.Warn("cannot write the ConfigurationState; announcing goes on", "error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-s.parsedChanged:
			continue
		case <-tick.C:
		}
		if err := s.removeStale(ctx); err != nil && ctx.Err() == nil {
			s.Log.Warn("cannot remove the status of nodes that are gone", "error", err)
		}
		if err := s.recheckOwn(ctx); err != nil && ctx.Err() == nil {
			s.Log.Warn("cannot look after the status of this node", "error", err)
		}
	}
}

func (s *Speaker) writeState(ctx context.Context, state configstate.Component) error {
	ctx, cancel := context.WithTimeout(ctx, writeTimeout)
	defer cancel()
	verdicts := s.verdicts.Load()
	if verdicts == nil {
		return nil
	}
	owners, err := s.reports.writer.owners(ctx)
	if err != nil {
		return err
	}
	return state.Write(ctx, s.Client, owners, *verdicts)
}

// recheckOwn has the status objects of this node compared with what it does, which repairs
// what others did to them: other speakers remove them while they take this one for dead, and
// an earlier life that ended in a crash leaves them.
func (s *Speaker) recheckOwn(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, writeTimeout)
	defer cancel()
	objects, err := s.statusObjects(ctx, client.MatchingLabels{labelNode: s.config.Node})
	if err != nil {
		return err
	}
	exist := map[reportKey]bool{}
	for _, o := range objects {
		l := o.GetLabels()
		k := reportKey{lb.ServiceKey{Namespace: l[labelServiceNamespace], Name: l[labelServiceName]}, lb.Layer2}
		if _, bgp := o.(*v1beta1.ServiceBGPStatus); bgp {
			k.protocol = lb.BGP
		}
		exist[k] = true
	}
	s.reports.recheck(exist)
	return nil
}

// statusObjects lists the status objects of Services.
func (s *Speaker) statusObjects(ctx context.Context, opts ...client.ListOption) ([]client.Object, error) {
	var (
		layer2  v1beta1.ServiceL2StatusList
		bgp     v1beta1.ServiceBGPStatusList
		objects []client.Object
	)
	for _, list := range []client.ObjectList{&layer2, &bgp} {
		if err := s.Client.List(ctx, list, append(opts, client.InNamespace(s.config.Namespace))...); err != nil {
			return nil, fmt.Errorf("list %T: %w", list, err)
		}
	}
	for i := range layer2.Items {
		objects = append(objects, &layer2.Items[i])
	}
	for i := range bgp.Items {
		objects = append(objects, &bgp.Items[i])
	}
	return objects, nil
}

// removeStale removes the status objects of nodes that are no live members.
func (s *Speaker) removeStale(ctx context.Context) error {
	snap := s.Members.Snapshot()
	if !snap.Enabled || !snap.Health.Joined || firstAlive(snap) != s.config.Node {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, writeTimeout)
	defer cancel()
	objects, err := s.statusObjects(ctx)
	if err != nil {
		return err
	}
	for _, o := range objects {
		node := o.GetLabels()[labelNode]
		if _, alive := snap.Alive[node]; alive {
			continue
		}
		if err := client.IgnoreNotFound(s.Client.Delete(ctx, o)); err != nil {
			return fmt.Errorf("delete the status %s: %w", o.GetName(), err)
		}
		s.Log.Info("removed the status of a node that is gone", "object", o.GetName(), "node", node)
	}
	return nil
}

func firstAlive(s members.Snapshot) string {
	var names []string
	for n := range s.Alive {
		names = append(names, n)
	}
	if len(names) == 0 {
		return ""
	}
	return slices.Min(names)
}
