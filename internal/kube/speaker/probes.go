package speaker

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/lintel-lb/lintel/internal/l2"
	"github.com/lintel-lb/lintel/internal/lb"
	"github.com/lintel-lb/lintel/internal/links"
)

const (
	// probesAtOnce bounds the probes under way; each takes about 0.3 s.
	probesAtOnce = 256
	// conflictRetry is when an address that another station has is asked for again.
	conflictRetry = 30 * time.Second
)

// probes asks, for each address that a Service was newly given, whether another station has
// it. The loop starts and ends inquiries; their results come back through the inbox.
type probes struct {
	engine Engine
	slots  chan struct{}
	post   func(netip.Addr, probeResult)
	wg     sync.WaitGroup
	// running holds what ends each inquiry. The loop owns it.
	running map[netip.Addr]context.CancelFunc
}

// probeResult is the outcome of one inquiry.
type probeResult struct {
	// conflict is the station that has the address; nil where none has.
	conflict *l2.Conflict
	// again is set instead when it is time to ask once more.
	again bool
}

func newProbes(e Engine, post func(netip.Addr, probeResult)) *probes {
	return &probes{engine: e, slots: make(chan struct{}, probesAtOnce), post: post, running: map[netip.Addr]context.CancelFunc{}}
}

// start begins an inquiry; stations that ignore knows do not count. It ends with ctx.
func (p *probes) start(ctx context.Context, r l2.ProbeRequest) {
	p.stop(r.Addr)
	ctx, cancel := context.WithCancel(ctx)
	p.running[r.Addr] = cancel
	p.wg.Go(func() {
		defer cancel()
		select {
		case p.slots <- struct{}{}:
			defer func() { <-p.slots }()
		case <-ctx.Done():
			return
		}
		result, err := p.engine.Probe(ctx, r)
		if ctx.Err() != nil {
			return
		}
		// An address that could not be asked for is announced: not knowing is no conflict.
		out := probeResult{}
		if c := result.Conflict; c != nil && (err == nil || !errors.Is(err, l2.ErrNoLink)) {
			out.conflict = c
		}
		p.post(r.Addr, out)
	})
}

// later has an inquiry repeated after a while.
func (p *probes) later(ctx context.Context, a netip.Addr) {
	p.stop(a)
	ctx, cancel := context.WithCancel(ctx)
	p.running[a] = cancel
	p.wg.Go(func() {
		defer cancel()
		t := time.NewTimer(conflictRetry)
		defer t.Stop()
		select {
		case <-t.C:
			p.post(a, probeResult{again: true})
		case <-ctx.Done():
		}
	})
}

// stop ends the inquiry about an address, if there is one.
func (p *probes) stop(a netip.Addr) {
	if cancel, ok := p.running[a]; ok {
		cancel()
		delete(p.running, a)
	}
}

// probeNew begins the probe of a new address once a node is chosen to announce it, if that is
// this one. Often a Service has its address long before it has an endpoint.
func (s *Speaker) probeNew(ctx context.Context, a netip.Addr) {
	if _, elected := s.decider.Owner(a); !elected {
		return
	}
	delete(s.fresh, a)
	scope, own := s.decider.OwnerScope(a, s.config.Node)
	if !own {
		return
	}
	s.decider.SetProbe(a, &lb.Probe{})
	s.ask(ctx, a, l2.Scope{All: scope.All, Links: scope.Links})
}

func (s *Speaker) ask(ctx context.Context, a netip.Addr, scope l2.Scope) {
	cluster, absent := s.clusterMACs, s.absentMACs
	s.probes.start(ctx, l2.ProbeRequest{Addr: a, Scope: scope, Ignore: func(m links.MAC) bool { return cluster[m] && !absent[m] }})
}

// probed takes the outcome of a probe.
func (s *Speaker) probed(ctx context.Context, a netip.Addr, r probeResult) {
	held, waiting := s.decider.World().Probes[a]
	if !waiting {
		return
	}
	scope, own := s.decider.OwnerScope(a, s.config.Node)
	switch {
	case !own:
		// Another node took over; it announces without a probe, as after any move.
		s.decider.SetProbe(a, nil)
		s.probes.stop(a)
	case r.again:
		s.ask(ctx, a, l2.Scope{All: scope.All, Links: scope.Links})
	case r.conflict == nil, s.isMember(r.conflict.MAC):
		s.decider.SetProbe(a, nil)
		s.probes.stop(a)
	default:
		station := fmt.Sprintf("%s on %s", r.conflict.MAC, r.conflict.Link)
		if held.Conflict != station {
			s.Log.Warn("another station has an address; it is not announced", "address", a, "station", station)
			for _, k := range s.decider.Holders(a) {
				s.Events.Eventf(serviceRef(k, s.decider.World().Services[k]), corev1.EventTypeWarning, "addressConflict",
					"%s is not announced from node %q: %s answers for it; take it away from there, or keep it out of the pool", a, s.config.Node, station)
			}
		}
		s.decider.SetProbe(a, &lb.Probe{Conflict: station})
		s.probes.later(ctx, a)
		s.suspects[a] = r.conflict.MAC
	}
}

// isMember tells whether a station is a node of the cluster that agrees with this one about owners.
// One that is no member any more and answers for a new address has it by its own lights.
func (s *Speaker) isMember(mac links.MAC) bool { return s.clusterMACs[mac] && !s.absentMACs[mac] }

// acquit ends what was taken for a conflict where the station has turned out to be a node of
// the cluster: one that this node had not met when it asked, as happens when all of them start.
func (s *Speaker) acquit() {
	for a, mac := range s.suspects {
		held, waiting := s.decider.World().Probes[a]
		if waiting && held.Conflict != "" && !s.isMember(mac) {
			continue
		}
		delete(s.suspects, a)
		if waiting && held.Conflict != "" {
			s.Log.Info("the station that has an address is a node of the cluster", "address", a, "mac", mac)
			s.decider.SetProbe(a, nil)
			s.probes.stop(a)
		}
	}
}
