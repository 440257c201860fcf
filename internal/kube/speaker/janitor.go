package speaker

import (
	"context"
	"fmt"
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
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
	var sessions []metav1.Condition
	if c := s.sessionCondition.Load(); c != nil {
		sessions = append(sessions, *c)
	}
	return state.Write(ctx, s.Client, owners, *verdicts, sessions...)
}

// recheckOwn has the status objects of this node compared with what it does, which repairs
// what others did to them: other speakers remove them while they take this one for dead, and
// an earlier life that ended in a crash leaves them.
func (s *Speaker) recheckOwn(ctx context.Context) error {
	exist, err := s.ownStatus(ctx)
	if err != nil {
		return err
	}
	s.reports.recheck(exist)
	return nil
}

// ownStatus tells which status objects of this node exist.
func (s *Speaker) ownStatus(ctx context.Context) (map[reportKey]bool, error) {
	ctx, cancel := context.WithTimeout(ctx, writeTimeout)
	defer cancel()
	exist := map[reportKey]bool{}
	err := s.eachStatus(ctx, func(o *metav1.PartialObjectMetadata, p lb.Protocol) error {
		exist[reportKey{lb.ServiceKey{Namespace: o.Labels[labelServiceNamespace], Name: o.Labels[labelServiceName]}, p}] = true
		return nil
	}, client.MatchingLabels{labelNode: s.config.Node})
	return exist, err
}

// statusPage is how many status objects are read at a time.
const statusPage = 500

// eachStatus calls f for the status objects of Services. Only what is known of every object is
// read, and that in pages, as there may be thousands.
func (s *Speaker) eachStatus(ctx context.Context, f func(*metav1.PartialObjectMetadata, lb.Protocol) error, opts ...client.ListOption) error {
	for protocol, kind := range map[lb.Protocol]string{lb.Layer2: "ServiceL2Status", lb.BGP: "ServiceBGPStatus"} {
		next := ""
		for {
			list := metav1.PartialObjectMetadataList{}
			list.SetGroupVersionKind(v1beta1.SchemeGroupVersion.WithKind(kind + "List"))
			page := append(slices.Clip(opts), client.InNamespace(s.config.Namespace), client.Limit(statusPage), client.Continue(next))
			if err := s.Client.List(ctx, &list, page...); err != nil {
				return fmt.Errorf("list %s: %w", kind, err)
			}
			for i := range list.Items {
				list.Items[i].SetGroupVersionKind(v1beta1.SchemeGroupVersion.WithKind(kind))
				if err := f(&list.Items[i], protocol); err != nil {
					return err
				}
			}
			if next = list.Continue; next == "" {
				break
			}
		}
	}
	return nil
}

// removeStale removes the status objects of nodes that are no live members.
func (s *Speaker) removeStale(ctx context.Context) error {
	snap := s.Members.Snapshot()
	if !snap.Enabled || !snap.Health.Joined || firstAlive(snap) != s.config.Node {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, writeTimeout)
	defer cancel()
	return s.eachStatus(ctx, func(o *metav1.PartialObjectMetadata, _ lb.Protocol) error {
		node := o.Labels[labelNode]
		if _, alive := snap.Alive[node]; alive {
			return nil
		}
		if err := client.IgnoreNotFound(s.Client.Delete(ctx, o)); err != nil {
			return fmt.Errorf("delete the status %s: %w", o.Name, err)
		}
		s.Log.Info("removed the status of a node that is gone", "object", o.Name, "node", node)
		return nil
	})
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
