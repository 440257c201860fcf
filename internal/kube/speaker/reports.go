package speaker

import (
	"context"
	"errors"
	"log/slog"
	"maps"
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
// and ServiceBGPStatus objects when the API server has time: best effort, rate limited, retried, and never in
// the way of an announcement.
type reports struct {
	log    *slog.Logger
	writer *statusWriter
	queue  workqueue.TypedRateLimitingInterface[reportKey]

	mu      sync.Mutex
	current map[lb.ServiceKey]report
	// peers are those that each Service is announced to by BGP.
	peers map[lb.ServiceKey][]string
}

// reportKey names one status object of this node.
type reportKey struct {
	service  lb.ServiceKey
	protocol lb.Protocol
}

// writeTimeout bounds one write of a status, in all its requests.
const writeTimeout = 10 * time.Second

func newReports(log *slog.Logger, w *statusWriter) *reports {
	return &reports{
		log:    log,
		writer: w,
		queue: workqueue.NewTypedRateLimitingQueue(
			workqueue.NewTypedItemExponentialFailureRateLimiter[reportKey](100*time.Millisecond, 30*time.Second)),
		current: map[lb.ServiceKey]report{},
		peers:   map[lb.ServiceKey][]string{},
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
		r.queue.Add(reportKey{k, lb.Layer2})
	}
	return before
}

// setPeers replaces the peers that a Service is announced to.
func (r *reports) setPeers(k lb.ServiceKey, peers []string) {
	r.mu.Lock()
	if len(peers) == 0 {
		delete(r.peers, k)
	} else {
		r.peers[k] = peers
	}
	r.mu.Unlock()
	r.queue.Add(reportKey{k, lb.BGP})
}

// recheck takes the objects that exist, and has those written that lack one and those removed
// that nothing is reported for.
func (r *reports) recheck(exist map[reportKey]bool) {
	r.writer.found(maps.Clone(exist))
	r.mu.Lock()
	want := map[reportKey]bool{}
	for k := range r.current {
		want[reportKey{k, lb.Layer2}] = true
	}
	for k := range r.peers {
		want[reportKey{k, lb.BGP}] = true
	}
	r.mu.Unlock()
	for k := range want {
		if !exist[k] {
			r.queue.Add(k)
		}
	}
	for k := range exist {
		if !want[k] {
			r.queue.Add(k)
		}
	}
}

// write brings one status object in line.
func (r *reports) write(ctx context.Context, k reportKey) error {
	r.mu.Lock()
	layer2, peers := r.current[k.service], r.peers[k.service]
	r.mu.Unlock()
	if k.protocol == lb.BGP {
		return r.writer.writeBGP(ctx, k.service, peers)
	}
	return r.writer.write(ctx, k.service, layer2)
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
	err := r.write(ctx, k)
	if err == nil {
		r.queue.Forget(k)
		return true
	}
	if !errors.Is(err, context.Canceled) {
		r.log.Warn("cannot write the status of a Service; announcing goes on", "service", k.service, "protocol", k.protocol, "error", err)
	}
	r.queue.AddRateLimited(k)
	return true
}
