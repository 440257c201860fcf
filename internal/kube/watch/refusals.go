package watch

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	toolscache "k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// refusalAge is how long a refusal counts. Lists that are refused are asked for again within a
// minute, so that a right that was given shows soon after.
const refusalAge = 90 * time.Second

// refusalDoubt is for how long a list must have been refused, again and again, for that to count. An
// API server that has just started refuses what it allows as soon as it has read its roles. A list is
// asked for the third time after at least 2.4 seconds, and at most twice that.
const refusalDoubt = 2 * time.Second

// Refusals know which kinds the API server did not let this process list or watch lately.
type Refusals struct {
	log *slog.Logger

	mu     sync.Mutex
	byKind map[string]refusal
}

// refusal is the last of those of a kind, and since when there are any.
type refusal struct {
	err       error
	since, at time.Time
}

// NewRefusals makes Refusals that log each once.
func NewRefusals(log *slog.Logger) *Refusals {
	return &Refusals{log: log, byKind: map[string]refusal{}}
}

// Handle is a cache's handler of errors of its watches.
func (r *Refusals) Handle(ctx context.Context, reflector *toolscache.Reflector, err error) {
	if !r.note(reflector.TypeDescription(), err) {
		toolscache.DefaultWatchErrorHandler(ctx, reflector, err)
	}
}

// note tells whether an error is a refusal.
func (r *Refusals) note(kind string, err error) bool {
	if !apierrors.IsForbidden(err) {
		return false
	}
	r.mu.Lock()
	old, known := r.byKind[kind]
	now := time.Now()
	since := now
	if known && now.Sub(old.at) < refusalAge {
		since = old.since
	}
	r.byKind[kind] = refusal{err, since, now}
	r.mu.Unlock()
	if !known || old.err.Error() != err.Error() {
		r.log.Warn("the API server refuses a list; grant the right to this ServiceAccount, and it is used without a restart", "kind", kind, "error", err)
	}
	return true
}

// refusalShown is how long a refusal is told that may have been that of a moment.
const refusalShown = 10 * time.Second

// counts tells whether a refusal is recent, and no mere moment of an API server that starts.
func (f refusal) counts() bool {
	return time.Since(f.at) < refusalAge && f.at.Sub(f.since) >= refusalDoubt
}

// Of tells why objects of the kind cannot be listed; nil if that was not refused lately, or only
// for a moment.
func (r *Refusals) Of(kind client.Object) error {
	if r == nil {
		return nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if f, ok := r.byKind[fmt.Sprintf("%T", kind)]; ok && f.counts() {
		return f.err
	}
	return nil
}

// All are the refusals of all kinds, sorted, and those of the last seconds among them.
func (r *Refusals) All() []error {
	if r == nil {
		return nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	var all []error
	for _, f := range r.byKind {
		if f.counts() || time.Since(f.at) < refusalShown {
			all = append(all, f.err)
		}
	}
	slices.SortFunc(all, func(a, b error) int { return strings.Compare(a.Error(), b.Error()) })
	return all
}

// Unless takes a list that is refused as complete. It is for what can be done without.
func (s Synced) Unless(refused func() error) Synced {
	return func() bool { return s() || refused() != nil }
}
