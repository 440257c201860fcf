package controller

import (
	"context"
	"maps"
	"net/netip"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/lintel-lb/lintel/internal/config"
	"github.com/lintel-lb/lintel/internal/ipam"
	"github.com/lintel-lb/lintel/internal/kube/resources"
	"github.com/lintel-lb/lintel/internal/kube/translate"
	"github.com/lintel-lb/lintel/internal/lb"
)

type svcKey = lb.ServiceKey

// entry is a Service of ours as it was seen last.
type entry struct {
	object *corev1.Service
	svc    *lb.Service
}

// parsed is what came of the configuration when it was read last.
type parsed struct {
	config *lb.Config
}

// poolReportDelay is how long changes are gathered before the counters of pools follow.
const poolReportDelay = 100 * time.Millisecond

// restoreSettle is how long the first pools wait for others where Services have addresses of
// pools that do not exist: a restore makes one object after the other.
const restoreSettle = 5 * time.Second

// restoreLimit is how long they wait at most where other objects change all the time.
const restoreLimit = 30 * time.Second

// loop is the goroutine that owns the allocator.
func (c *Controller) loop(ctx context.Context) {
	c.inbox.Post(func(b *batch) { b.config = true })
	var report <-chan time.Time
	for {
		expiry, stop := c.expiry()
		select {
		case <-ctx.Done():
			stop()
			return
		case <-c.inbox.Ready():
			c.apply(ctx, c.inbox.Take())
		case <-expiry:
			c.retry(c.alloc.Expire(time.Now()))
		case <-c.settled:
			c.settled, c.settleBy = nil, time.Time{}
			c.restoring = len(c.parsed.config.Pools) == 0
			c.retry(c.reconfigure())
		case <-report:
			report = nil
			c.reportPools()
			stop()
			continue
		}
		stop()
		if report == nil {
			report = time.After(poolReportDelay)
		}
	}
}

// expiry gives a channel that receives when the next retention ends; nil where there is none.
func (c *Controller) expiry() (<-chan time.Time, func()) {
	at, ok := c.alloc.NextExpiry()
	if !ok {
		return nil, func() {}
	}
	t := time.NewTimer(time.Until(at))
	return t.C, func() { t.Stop() }
}

// apply brings a batch of changes into the allocator. The first batch holds everything that
// exists: its assignments are loaded before any Service is decided about.
func (c *Controller) apply(ctx context.Context, b *batch) {
	relabelled := map[string]bool{}
	for name, labels := range b.namespaces {
		if old, known := c.namespaces[name]; !known || !maps.Equal(old, labels) {
			relabelled[name] = true
		}
		if labels == nil {
			delete(c.namespaces, name)
		} else {
			c.namespaces[name] = labels
		}
	}
	if c.applyNodes(b.nodes) {
		b.config = true
	}
	if b.status {
		c.objects.again()
	}
	var freed []netip.Addr
	var changed []svcKey
	for k, object := range b.services {
		freed = append(freed, c.see(k, object)...)
		if c.services[k] != nil {
			changed = append(changed, k)
		}
	}
	if len(relabelled) > 0 {
		for k := range c.services {
			if _, already := b.services[k]; relabelled[k.Namespace] && !already {
				changed = append(changed, k)
			}
		}
	}
	if !c.adopted {
		if c.readConfig(ctx); c.parsed.config == nil {
			c.inbox.Post(func(n *batch) { n.config = true })
			return
		}
		c.adopt()
		changed = slices.Collect(maps.Keys(c.services))
	} else if b.config && c.readConfig(ctx) {
		if c.restoring {
			if c.settleBy.IsZero() {
				c.settleBy = time.Now().Add(restoreLimit)
			}
			c.settled = time.After(min(restoreSettle, time.Until(c.settleBy)))
		} else {
			freed = append(freed, c.reconfigure()...)
		}
	}
	slices.SortFunc(changed, svcKey.Compare)
	for _, k := range changed {
		freed = append(freed, c.sync(k)...)
	}
	c.retry(freed)
}

// applyNodes takes note of nodes, and tells whether labels changed that selectors may look at.
func (c *Controller) applyNodes(nodes map[string]*lb.Node) (changed bool) {
	for name, n := range nodes {
		old := c.nodes[name]
		changed = changed || (old == nil) != (n == nil) || n != nil && !maps.Equal(old.Labels, n.Labels)
		if n == nil {
			delete(c.nodes, name)
		} else {
			c.nodes[name] = n
		}
	}
	return changed
}

// see takes note of a Service. One that is gone, or not ours any more, is released.
func (c *Controller) see(k svcKey, object *corev1.Service) (freed []netip.Addr) {
	handled := false
	var why lb.Reason
	if object != nil {
		handled, why = c.config.Classes.Handles(object)
	}
	if handled {
		c.services[k] = &entry{object: object, svc: translate.Service(object)}
		return nil
	}
	old := c.services[k]
	delete(c.services, k)
	delete(c.foreign, k)
	c.writer.drop(k)
	if object != nil && why == lb.NotLoadBalancer && (old != nil || assignedByUs(object)) {
		// The type was changed: the API server cleared the status, the annotation is ours to clear.
		c.writer.set(k, assignment{base: object})
	}
	if old == nil {
		return nil
	}
	return c.alloc.Release(k, time.Now(), object == nil)
}

func assignedByUs(svc *corev1.Service) bool {
	_, ok := svc.Annotations[ipam.AnnotationAllocatedFrom]
	return ok
}

// readConfig parses the configuration again, and tells whether it is another one. What cannot
// be read leaves the last one in force.
func (c *Controller) readConfig(ctx context.Context) bool {
	in, err := resources.Read(ctx, c.Cache, c.config.Namespace, resources.Context{Nodes: c.nodes, Assigned: c.assigned()})
	if err != nil {
		c.Log.Error("cannot read the configuration; the last one stays in force", "error", err)
		return false
	}
	result := config.Parse(in)
	c.Metrics.configLoaded(result.Verdicts)
	c.objects.verdicts(result.Verdicts)
	same := c.parsed.config.SameAs(result.Config)
	c.parsed = parsed{config: result.Config}
	return !same
}

// assigned are the addresses in use, with the pool they came from.
func (c *Controller) assigned() map[netip.Addr]string {
	out := map[netip.Addr]string{}
	for _, e := range c.services {
		for _, a := range e.svc.Addresses {
			out[a] = e.svc.AssignedPool
		}
	}
	return out
}

// adopt loads what Services have, before the first decision.
func (c *Controller) adopt() {
	c.alloc.SetConfig(c.parsed.config)
	claims := make([]ipam.Claim, 0, len(c.services))
	for _, e := range c.services {
		claims = append(claims, ipam.Claim{Service: e.svc, Namespace: c.namespace(e.svc.Key)})
		c.restoring = c.restoring || len(c.parsed.config.Pools) == 0 && len(e.svc.Addresses) > 0 && e.svc.OtherController == ""
	}
	for _, conflict := range c.alloc.Adopt(claims) {
		c.Log.Warn("two Services show the same address; one keeps it", "service", conflict.Service, "address", conflict.Address, "message", conflict.Message)
	}
	c.adopted = true
	c.Log.Info("assignments are loaded", "services", len(c.services))
}

// reconfigure takes a new configuration. Services that may not keep what they have are told
// before they get something else.
func (c *Controller) reconfigure() (freed []netip.Addr) {
	change := c.alloc.SetConfig(c.parsed.config)
	for _, lost := range change.Lost {
		c.Log.Warn("a Service may not keep its address", "service", lost.Service, "addresses", lost.Addresses, "reason", lost.Reason, "message", lost.Message)
		freed = append(freed, c.sync(lost.Service)...)
	}
	for _, k := range change.Moved {
		freed = append(freed, c.sync(k)...)
	}
	for _, k := range change.Retry {
		freed = append(freed, c.sync(k)...)
	}
	return freed
}

func (c *Controller) namespace(k svcKey) ipam.Namespace {
	return ipam.Namespace{Labels: c.namespaces[k.Namespace]}
}

// sync decides about one Service and hands the result to the writer. It waits for the namespace,
// which comes and goes by another watch than the Service: its labels may pin the Service to a pool.
func (c *Controller) sync(k svcKey) (freed []netip.Addr) {
	e := c.services[k]
	if _, known := c.namespaces[k.Namespace]; e == nil || !known {
		return nil
	}
	out := c.alloc.Sync(e.svc, c.namespace(k), time.Now())
	c.tellForeign(e)
	if out.Changed {
		events := append(out.Events, ipam.Deprecations(e.object.Annotations)...)
		c.writer.set(k, assignment{base: e.object, addresses: out.Addresses, pool: out.Pool, events: events})
	} else {
		c.writer.drop(k)
		for _, ev := range out.Events {
			c.Events.Event(e.object, string(ev.Type), ev.Reason, ev.Message)
		}
	}
	if len(out.Events) > 0 {
		c.Log.Info("decided", "service", k, "addresses", out.Addresses, "pool", out.Pool, "reason", out.Reason, "message", out.Message)
	}
	return out.Freed
}

// tellForeign says once, on a Service that another controller cares for, that it is left alone.
func (c *Controller) tellForeign(e *entry) {
	if e.svc.OtherController == "" || c.foreign[e.svc.Key] == e.svc.UID {
		return
	}
	c.foreign[e.svc.Key] = e.svc.UID
	c.Events.Eventf(e.object, corev1.EventTypeWarning, "foreignController",
		"the Service belongs to %s and gets no address here; if that controller is gone, remove its finalizer, else create the Service with a spec.loadBalancerClass", e.svc.OtherController)
}

// retry decides again about Services that wait for addresses which are free now.
func (c *Controller) retry(freed []netip.Addr) {
	for len(freed) > 0 {
		next := freed
		freed = nil
		for k := range c.alloc.Waiting(next) {
			freed = append(freed, c.sync(k)...)
		}
	}
}

// reportPools brings the counters of the pools to their status and the metrics.
func (c *Controller) reportPools() {
	if c.parsed.config == nil {
		return
	}
	counts := map[string]ipam.Counts{}
	retained := c.alloc.RetainedByPool()
	for _, p := range c.parsed.config.Pools {
		if n, ok := c.alloc.Counts(p.Name); ok {
			counts[p.Name] = n
			c.objects.counters(p.Name, n, retained[p.Name])
		}
	}
	c.Metrics.pools(counts)
}
