package plan

import (
	"maps"
	"net/netip"
	"slices"
	"time"

	"github.com/lintel-lb/lintel/internal/ipam"
	"github.com/lintel-lb/lintel/internal/lb"
)

// simulation plays the controller: it gives the allocator what the controller would, in the
// same order.
type simulation struct {
	alloc      *ipam.Allocator
	services   map[lb.ServiceKey]*lb.Service
	namespaces map[string]ipam.Namespace
	decided    map[lb.ServiceKey]ipam.Outcome
	now        time.Time
}

// newSimulation is the controller after it has started and settled in a state.
func newSimulation(s State, cfg *lb.Config, now time.Time) *simulation {
	sim := &simulation{
		alloc: ipam.New(nil), services: maps.Clone(s.World.Services), namespaces: s.Namespaces,
		decided: map[lb.ServiceKey]ipam.Outcome{}, now: now,
	}
	sim.alloc.SetConfig(cfg)
	var claims []ipam.Claim
	for k, svc := range sim.services {
		claims = append(claims, ipam.Claim{Service: svc, Namespace: sim.namespaces[k.Namespace]})
	}
	sim.alloc.Adopt(claims)
	sim.retry(sim.syncAll(slices.Collect(maps.Keys(sim.services))))
	return sim
}

// advance brings another state to the controller: Services that are gone are released, then
// comes the configuration, then what changed of Services and namespaces.
func (sim *simulation) advance(s State, cfg *lb.Config) {
	var freed []netip.Addr
	for _, k := range slices.SortedFunc(maps.Keys(sim.services), lb.ServiceKey.Compare) {
		if s.World.Services[k] == nil {
			delete(sim.services, k)
			delete(sim.decided, k)
			freed = append(freed, sim.alloc.Release(k, sim.now, true)...)
		}
	}
	var changed []lb.ServiceKey
	for k, svc := range s.World.Services {
		relabelled := !maps.Equal(sim.namespaces[k.Namespace].Labels, s.Namespaces[k.Namespace].Labels)
		if old := sim.services[k]; relabelled || !old.Equal(svc) {
			changed = append(changed, k)
		}
		sim.services[k] = svc
	}
	sim.namespaces = s.Namespaces
	change := sim.alloc.SetConfig(cfg)
	for _, lost := range change.Lost {
		freed = append(freed, sim.sync(lost.Service)...)
	}
	for _, k := range slices.Concat(change.Moved, change.Retry) {
		freed = append(freed, sim.sync(k)...)
	}
	freed = append(freed, sim.syncAll(changed)...)
	sim.retry(freed)
}

func (sim *simulation) syncAll(keys []lb.ServiceKey) (freed []netip.Addr) {
	slices.SortFunc(keys, lb.ServiceKey.Compare)
	for _, k := range keys {
		freed = append(freed, sim.sync(k)...)
	}
	return freed
}

func (sim *simulation) sync(k lb.ServiceKey) []netip.Addr {
	svc := sim.services[k]
	if svc == nil {
		return nil
	}
	out := sim.alloc.Sync(svc, sim.namespaces[k.Namespace], sim.now)
	sim.decided[k] = out
	return out.Freed
}

// retry decides again about Services that wait for addresses which are free now.
func (sim *simulation) retry(freed []netip.Addr) {
	for len(freed) > 0 {
		next := freed
		freed = nil
		for k := range sim.alloc.Waiting(next) {
			freed = append(freed, sim.sync(k)...)
		}
	}
}

// outcomes is what every Service has, and why.
func (sim *simulation) outcomes() map[lb.ServiceKey]ipam.Outcome { return maps.Clone(sim.decided) }
