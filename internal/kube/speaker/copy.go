package speaker

import (
	"context"
	"errors"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/lintel-lb/lintel/internal/config"
	"github.com/lintel-lb/lintel/internal/kube/resources"
	"github.com/lintel-lb/lintel/internal/kube/watch"
	"github.com/lintel-lb/lintel/internal/kube/worldfile"
	"github.com/lintel-lb/lintel/internal/lb"
)

// The copy of the World on the node's disk. A speaker that starts and does not get the first
// lists from the API server goes on from it, and gives it up for the lists in one step, so
// that nothing is withdrawn that is still wanted.

// copyWait is how long a starting speaker waits for the API server before it takes the copy.
// Routers keep the routes of a speaker that restarts for ten times as long.
const copyWait = 3 * time.Second

// giveBackRetry is the pause before the copy is compared with the lists once more.
const giveBackRetry = time.Second

// firstLists waits until there is something to decide from: the first lists, or the copy where
// they do not come. Without a copy it waits for the lists. live is closed when the lists are
// complete; it is nil if they are complete already.
func (s *Speaker) firstLists(ctx context.Context, complete <-chan struct{}) (live <-chan struct{}, err error) {
	due := time.NewTimer(s.config.CopyWait)
	defer due.Stop()
	select {
	case <-complete:
		return nil, nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	case <-due.C:
	}
	copied, err := s.readCopy()
	if err == nil {
		s.borrow(copied)
		return complete, nil
	}
	s.Log.Warn("the first lists from the API server do not come, and there is no copy to go on from; waiting", "waited", s.config.CopyWait, "error", err)
	select {
	case <-complete:
		return nil, nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// readCopy reads what an earlier life of this speaker has left.
func (s *Speaker) readCopy() (*worldfile.Copy, error) {
	if s.config.Keep == nil {
		return nil, errNoCopy
	}
	return s.config.Keep.Read()
}

// errNoCopy is that none is kept.
var errNoCopy = errors.New("speaker: no copy is kept")

// borrow starts from a copy. What watches have seen already is newer and wins.
func (s *Speaker) borrow(c *worldfile.Copy) {
	s.Log.Warn("working from the copy on the disk, since the API server cannot be reached", "saved", c.Saved)
	s.borrowed = c
	s.metrics.copyInUse.Set(1)
	s.borrowing <- c
	s.inbox.Post(func(b *batch) {
		for _, svc := range c.World.Services {
			if _, known := b.services[svc.Key]; !known {
				b.services[svc.Key] = svc
			}
		}
		for _, sl := range c.World.Slices {
			k := sliceKey{sl.Service.Namespace, sl.Name}
			if _, known := b.slices[k]; !known {
				b.slices[k] = sliceState{sl.Service, &sl.Sum}
			}
		}
		for _, n := range c.World.Nodes {
			if _, known := b.nodes[n.Name]; !known {
				b.nodes[n.Name] = n
			}
		}
		if !b.mixedChanged {
			b.mixed, b.mixedChanged = c.World.Mixed, true
		}
	})
}

// Borrowing receives the copy once, when the speaker starts from it.
func (s *Speaker) Borrowing() <-chan *worldfile.Copy { return s.borrowing }

// resources reads what configuration is made of: from the copy while that is in use.
func (s *Speaker) resources(ctx context.Context) (config.Resources, error) {
	with := resources.Context{Nodes: s.decider.World().Nodes, Assigned: s.assigned()}
	if s.borrowed == nil {
		return resources.Read(ctx, s.Cache, s.config.Namespace, with)
	}
	in := s.borrowed.World.Resources(s.config.Namespace)
	in.Nodes, in.Assigned = with.Nodes, with.Assigned
	return in, nil
}

// giveBack replaces what is left of the copy by what the API server says. Everything changes in
// one step. Where that cannot be done, again receives when to try once more; the copy stays in
// use until then.
func (s *Speaker) giveBack(ctx context.Context) (again <-chan time.Time) {
	s.apply(ctx, s.inbox.Take())
	b, err := s.surplus(ctx)
	if err != nil {
		if text := err.Error(); text != s.notGivenBack {
			s.notGivenBack = text
			s.Log.Error("cannot compare the copy with the lists of the API server; it stays in use, and is compared again", "error", err)
		}
		return time.After(giveBackRetry)
	}
	s.Log.Info("the API server is back: first lists are complete, and the copy is not used any more")
	s.borrowed, s.notGivenBack = nil, ""
	s.metrics.copyInUse.Set(0)
	b.config = true
	s.apply(ctx, b)
	s.inbox.Post(func(*batch) {}) // what follows from every batch follows from this
	return nil
}

// surplus is a batch that removes what the lists of the API server do not have.
func (s *Speaker) surplus(ctx context.Context) (*batch, error) {
	var nodes corev1.NodeList
	if err := s.Cache.List(ctx, &nodes); err != nil {
		return nil, fmt.Errorf("speaker: %w", err)
	}
	has, hasSlice := map[lb.ServiceKey]bool{}, map[sliceKey]bool{}
	s.liveServices.Each(func(v keyed) { has[v.key] = v.service != nil })
	s.liveSlices.Each(func(v sliceSum) { hasSlice[v.key()] = true })
	hasNode := map[string]bool{}
	for i := range nodes.Items {
		hasNode[nodes.Items[i].Name] = true
	}
	b := newBatch()
	b.mixed, b.mixedChanged = s.liveMixed.Load(), true
	world := s.decider.World()
	for k := range world.Services {
		if !has[k] {
			b.services[k] = nil
		}
	}
	for slice := range s.slices.owner {
		if !hasSlice[slice] {
			b.slices[slice] = sliceState{}
		}
	}
	for name := range world.Nodes {
		if !hasNode[name] {
			b.nodes[name] = nil
		}
	}
	return b, nil
}

const (
	// keepDelay is how long changes are gathered before the copy is written, and keepPause the
	// least time between two writes.
	keepDelay = 2 * time.Second
	keepPause = 10 * time.Second
	// keepRetry is the pause after a write that failed.
	keepRetry = time.Minute
	// keepTimeout bounds reading what is written last.
	keepTimeout = 2 * time.Second
)

// KeepCopy keeps the copy on the disk up to date until ctx is done, and writes it once more
// then. Without a file it does nothing.
func (s *Speaker) KeepCopy(ctx context.Context) error {
	if s.config.Keep == nil {
		return nil
	}
	select {
	case <-s.started:
	case <-ctx.Done():
		return nil
	}
	if err := s.config.Keep.Sweep(); err != nil {
		s.Log.Warn("cannot remove what is left of an interrupted write", "error", err)
	}
	failed := ""
	pause := func(d time.Duration) {
		t := time.NewTimer(d)
		defer t.Stop()
		select {
		case <-t.C:
		case <-ctx.Done():
		}
	}
	keep := func(ctx context.Context) time.Duration {
		err := s.keep(ctx)
		if err == nil {
			failed = ""
			return keepPause - keepDelay
		}
		if err.Error() != failed {
			failed = err.Error()
			s.Log.Warn("cannot keep a copy for the time without API server; announcing goes on", "error", err)
		}
		return keepRetry
	}
	for {
		select {
		case <-s.toKeep:
		case <-ctx.Done():
			<-s.ended
			ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), keepTimeout)
			defer cancel()
			keep(ctx)
			return nil
		}
		pause(keepDelay)
		if ctx.Err() == nil {
			pause(keep(ctx))
		}
	}
}

// touched has the copy written in a while.
func (s *Speaker) touched() {
	select {
	case s.toKeep <- struct{}{}:
	default:
	}
}

// keep writes the copy. While the World is itself from the copy there is nothing to write.
func (s *Speaker) keep(ctx context.Context) error {
	var w worldfile.World
	own := false
	look := func(s *Speaker) { own, w = s.borrowed == nil, s.forCopy() }
	if err := s.Ask(ctx, look); errors.Is(err, errEnded) {
		look(s) // nobody else touches it any more
	} else if err != nil {
		return err
	}
	if !own {
		return nil
	}
	in, err := resources.Read(ctx, s.Cache, s.config.Namespace, resources.Context{})
	if err != nil {
		return err
	}
	w.SetResources(in, s.config.MembersSecret)
	w.Mixed = s.liveMixed.Load()
	if s.Speakers != nil {
		w.Speakers = s.Speakers()
	}
	now := time.Now()
	if _, err := s.config.Keep.Write(w, now); err != nil {
		return err
	}
	s.metrics.copySaved.Set(float64(now.Unix()))
	return nil
}

// forCopy is what is kept of the World, without what is read from the cache. It runs in the loop.
func (s *Speaker) forCopy() (w worldfile.World) {
	world := s.decider.World()
	for _, svc := range world.Services {
		w.Services = append(w.Services, svc)
	}
	for _, n := range world.Nodes {
		w.Nodes = append(w.Nodes, n)
	}
	for k, byName := range s.slices.sums {
		for name, sum := range byName {
			w.Slices = append(w.Slices, worldfile.Slice{Service: k, Name: name, Sum: sum})
		}
	}
	return w
}

// completed is closed once all have synced. done waits for the goroutine that watches.
func completed(ctx context.Context, all []watch.Synced) (complete <-chan struct{}, done <-chan struct{}) {
	c, d := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(d)
		if watch.WaitFor(ctx, all...) == nil {
			close(c)
		}
	}()
	return c, d
}
