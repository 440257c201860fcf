package ipam

import (
	"net/netip"
	"slices"
	"time"

	"github.com/lintel-lb/lintel/internal/lb"
)

// pass is one call of Sync.
type pass struct {
	search
	// held is what the Service holds; nil if nothing.
	held *holding
	// waits tells that the Service was put into the queue.
	waits bool
	out   Outcome
}

// Sync decides which addresses a Service of ours should have, and remembers them as its own.
//
// What the allocator holds for the Service counts more than the status, which may be stale;
// the status counts for a Service that holds nothing. Calling Sync again with what it
// answered changes nothing. A Service with another UID under the same key is a new one: the
// old one is released as deleted.
func (a *Allocator) Sync(svc *lb.Service, ns Namespace, now time.Time) Outcome {
	p := &pass{search: search{a: a, svc: svc, ns: ns}}
	if a.cfg == nil {
		return p.asIs(refuse(NoConfig, "", "no configuration was read yet"))
	}
	if svc.OtherController != "" {
		return p.asIs(refuse(ForeignStatus, "if that controller is gone, remove its finalizer; else create the Service with a spec.loadBalancerClass",
			"the status belongs to %s", svc.OtherController))
	}
	if len(a.pools) == 0 && !a.hadPools {
		p.held, p.present = a.services[svc.Key], svc.Addresses
		p.tell(noPool(), p.failed(noPool()))
		out := p.asIs(noPool())
		out.Events = p.out.Events
		return out
	}
	p.out.Freed = a.Expire(now)
	if h := a.services[svc.Key]; h != nil && h.svc.UID != svc.UID {
		p.out.Freed = append(p.out.Freed, a.Release(svc.Key, now, true)...)
	}
	p.held = a.services[svc.Key]
	p.present = unmap(svc.Addresses)
	if p.held != nil {
		p.present = p.held.addrs
	}
	p.run()
	return p.finish()
}

// asIs leaves everything as it is.
func (p *pass) asIs(r *refusal) Outcome {
	return Outcome{Addresses: p.svc.Addresses, Pool: p.svc.AssignedPool, Reason: r.reason, Message: r.message()}
}

// run goes through the conditions in MetalLB's order.
func (p *pass) run() {
	svc := p.svc
	switch {
	case len(p.a.pools) == 0:
		p.clear(noPool())
		p.tell(noPool(), p.failed(noPool()))
		return
	case len(svc.ClusterIPs) == 0:
		p.clear(refuse(WaitingForClusterIP, "a headless Service cannot have a load balancer address", "the Service has no cluster IP"))
		return
	case svc.FamilyPolicy == lb.RequireDualStack && len(svc.ClusterIPs) < 2:
		r := refuse(NotEnoughClusterIPs, "use PreferDualStack, or a cluster with two families",
			"Service requires dual stack but not enough clusterips %v", svc.ClusterIPs)
		p.tell(r, warning(EventClusterIPs, "%s", r.why))
		p.clear(r)
		return
	case !distinctFamilies(svc.ClusterIPs):
		r := refuse(ClusterIPsInvalid, "", "Failed to retrieve ClusterIPs IPFamily for %v %s: want one address, or one of each family",
			svc.ClusterIPs, svc.ClusterIPs[0])
		p.tell(r, warning(EventClusterIPFamily, "%s", r.why))
		p.out.Addresses, p.out.Pool = p.present, svc.AssignedPool
		p.explain(r)
		return
	}
	keep := p.mayKeep()
	if r := p.readRequest(); r != nil {
		p.tell(r, warning(EventRequestInvalid, "invalid requested loadbalancer IPs: %s", r.why))
		if keep {
			p.take(p.present)
		} else {
			p.clear(r)
		}
		p.explain(r)
		return
	}
	if keep && p.asRequested() {
		p.take(p.present)
		p.extend()
		return
	}
	p.allocate()
}

// allocate gives the Service new addresses in place of those it has.
func (p *pass) allocate() {
	c, r := p.decide()
	if r != nil {
		p.clear(r)
		// Told as it is without the addresses given up, which are counted in some texts.
		if _, now := p.decide(); now != nil {
			r = now
		}
		p.explain(r)
		p.tell(r, p.failed(r))
		return
	}
	addrs := c.addrs
	if len(p.svc.Request.Addresses) == 0 {
		addrs = arrange(addrs, p.present)
	}
	p.take(addrs)
	p.out.Events = append(p.out.Events, normal(EventAllocated, "Assigned IP %q", addrs))
	p.extend()
}

// extend adds an address of the other family where the Service prefers two and has one.
func (p *pass) extend() {
	f, more := wantsMore(p.svc, p.present)
	if !more {
		return
	}
	in := p.a.poolOf(p.present[0])
	if c, ok := p.choose(in, []lb.Family{lb.FamilyOf(p.present[0]), f}, p.present[0]); ok {
		p.take(c.addrs)
		p.out.Events = append(p.out.Events, normal(EventAllocated, "Assigned additional IP %q", c.addrs[1]))
		return
	}
	r := p.poolRefusal(in, []lb.Family{f})
	p.tell(r, additionalFailed(r))
	p.out.Reason, p.out.Message = AssignedOneFamily, r.message()
}

// additionalFailed is the event for a second address that could not be given.
func additionalFailed(r *refusal) Event {
	return normal(EventAdditionalFailed, "cannot assign additional IP in PreferDualStack: %s", r.why)
}

// take makes the addresses, all of one pool, those of the Service.
func (p *pass) take(addrs []netip.Addr) {
	if p.held == nil {
		p.held = &holding{svc: p.svc}
		p.a.services[p.svc.Key] = p.held
	}
	h, before := p.held, p.held.svc
	gone := without(h.addrs, addrs)
	for _, addr := range gone {
		p.a.drop(h, addr)
	}
	p.out.Freed = append(p.out.Freed, p.a.opened(gone)...)
	kept := without(h.addrs, gone)
	h.ns = p.ns
	if !sameSharing(before, p.svc) {
		for _, addr := range kept {
			p.a.drop(h, addr)
		}
		h.svc = p.svc
		for _, addr := range kept {
			p.a.hold(h, addr)
		}
		p.out.Freed = append(p.out.Freed, p.a.opened(p.a.shareable(kept))...)
	}
	h.svc = p.svc
	for _, addr := range without(addrs, kept) {
		p.a.hold(h, addr)
		// An address that is shared from now on is a chance for others with the key.
		if rec := p.a.addrs[addr]; rec.key() != "" && len(rec.holders) == 1 {
			p.out.Freed = append(p.out.Freed, addr)
		}
	}
	h.addrs = slices.Clone(addrs)
	p.present = h.addrs
	p.out.Freed = append(p.out.Freed, p.a.forgetAll(p.svc.Key)...)
	p.out.Addresses, p.out.Pool = h.addrs, p.a.poolOf(addrs[0]).Name
	p.out.Reason, p.out.Message = Assigned, ""
}

// clear takes every address from the Service.
func (p *pass) clear(r *refusal) {
	if p.held != nil {
		p.out.Freed = append(p.out.Freed, p.a.dropAll(p.held)...)
		p.held = nil
	}
	p.present = nil
	p.out.Addresses, p.out.Pool = nil, ""
	p.explain(r)
}

// explain records why the Service does not have what it should.
func (p *pass) explain(r *refusal) { p.out.Reason, p.out.Message = r.reason, r.message() }

// tell gives a lasting failure to the user, unless it was the last thing told, and makes the
// Service wait for what could end it.
func (p *pass) tell(r *refusal, e Event) {
	if w := p.a.queue.byKey[p.svc.Key]; w == nil || w.told != e {
		p.out.Events = append(p.out.Events, e)
	}
	p.a.queue.put(p.svc, p.ns, e, p.interest(r))
	p.waits = true
}

// failed is the event for an allocation that failed.
func (s *search) failed(r *refusal) Event {
	return warning(EventFailed, "Failed to allocate IP for %q: %s", s.svc.Key, r.why)
}

func noPool() *refusal { return refuse(NoPool, "create an IPAddressPool", "no IPAddressPool exists") }

// finish completes the outcome.
func (p *pass) finish() Outcome {
	if !p.waits {
		p.a.queue.remove(p.svc.Key)
	}
	before := unmap(p.svc.Addresses)
	p.out.Released = without(before, p.out.Addresses)
	p.out.Changed = !slices.Equal(before, p.out.Addresses) || p.out.Pool != p.svc.AssignedPool || len(p.svc.ForeignIngress) > 0
	return p.out
}
