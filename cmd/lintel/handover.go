package main

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/lintel-lb/lintel/internal/l2"
	"github.com/lintel-lb/lintel/internal/members"
)

const (
	// leaveTimeout bounds telling the other speakers that this one goes.
	leaveTimeout = time.Second
	// handoverTimeout bounds waiting for the other speakers to take the addresses over.
	handoverTimeout = 2 * time.Second
)

// runUntilHandedOver runs the deciding parts and the engines. When ctx is done the deciding
// parts end, and the speaker leaves the membership, so that others take its addresses over;
// it goes on answering until they have, or until a bound. Then the engines end. It returns
// the first error of any part.
func runUntilHandedOver(ctx context.Context, log *slog.Logger, m members.Membership, engine *l2.Engine,
	engines, deciders []func(context.Context) error) error {
	answering, stopAnswering := context.WithCancel(context.WithoutCancel(ctx))
	defer stopAnswering()
	g, answering := errgroup.WithContext(answering)
	for _, run := range engines {
		g.Go(func() error { return run(answering) })
	}
	deciding, stopDeciding := context.WithCancel(ctx)
	defer stopDeciding()
	defer context.AfterFunc(answering, stopDeciding)()

	err := runAll(deciding, deciders...)
	if answering.Err() == nil && ctx.Err() != nil {
		handOver(answering, log, m, engine)
	}
	stopAnswering()
	if engineErr := g.Wait(); !errors.Is(engineErr, context.Canceled) {
		err = errors.Join(err, engineErr)
	}
	return err
}

// handOver leaves the membership and waits until each address was seen announced by another
// station. A speaker without others waits for nothing.
func handOver(ctx context.Context, log *slog.Logger, m members.Membership, engine *l2.Engine) {
	others := len(m.Snapshot().Alive) > 1
	start := time.Now()
	ctx, cancel := context.WithTimeout(ctx, leaveTimeout+handoverTimeout)
	defer cancel()
	leaving, stop := context.WithTimeout(ctx, leaveTimeout)
	defer stop()
	if err := m.Leave(leaving); err != nil {
		log.Warn("could not tell the other speakers that this one goes", "error", err)
	}
	if !others {
		return
	}
	for {
		missing := missingHandOvers(engine.Snapshot(), start)
		if missing == 0 {
			log.Info("all addresses were taken over", "after", time.Since(start))
			return
		}
		select {
		case <-engine.Changed():
		case <-ctx.Done():
			log.Info("stopped waiting for addresses to be taken over", "missing", missing)
			return
		}
	}
}

// missingHandOvers counts the addresses that nobody else has announced since start. Claims are
// known to a second.
func missingHandOvers(s l2.State, start time.Time) int {
	missing := 0
	for _, st := range s.Addresses {
		if st.Conflict == nil || st.Conflict.Last.Before(start.Truncate(time.Second)) {
			missing++
		}
	}
	return missing
}
