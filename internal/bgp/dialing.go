package bgp

import (
	"context"
	"net"
	"net/netip"
)

// dialing is an attempt to connect.
type dialing struct {
	cancel context.CancelFunc
	result chan event
}

// startDial tries to connect in the background.
func (s *session) startDial() {
	ctx, cancel := context.WithCancel(context.Background())
	d := &dialing{cancel: cancel, result: make(chan event, 1)}
	s.dialing = d
	cfg, transport, neighbors := s.cfg, s.transport, s.neighbors
	s.conns.Go(func() {
		remote, err := cfg.PeerAddress, error(nil)
		if cfg.Interface != "" {
			remote, err = neighbors.Neighbor(ctx, cfg.Interface)
		}
		var nc net.Conn
		if err == nil {
			o := cfg.socket()
			o.Password = cfg.Password
			nc, err = transport.Dial(ctx, cfg.Source, netip.AddrPortFrom(remote, cfg.port()), o)
		}
		if err != nil {
			d.result <- event{kind: evDialFailed, err: err}
			return
		}
		d.result <- event{kind: evDialed, net: nc}
	})
}

// stopDial ends an attempt, also one that has just succeeded.
func (s *session) stopDial() {
	if s.dialing == nil {
		return
	}
	s.dialing.cancel()
	if e := <-s.dialing.result; e.net != nil {
		e.net.Close()
	}
	s.dialing = nil
}
