package members

import (
	"errors"
	"net"
	"strings"
	"syscall"
	"time"

	"github.com/hashicorp/memberlist"
)

// task runs f elsewhere; what f returns is then run by the owner.
func (o *owner) task(f func() func(now time.Time)) {
	o.tasks.Go(func() { o.results <- f() })
}

// join exchanges the lists of members with p.
func (o *owner) join(p Peer) {
	list, t, addr := o.list, o.transport, p.Addr.String()
	o.task(func() func(time.Time) {
		var failure *Unreachable
		t.watch(addr)
		_, err := list.Join([]string{addr})
		dial := t.unwatch(addr)
		if err != nil {
			udp := PortUnknown
			if dial != nil {
				udp = probeUDP(list, p)
			}
			failure = diagnose(dial, err, udp)
		}
		return func(now time.Time) {
			o.joins.done(p, failure, now)
			if failure != nil {
				o.joinErr = failure.Err
				o.log.Debug("peer not joined", "node", p.Node, "address", p.Addr, "cause", failure.Cause, "err", failure.Err)
			}
		}
	})
}

// probeUDP tells whether p answers over UDP.
func probeUDP(list *memberlist.Memberlist, p Peer) PortState {
	// A ping for no name in particular is answered by whoever is there.
	if _, err := list.Ping("", net.UDPAddrFromAddrPort(p.Addr)); err != nil {
		return PortSilent
	}
	return PortOpen
}

// diagnose tells what a failed join means. dial is the error of opening the connection, nil if it was
// opened. memberlist's errors beyond that are text.
func diagnose(dial, join error, udp PortState) *Unreachable {
	u := &Unreachable{Err: join.Error(), UDP: udp, TCP: PortOpen, Cause: CauseOther}
	switch {
	case dial != nil:
		u.Err, u.Cause, u.TCP = dial.Error(), CausePort, PortSilent
		if errors.Is(dial, syscall.ECONNREFUSED) {
			u.TCP = PortRefused
		}
	case strings.Contains(u.Err, "no installed keys could decrypt"):
		u.Cause = CauseKey
	case strings.Contains(u.Err, "encryption is configured but remote state is not encrypted"),
		strings.Contains(u.Err, "remote state is encrypted and encryption is not configured"):
		u.Cause = CausePlaintext
	}
	return u
}

// recipient is a member as memberlist wants to have it.
func (o *owner) recipient(node string) *memberlist.Node {
	m := o.news.alive[node]
	return &memberlist.Node{Name: m.Name, Addr: m.Addr.Addr().AsSlice(), Port: m.Addr.Port()}
}

// send delivers messages over TCP.
func (o *owner) send(d delivery) {
	list, node := o.list, o.recipient(d.dest)
	o.task(func() func(time.Time) {
		var err error
		for _, msg := range d.messages {
			if err = list.SendReliable(node, msg); err != nil {
				break
			}
		}
		return func(time.Time) {
			o.exchange.sent(d.dest)
			if err != nil {
				o.log.Debug("state not exchanged", "node", d.dest, "err", err)
			}
		}
	})
}

// leave takes this node out of the membership when asked to.
func (o *owner) leave() {
	if !o.news.leave {
		return
	}
	if !o.leaving {
		o.leaving = true
		if o.list == nil {
			o.haveLeft(nil)
			return
		}
		list := o.list
		o.task(func() func(time.Time) {
			err := list.Leave(leaveTimeout)
			close(o.told)
			return func(time.Time) { o.haveLeft(err) }
		})
	}
	// Gossip takes some rounds to reach everybody. A few members told directly, and at once, shorten that.
	if o.list == nil || o.parted || o.alive(o.g.cfg.NodeName) {
		return
	}
	o.parted = true
	count := 0
	for _, m := range o.news.alive { // in random order
		if count++; count > farewells {
			break
		}
		list, addr := o.list, m.Addr.String()
		o.task(func() func(time.Time) {
			_, err := list.Join([]string{addr}) // an exchange of lists; ours says that this node has left
			return func(time.Time) {
				if err != nil {
					o.log.Debug("farewell failed", "node", m.Name, "err", err)
				}
			}
		})
	}
}

func (o *owner) haveLeft(err error) {
	o.hasLeft = true
	if err != nil {
		o.log.Warn("left, but not every member may know yet", "err", err)
		return
	}
	o.log.Info("left the membership")
}
