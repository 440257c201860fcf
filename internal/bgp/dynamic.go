package bgp

import (
	"net/netip"
	"strings"
	"time"
)

const (
	// maxDynamic bounds the sessions of one range, since their peers are not known before.
	maxDynamic = 256
	// dynamicIdle is how long the session of a peer that went away is kept.
	dynamicIdle = 5 * time.Minute
)

// instance makes the peer of a range for one address.
func instance(p Peer, a netip.Addr) Peer {
	p.Config.PeerRange = netip.Prefix{}
	p.Config.PeerAddress = a
	return p
}

// keepDynamic adds the sessions to wanted that connections from ranges have started,
// except those whose peer has been away for long.
func (e *Engine) keepDynamic(ranges, wanted map[string]Peer) {
	for name, r := range e.sessions {
		parent, address, ok := strings.Cut(name, "/")
		p, isRange := ranges[parent]
		if !ok || !isRange {
			continue
		}
		st := r.status.Load()
		if st.State <= StateActive && time.Since(st.Since) > dynamicIdle {
			continue
		}
		if a, err := netip.ParseAddr(address); err == nil && p.Config.PeerRange.Contains(a) {
			wanted[name] = instance(p, a)
		}
	}
}

// startDynamic makes a session for a connection from an address in a range, and reports
// whether the connection was taken.
func (e *Engine) startDynamic(in accepted, remote netip.Addr) bool {
	e.mu.Lock()
	d := e.desired
	e.mu.Unlock()
	if d == nil {
		return false
	}
	for parent, p := range d.Peers {
		c := &p.Config
		if c.Validate() != nil || !c.PeerRange.Contains(remote) || keyOf(c) != in.key {
			continue
		}
		name := dynamicName(parent, remote)
		if _, ok := e.sessions[name]; ok || e.dynamicCount(parent) >= maxDynamic {
			return false
		}
		p = instance(p, remote)
		r := e.start(name, order{config: p.Config, routes: p.Routes, complete: d.Complete})
		r.inbound <- in.conn
		e.reconcile() // makes the session visible
		return true
	}
	return false
}

func (e *Engine) dynamicCount(parent string) int {
	n := 0
	for name := range e.sessions {
		if strings.HasPrefix(name, parent+"/") {
			n++
		}
	}
	return n
}
