package main

import (
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/lintel-lb/lintel/internal/bfd"
	"github.com/lintel-lb/lintel/internal/bgp"
	"github.com/lintel-lb/lintel/internal/l2"
	"github.com/lintel-lb/lintel/internal/members"
)

const (
	// leaveTimeout bounds telling the other speakers that this one goes.
	leaveTimeout = time.Second
	// handoverTimeout bounds waiting for the other speakers to take the addresses over.
	handoverTimeout = 2 * time.Second
)

// handover ends a speaker without a gap.
type handover struct {
	log     *slog.Logger
	members members.Membership
	layer2  *l2.Engine
	bgp     *bgp.Engine
	bfd     *bfd.Engine
	// reason tells why this speaker was told to end.
	reason func(context.Context) (conclusion, error)
}

// run runs what decides, the engines, and the servers that the deciding needs or that show it.
// When ctx is done, or any part fails, the deciding ends, and the speaker leaves the membership,
// so that others take its addresses over; it goes on answering until they have, or until a
// bound. Then the engines end. It returns the errors of all parts.
func (h handover) run(ctx context.Context, decide func(context.Context) error, engines, servers []func(context.Context) error) error {
	answering, stopAnswering := context.WithCancel(context.WithoutCancel(ctx))
	defer stopAnswering()
	engineGroup, answering := errgroup.WithContext(answering)
	for _, run := range engines {
		engineGroup.Go(func() error { return run(answering) })
	}
	serverGroup, deciding := errgroup.WithContext(ctx)
	deciding, stopDeciding := context.WithCancel(deciding)
	defer stopDeciding()
	defer context.AfterFunc(answering, stopDeciding)()
	for _, run := range servers {
		serverGroup.Go(func() error { return run(deciding) })
	}

	err := decide(deciding)
	stopDeciding()
	if answering.Err() == nil {
		h.handOver(answering, ctx.Err() != nil)
	}
	stopAnswering()
	err = errors.Join(err, serverGroup.Wait())
	if engineErr := engineGroup.Wait(); !errors.Is(engineErr, context.Canceled) {
		err = errors.Join(err, engineErr)
	}
	return err
}

// handOver leaves the membership and goes on answering for each address until it was seen
// announced by another station. A speaker without others waits for nothing. Routers are left meanwhile;
// asked is false for a speaker that ends because something has failed, and comes back.
func (h handover) handOver(ctx context.Context, asked bool) {
	others := len(h.members.Snapshot().Alive) > 1
	start := time.Now()
	ctx, cancel := context.WithTimeout(ctx, leaveTimeout+handoverTimeout)
	defer cancel()
	var told sync.WaitGroup
	defer told.Wait()
	told.Go(func() { h.leaveRouters(ctx, asked) })
	leaving, stop := context.WithTimeout(ctx, leaveTimeout)
	defer stop()
	if err := h.members.Leave(leaving); err != nil {
		h.log.Warn("could not tell the other speakers that this one goes", "error", err)
	}
	if !others {
		return
	}
	for {
		rest, taken := notTakenOver(h.layer2.Snapshot(), start)
		if taken > 0 {
			h.layer2.Set(rest)
		}
		missing := len(rest.Addresses)
		if missing == 0 {
			h.log.Info("all addresses were taken over", "after", time.Since(start))
			return
		}
		select {
		case <-h.layer2.Changed():
		case <-ctx.Done():
			h.log.Info("stopped waiting for addresses to be taken over", "missing", missing)
			return
		}
	}
}

// leaveRouters closes BGP without a NOTIFICATION, so that peers with graceful restart keep the
// routes while this speaker restarts, or withdraws them where the node shuts down; then it tells
// BFD peers that the end is meant. In this order: FRR takes AdminDown for a failure of the path
// where the BGP session is still up, and drops the routes (RFC 5882 section 3.2 says not to).
func (h handover) leaveRouters(ctx context.Context, asked bool) {
	why := conclusion{because: "it has failed"}
	if asked {
		var err error
		if why, err = h.reason(ctx); err != nil {
			h.log.Warn("cannot tell a restart from a shutdown of the node", "error", err)
			why = conclusion{because: "it cannot be told whether the node shuts down"}
		}
	}
	if why.nodeGoes {
		h.log.Info("the node is taken to shut down: routes are withdrawn", "because", why.because)
	} else {
		h.log.Info("the speaker is taken to come back: routers with graceful restart keep the routes", "because", why.because)
	}
	end := why.ending()
	ctx, cancel := context.WithTimeout(ctx, leaveTimeout+end.Wait)
	defer cancel()
	if err := h.bgp.Shutdown(ctx, end); err != nil {
		h.log.Warn("could not close all BGP sessions in time", "error", err)
	}
	if err := h.bfd.Shutdown(ctx); err != nil {
		h.log.Warn("could not tell all BFD peers that this speaker goes", "error", err)
	}
}

// notTakenOver gives the addresses that nobody else has announced since start, on the links
// where they are answered, and counts the others. Claims are known to a second.
func notTakenOver(s l2.State, start time.Time) (rest l2.Desired, taken int) {
	rest.Addresses = map[netip.Addr]l2.Scope{}
	for a, st := range s.Addresses {
		if st.Conflict != nil && !st.Conflict.Last.Before(start.Truncate(time.Second)) {
			taken++
			continue
		}
		rest.Addresses[a] = l2.Scope{Links: st.Links}
	}
	return rest, taken
}
