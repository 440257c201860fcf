package speaker

import (
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"sync"
	"time"

	"k8s.io/client-go/util/workqueue"

	"github.com/lintel-lb/lintel/internal/lb"
)

// report is what this node does for one Service.
type report struct {
	addresses []netip.Addr
	// links limits the announcement; empty means all links.
	links    []string
	allLinks bool
}

// reports keeps what this node does for each Service, and writes it to ServiceL2Status
// objects when the API server has time: best effort, rate limited, retried, and never in
// the way of an announcement.
type reports struct {
	log    *slog.Logger
	writer *l2StatusWriter
	queue  workqueue.TypedRateLimitingInterface[lb.ServiceKey]

	mu      sync.Mutex
	current map[lb.ServiceKey]report
}

// writeTimeout bounds one write of a status, in all its requests.
const writeTimeout = 10 * time.Second

func newReports(log *slog.Logger, w *l2StatusWriter) *reports {
	return &reports{
		log:    log,
		writer: w,
		queue: workqueue.NewTypedRateLimitingQueue(
			workqueue.NewTypedItemExponentialFailureRateLimiter[lb.ServiceKey](100*time.Millisecond, 30*time.Second)),
		current: map[lb.ServiceKey]report{},
	}
}

// set replaces the report of a Service and gives the one before. A report without addresses
// means that this node does nothing for the Service.
func (r *reports) set(k lb.ServiceKey, now report) (before report) {
	r.mu.Lock()
	before = r.current[k]
	if len(now.addresses) == 0 {
		delete(r.current, k)
	} else {
		r.current[k] = now
	}
	r.mu.Unlock()
	if len(now.addresses) > 0 || len(before.addresses) > 0 {
		r.queue.Add(k)
	}
	return before
}

// touch has the status of a Service compared with its report again, after somebody else changed it.
func (r *reports) touch(k lb.ServiceKey) { r.queue.AddRateLimited(k) }

func (r *reports) get(k lb.ServiceKey) report {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.current[k]
}

// statusWriters is how many statuses are written at a time.
const statusWriters = 2

// run writes until ctx is done.
func (r *reports) run(ctx context.Context) {
	var wg sync.WaitGroup
	for range statusWriters {
		wg.Go(func() {
			for r.next(ctx) {
			}
		})
	}
	<-ctx.Done()
	r.queue.ShutDown()
	wg.Wait()
}

func (r *reports) next(ctx context.Context) bool {
	k, shutdown := r.queue.Get()
	if shutdown {
		return false
	}
	defer r.queue.Done(k)
	ctx, cancel := context.WithTimeout(ctx, writeTimeout)
	defer cancel()
	err := r.writer.write(ctx, k, r.get(k))
	if err == nil {
		r.queue.Forget(k)
		return true
	}
	if !errors.Is(err, context.Canceled) {
		r.log.Warn("cannot write the status of a Service; announcing goes on", "service", k, "error", err)
	}
	r.queue.AddRateLimited(k)
	return true
}
