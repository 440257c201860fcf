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

// peerAt is where a peer is. Only one session can be with it.
type peerAt struct {
	address netip.Addr
	device  string
}

func atOf(c *SessionConfig) peerAt { return peerAt{c.PeerAddress, c.Device} }

// limit is the most sessions of a range.
func (p *Peer) limit() int {
	if p.Limit <= 0 {
		return DefaultRangeLimit
	}
	return p.Limit
}

// keepDynamic adds the sessions to wanted that connections from ranges have started,
// except those whose peer has been away for long, or has got a session of its own. They
// share the port of their range, and its trouble.
func (e *Engine) keepDynamic(ranges, wanted map[string]Peer, trouble map[string]string) {
	own := map[peerAt]bool{}
	for _, p := range wanted {
		own[atOf(&p.Config)] = true
	}
	for name, r := range e.sessions {
		p, ok := ranges[r.parent]
		if r.parent == "" || !ok || r.stopping {
			continue
		}
		st := r.status.Load()
		if st.State <= StateActive && time.Since(st.Since) > dynamicIdle {
			continue
		}
		if a := r.config.PeerAddress; p.Config.PeerRange.Contains(a) && !own[peerAt{a, p.Config.Device}] {
			wanted[name] = instance(p, a)
			trouble[name] = trouble[r.parent]
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
	parent, p, ok := d.rangeOf(in.key, remote)
	if !ok || !in.authenticates(remote, p.Config.Password) {
		return false
	}
	for _, r := range e.sessions {
		if atOf(&r.config) == (peerAt{remote, p.Config.Device}) {
			return false
		}
	}
	if e.dynamicCount(parent) >= p.limit() {
		if e.crowded[parent] == "" { // one says it for all: they can be many, and come often
			e.crowded[parent] = fmt.Sprintf("bgp: %v was turned away: the limit of %d sessions is reached", remote, p.limit())
			e.reconcile() // makes it visible
		}
		return false
	}
	p = instance(p, remote)
	r := e.start(dynamicName(parent, remote), parent, order{config: p.Config, routes: p.Routes, complete: d.Complete})
	r.offer(in.conn, p.Config)
	e.reconcile() // makes the session visible
	return true
}

// rangeOf finds the range that an address belongs to on a port: the narrowest, as for the
// kernel's choice of a key.
func (d *Desired) rangeOf(k listenKey, remote netip.Addr) (string, Peer, bool) {
	best, found := "", false
	for name, p := range d.Peers {
		c := &p.Config
		if p.Trouble != "" || c.Validate() != nil || !c.PeerRange.Contains(remote) || keyOf(c) != k {
			continue
		}
		bits := d.Peers[best].Config.PeerRange.Bits()
		if !found || c.PeerRange.Bits() > bits || c.PeerRange.Bits() == bits && name < best {
			best, found = name, true
		}
	}
	return best, d.Peers[best], found
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
