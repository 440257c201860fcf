package announce

import (
	"maps"
	"net/netip"
	"slices"

	"github.com/lintel-lb/lintel/internal/lb"
)

// Decider keeps the decisions of a World up to date while the World changes. What it holds
// after Flush equals what a new Decider would find in the same World; it only gets there with
// less work. It is not safe for concurrent use: one goroutine owns it.
type Decider struct {
	w *lb.World
	// holders are the Services of each address, sorted.
	holders map[netip.Addr][]lb.ServiceKey
	decided map[netip.Addr]*decision

	// What changed since the last Flush.
	all     bool
	dirty   map[netip.Addr]bool
	touched map[string]bool
}

// decision is the result for one address.
type decision struct {
	g *group
	// owner is the elected candidate; nil where there is none.
	owner *candidate
	// shared is set where Services that share the address have no node in common.
	shared bool
	// each is, in mixed membership, the elected candidate of each member of the group, or nil;
	// owner is the first of them.
	each []*candidate
}

// Decide makes all decisions of a World. The World must not change afterwards, except through
// the Decider.
func Decide(w *lb.World) *Decider {
	d := &Decider{
		w:       w,
		holders: map[netip.Addr][]lb.ServiceKey{},
		decided: map[netip.Addr]*decision{},
		dirty:   map[netip.Addr]bool{},
		touched: map[string]bool{},
	}
	for k, s := range w.Services {
		d.hold(k, s)
	}
	d.all = true
	d.Flush()
	return d
}

// World gives the World that the decisions are about. It belongs to the Decider.
func (d *Decider) World() *lb.World { return d.w }

// SetConfig replaces the configuration.
func (d *Decider) SetConfig(c *lb.Config) {
	d.w.Config = c
	d.all = true
}

// SetSettings replaces the settings.
func (d *Decider) SetSettings(s lb.Settings) {
	if d.w.Settings != s {
		d.w.Settings = s
		d.all = true
	}
}

// SetService adds or replaces a Service; nil removes it. Endpoints are told apart from it.
func (d *Decider) SetService(k lb.ServiceKey, s *lb.Service) {
	old := d.w.Services[k]
	if old.Equal(s) {
		return
	}
	if old != nil {
		d.release(k, old)
	}
	if s == nil {
		delete(d.w.Services, k)
		return
	}
	d.w.Services[k] = s
	d.hold(k, s)
}

func (d *Decider) hold(k lb.ServiceKey, s *lb.Service) {
	for _, a := range s.Addresses {
		i, found := slices.BinarySearchFunc(d.holders[a], k, lb.ServiceKey.Compare)
		if !found {
			d.holders[a] = slices.Insert(d.holders[a], i, k)
		}
		d.dirty[a] = true
	}
}

func (d *Decider) release(k lb.ServiceKey, s *lb.Service) {
	for _, a := range s.Addresses {
		if i, found := slices.BinarySearchFunc(d.holders[a], k, lb.ServiceKey.Compare); found {
			d.holders[a] = slices.Delete(d.holders[a], i, i+1)
		}
		if len(d.holders[a]) == 0 {
			delete(d.holders, a)
		}
		d.dirty[a] = true
	}
}

// SetEndpoints replaces the sum of the endpoints of a Service.
func (d *Decider) SetEndpoints(k lb.ServiceKey, e lb.Endpoints) {
	old := d.w.Endpoints[k]
	if old.Equal(e) {
		return
	}
	if e.Total == 0 {
		delete(d.w.Endpoints, k)
	} else {
		d.w.Endpoints[k] = e
	}
	s := d.w.Services[k]
	if s == nil || s.TrafficPolicy == lb.Cluster && (old.Usable > 0) == (e.Usable > 0) {
		return
	}
	for _, a := range s.Addresses {
		d.dirty[a] = true
	}
}

// SetNode adds or replaces a Node; nil removes it.
func (d *Decider) SetNode(name string, n *lb.Node) {
	if d.w.Nodes[name].Equal(n) {
		return
	}
	if n == nil {
		delete(d.w.Nodes, name)
	} else {
		d.w.Nodes[name] = n
	}
	d.touched[name] = true
}

// SetMembers replaces the membership.
func (d *Decider) SetMembers(m lb.Members) {
	old := d.w.Members
	d.w.Members = m
	if old.Enabled != m.Enabled || old.Joining != m.Joining {
		d.all = true
		return
	}
	for n := range old.Alive {
		if !m.Alive[n] {
			d.touched[n] = true
		}
	}
	for n := range m.Alive {
		if !old.Alive[n] {
			d.touched[n] = true
		}
	}
}

// SetLinks replaces what is known of a node's links; known false forgets them.
func (d *Decider) SetLinks(node string, links []lb.Link, known bool) {
	old, was := d.w.Links[node]
	if was == known && slices.EqualFunc(old, links, lb.Link.Equal) {
		return
	}
	if known {
		d.w.Links[node] = links
	} else {
		delete(d.w.Links, node)
	}
	d.touched[node] = true
}

// SetGateways replaces the next hops of a node's default routes.
func (d *Decider) SetGateways(node string, gs []lb.Gateway) {
	if slices.Equal(d.w.Gateways[node], gs) {
		return
	}
	d.w.Gateways[node] = gs
	d.touched[node] = true
}

// SetGated says whether a node's own check keeps it from announcing.
func (d *Decider) SetGated(node string, gated bool) {
	if d.w.Gated[node] == gated {
		return
	}
	if gated {
		d.w.Gated[node] = true
	} else {
		delete(d.w.Gated, node)
	}
	d.touched[node] = true
}

// SetDrained says whether a node that is drained has asked its peers for long enough to
// prefer others, and withdraws its routes now.
func (d *Decider) SetDrained(node string, drained bool) {
	if d.w.Drained[node] == drained {
		return
	}
	if drained {
		d.w.Drained[node] = true
	} else {
		delete(d.w.Drained, node)
	}
	d.touched[node] = true
}

// SetProbe says what is known of the probe of a new address; nil means that it is free to be
// announced.
func (d *Decider) SetProbe(a netip.Addr, p *lb.Probe) {
	old, held := d.w.Probes[a]
	if held == (p != nil) && (p == nil || old == *p) {
		return
	}
	if p == nil {
		delete(d.w.Probes, a)
	} else {
		d.w.Probes[a] = *p
	}
	d.dirty[a] = true
}

// Touched tells whether the node changed since the last Flush in a way that may bear on what
// it announces by BGP, or whether everything did.
func (d *Decider) Touched(node string) bool { return d.all || d.touched[node] }

// Flush makes the decisions that the changes call for and gives the addresses whose decision
// was made again. An address that nobody holds any more is among them.
func (d *Decider) Flush() []netip.Addr {
	if d.all {
		for a := range d.holders {
			d.dirty[a] = true
		}
		for a := range d.decided {
			d.dirty[a] = true
		}
	}
	changed := make(map[netip.Addr]bool, len(d.dirty))
	if !d.all && len(d.touched) > 0 {
		for a, dec := range d.decided {
			if !d.dirty[a] && d.retouch(dec) {
				changed[a] = true
			}
		}
	}
	for a := range d.dirty {
		d.decide(a)
		changed[a] = true
	}
	d.all = false
	clear(d.dirty)
	clear(d.touched)
	return slices.SortedFunc(maps.Keys(changed), netip.Addr.Compare)
}

// decide makes the decision for one address from nothing.
func (d *Decider) decide(a netip.Addr) {
	keys := d.holders[a]
	if len(keys) == 0 {
		delete(d.decided, a)
		return
	}
	dec := &decision{g: newGroup(d.w, a, keys)}
	d.elect(dec)
	d.decided[a] = dec
}

func (d *Decider) elect(dec *decision) {
	if d.w.Settings.Mixed {
		d.electMixed(dec)
		return
	}
	dec.owner, dec.shared = nil, false
	if dec.g.active == 0 {
		return
	}
	for name := range d.w.Nodes {
		c := dec.g.evaluate(d.w, name)
		if c.reason == 0 && (dec.owner == nil || c.beats(dec.owner)) {
			dec.owner = &c
		}
	}
	if dec.owner == nil {
		dec.shared = dec.g.noCommonNode(d.w)
	}
}

// retouch brings a decision up to date after changes of the touched nodes only, and tells
// whether its outcome may have changed. A node that is not the owner can only matter by
// beating the owner, so it is enough to look at the touched ones.
func (d *Decider) retouch(dec *decision) bool {
	if dec.g.active == 0 {
		return false
	}
	if d.w.Settings.Mixed {
		return d.retouchMixed(dec)
	}
	if dec.owner == nil || d.touched[dec.owner.node] {
		before := dec.owner
		wasShared := dec.shared
		d.elect(dec)
		return before != nil || dec.owner != nil || wasShared != dec.shared
	}
	changed := false
	for name := range d.touched {
		c := dec.g.evaluate(d.w, name)
		if c.reason == 0 && c.beats(dec.owner) {
			dec.owner = &c
			changed = true
		}
	}
	return changed
}
