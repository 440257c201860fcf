package bgp

import (
	"fmt"
	"net/netip"
	"time"
)

const (
	// DefaultRangeLimit bounds the sessions of a range where nothing else is asked for, since
	// their peers are not known before.
	DefaultRangeLimit = 100
	// dynamicIdle is how long the session of a peer that went away is kept.
	dynamicIdle = 5 * time.Minute
)

// instance makes the peer of a range for one address.
func instance(p Peer, a netip.Addr) Peer {
	p.Config.PeerRange = netip.Prefix{}
	p.Config.PeerAddress = a
	return p
}

// dynamicName names the session of one peer of a range.
func dynamicName(name string, a netip.Addr) string { return name + "/" + a.String() }

// limit is the most sessions of a range.
func (p *Peer) limit() int {
	if p.Limit <= 0 {
		return DefaultRangeLimit
	}
	return p.Limit
}

// keepDynamic adds the sessions to wanted that connections from ranges have started,
// except those whose peer has been away for long.
func (e *Engine) keepDynamic(ranges, wanted map[string]Peer) {
	for name, r := range e.sessions {
		p, ok := ranges[r.parent]
		if r.parent == "" || !ok || r.stopping {
			continue
		}
		st := r.status.Load()
		if st.State <= StateActive && time.Since(st.Since) > dynamicIdle {
			continue
		}
		if a := r.config.PeerAddress; p.Config.PeerRange.Contains(a) {
			wanted[name] = instance(p, a)
		}
	}
	for name := range e.crowded {
		if p, ok := ranges[name]; !ok || e.dynamicCount(name) < p.limit() {
			delete(e.crowded, name)
		}
	}
}

// startDynamic makes a session for a connection from an address in a range, and reports
// whether the connection was taken. A peer that has a session of its own gets no second one.
func (e *Engine) startDynamic(in accepted, remote netip.Addr) bool {
	e.mu.Lock()
	d := e.desired
	e.mu.Unlock()
	if d == nil {
		return false
	}
	for parent, p := range d.Peers {
		c := &p.Config
		if p.Trouble != "" || c.Validate() != nil || !c.PeerRange.Contains(remote) || keyOf(c) != in.key {
			continue
		}
		for _, r := range e.sessions {
			if r.config.PeerAddress == remote && r.config.Device == c.Device {
				return false
			}
		}
		if e.dynamicCount(parent) >= p.limit() {
			e.crowded[parent] = fmt.Sprintf("bgp: %v was turned away: the limit of %d sessions is reached", remote, p.limit())
			e.reconcile() // makes it visible
			return false
		}
		name := dynamicName(parent, remote)
		p = instance(p, remote)
		r := e.start(name, parent, order{config: p.Config, routes: p.Routes, complete: d.Complete})
		r.inbound <- in.conn
		e.reconcile() // makes the session visible
		return true
	}
	return false
}

func (e *Engine) dynamicCount(parent string) int {
	n := 0
	for _, r := range e.sessions {
		if r.parent == parent {
			n++
		}
	}
	return n
}
