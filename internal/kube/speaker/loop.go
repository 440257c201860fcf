package speaker

import (
	"context"
	"errors"
	"maps"
	"net/netip"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/lintel-lb/lintel/internal/announce"
	"github.com/lintel-lb/lintel/internal/config"
	"github.com/lintel-lb/lintel/internal/l2"
	"github.com/lintel-lb/lintel/internal/lb"
)

// bgpStatusDelay is how long changes of sessions are gathered before status and metrics follow.
const bgpStatusDelay = 200 * time.Millisecond

// loop is the goroutine that owns the World of this speaker. live is closed when the lists of
// the API server are complete that a copy stands in for; nil where none does.
func (s *Speaker) loop(ctx context.Context, linksChanged, bgpChanged, live <-chan struct{}) {
	// What is on the wire is looked at a moment after a change, once for many.
	var lookAtBGP <-chan time.Time
	drain := drainTimer{}
	var announceAgain, again <-chan time.Time
	s.inbox.Post(func(b *batch) { b.config = true })
	s.applyLinks()
	s.applyMembers(false)
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.inbox.Ready():
			s.apply(ctx, s.inbox.Take())
			s.decider.SetDrained(s.config.Node, drain.follow(s.decider.World().Nodes[s.config.Node], s.settled))
			s.flush(ctx)
			s.settled = true
		case <-live:
			live, again = nil, s.giveBack(ctx)
		case <-again:
			again = s.giveBack(ctx)
		case <-linksChanged:
			s.applyLinks()
		case <-s.Gate.Changed():
			s.bgp.stale = true // all that there is may be known now
			s.applyLinks()
		case <-s.Members.Changed():
			s.applyMembers(false)
			if len(s.disputed) > 0 && announceAgain == nil {
				announceAgain = time.After(disputeDelay)
			}
		case <-s.joinDue:
			s.applyMembers(true)
		case <-s.Engine.Changed():
			s.applyConflicts()
			if len(s.disputed) > 0 && announceAgain == nil {
				announceAgain = time.After(disputeDelay)
			}
			continue
		case <-announceAgain:
			announceAgain = nil
			if wait := s.announceDisputed(ctx); wait > 0 {
				// Not longer than for a new claim: another address that is claimed does not wait for this one.
				announceAgain = time.After(min(wait, disputeDelay))
			}
			continue
		case <-bgpChanged:
			if lookAtBGP == nil {
				lookAtBGP = time.After(bgpStatusDelay)
			}
			continue
		case <-lookAtBGP:
			lookAtBGP = nil
			s.announcedBGP()
			s.reportSessions(ctx)
			continue
		case <-drain.due:
			s.decider.SetDrained(s.config.Node, true)
		case <-s.bgp.reweigh:
			s.bgp.stale = true
		case ask := <-s.questions:
			ask(s)
			continue
		}
		s.flush(ctx)
	}
}

// apply brings a batch of changes into the World.
func (s *Speaker) apply(ctx context.Context, b *batch) {
	s.touched()
	if b.mixedChanged {
		s.applyMixed(b.mixed)
	}
	for k, svc := range b.services {
		s.decider.SetService(k, svc)
	}
	for k, endpoints := range s.slices.take(b.slices) {
		s.decider.SetEndpoints(k, endpoints)
	}
	for name, n := range b.nodes {
		if old := s.decider.World().Nodes[name]; old == nil || n == nil || !maps.Equal(old.Labels, n.Labels) {
			b.config = true
		}
		s.decider.SetNode(name, n)
	}
	if b.config {
		s.applyConfig(ctx)
	}
	for a, r := range b.probes {
		s.probed(ctx, a, r)
	}
}

// applyConfig reads the configuration again. What cannot be read leaves the old one in force.
func (s *Speaker) applyConfig(ctx context.Context) {
	in, err := s.resources(ctx)
	if err != nil {
		s.Log.Error("cannot read the configuration; the last one stays in force", "error", err)
		return
	}
	result := config.Parse(in)
	s.parsed.set(s.Log, result.Verdicts)
	s.metrics.configLoaded(result.Verdicts)
	if !s.decider.World().Config.SameAs(result.Config) {
		s.decider.SetConfig(result.Config)
	}
	mine := result.Verdicts
	if node := s.decider.World().Nodes[s.config.Node]; node != nil {
		mine = config.ForNode(mine, node)
	}
	s.verdicts.Store(&mine)
	select {
	case s.parsedChanged <- struct{}{}:
	default:
	}
}

// assigned are the addresses that Services hold, with the pool they came from.
func (s *Speaker) assigned() map[netip.Addr]string {
	out := map[netip.Addr]string{}
	for _, svc := range s.decider.World().Services {
		for _, a := range svc.Addresses {
			out[a] = svc.AssignedPool
		}
	}
	return out
}

// flush makes the decisions that are due and has the engine follow them.
func (s *Speaker) flush(ctx context.Context) {
	affected := map[lb.ServiceKey]bool{}
	moved := false
	if s.decider.Touched(s.config.Node) {
		s.bgp.stale = true
		for a, holders := range s.holders {
			s.route(a, holders, s.decider.Holders(a))
		}
	}
	for changed := s.decider.Flush(); len(changed) > 0; changed = s.decider.Flush() {
		for _, a := range changed {
			moved = s.decided(ctx, a, affected) || moved
		}
	}
	if moved {
		s.Engine.Set(desired(s.scopes))
	}
	s.flushBGP()
	for k := range affected {
		s.report(k)
	}
}

// decided follows the decision about one address. It adds the Services that it concerns, and
// tells whether the engine has something to do.
func (s *Speaker) decided(ctx context.Context, a netip.Addr, affected map[lb.ServiceKey]bool) (moved bool) {
	before, now := s.holders[a], s.decider.Holders(a)
	for _, k := range slices.Concat(before, now) {
		affected[k] = true
		if !slices.Contains(now, k) {
			delete(s.silent, holding{k, a})
			delete(s.failures, holding{k, a})
		}
	}
	s.route(a, before, now)
	switch {
	case len(now) == 0:
		delete(s.holders, a)
		delete(s.fresh, a)
		s.probes.stop(a)
		s.decider.SetProbe(a, nil)
	case len(before) == 0 && s.settled && !s.mixed(): // MetalLB's speakers do not probe
		s.holders[a] = slices.Clone(now)
		s.fresh[a] = true
	default:
		s.holders[a] = slices.Clone(now)
	}
	if s.fresh[a] {
		s.probeNew(ctx, a)
	}
	scope, own := s.decider.Scope(a, s.config.Node)
	old, had := s.scopes[a]
	if own == had && scope.Equal(old) {
		return false
	}
	if own {
		s.scopes[a] = scope
		s.Log.Info("announcing", "address", a, "services", now)
	} else {
		delete(s.scopes, a)
		owner, _ := s.decider.Owner(a)
		s.Log.Info("not announcing any more", "address", a, "owner", owner)
	}
	return true
}

// desired gives the engine's form of the scopes.
func desired(scopes map[netip.Addr]announce.Scope) l2.Desired {
	d := l2.Desired{Addresses: make(map[netip.Addr]l2.Scope, len(scopes))}
	for a, sc := range scopes {
		d.Addresses[a] = l2.Scope{All: sc.All, Links: sc.Links}
	}
	return d
}

// report tells status, metrics and events what this node does for a Service.
func (s *Speaker) report(k lb.ServiceKey) {
	s.reportSilence(k)
	now := report{}
	for _, v := range s.decider.Verdicts(k, s.config.Node) {
		s.reportFailure(v)
		if v.Outcome == lb.Announce {
			now.addresses = append(now.addresses, v.Address)
			now.allLinks = now.allLinks || v.AllLinks
			now.links = append(now.links, v.Links...)
		}
	}
	if now.allLinks {
		now.links = nil
	}
	slices.Sort(now.links)
	now.links = slices.Compact(now.links)
	before := s.reports.set(k, now)
	s.metrics.announced(s.config.Node, k, before.addresses, now.addresses)
	if len(before.addresses) == 0 && len(now.addresses) > 0 {
		s.Events.Eventf(serviceRef(k, s.decider.World().Services[k]), corev1.EventTypeNormal, "nodeAssigned",
			"announcing from node %q with protocol %q", s.config.Node, lb.Layer2)
	}
}

// reportFailure tells once that an address is announced by nobody because this node, and every
// other, lacks the interfaces that its advertisements name.
func (s *Speaker) reportFailure(v lb.Verdict) {
	failed := v.Reason == lb.NoUsableLink && v.Subject != "" && v.Owner == ""
	h := holding{v.Service, v.Address}
	if !failed {
		delete(s.failures, h)
		return
	}
	if s.failures[h] == v.Subject {
		return
	}
	s.failures[h] = v.Subject
	s.Events.Eventf(serviceRef(v.Service, s.decider.World().Services[v.Service]), corev1.EventTypeWarning, "announceFailed",
		"the interfaces specified by LB IP %q doesn't exist in assigned node %q with protocol %q: %s", v.Address, s.config.Node, lb.Layer2, v.Subject)
}

// serviceRef is what an event about a Service refers to.
func serviceRef(k lb.ServiceKey, svc *lb.Service) *corev1.Service {
	ref := &corev1.Service{
		TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "Service"},
		ObjectMeta: metav1.ObjectMeta{Namespace: k.Namespace, Name: k.Name},
	}
	if svc != nil {
		ref.UID = uid(svc.UID)
	}
	return ref
}

// errEnded is the answer to questions that come too late.
var errEnded = errors.New("speaker: it has ended")

// Ask runs a question in the loop, where it may read everything that the loop owns. It
// returns when the question was answered, or with the context's error.
func (s *Speaker) Ask(ctx context.Context, question func(*Speaker)) error {
	done := make(chan struct{})
	select {
	case s.questions <- func(s *Speaker) { defer close(done); question(s) }:
	case <-s.ended:
		return errEnded
	case <-ctx.Done():
		return ctx.Err()
	}
	<-done
	return nil
}

// owned are the addresses that this node announces, sorted.
func (s *Speaker) owned() []netip.Addr {
	return sortedAddrs(s.scopes)
}

func sortedAddrs[V any](m map[netip.Addr]V) []netip.Addr {
	return slices.SortedFunc(maps.Keys(m), netip.Addr.Compare)
}
