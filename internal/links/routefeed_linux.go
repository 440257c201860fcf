package links

import (
	"fmt"
	"log/slog"
	"unsafe"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// routeFeed tells that a default route of the main table changed. All other routes are
// dropped in the kernel, so that a routing daemon that moves a whole table costs nothing here.
type routeFeed struct {
	// changed receives after changes, and is closed when the feed ends.
	changed chan struct{}
	socket  *nl.NetlinkSocket
}

// newRouteFeed subscribes in the namespace of the calling thread.
func newRouteFeed(log *slog.Logger) (*routeFeed, error) {
	s, err := nl.Subscribe(unix.NETLINK_ROUTE, unix.RTNLGRP_IPV4_ROUTE, unix.RTNLGRP_IPV6_ROUTE)
	if err != nil {
		return nil, fmt.Errorf("links: subscribe to routes: %w", err)
	}
	if err := filterDefaults(s.GetFd()); err != nil {
		s.Close()
		return nil, fmt.Errorf("links: subscribe to default routes: %w", err)
	}
	f := &routeFeed{changed: make(chan struct{}, 1), socket: s}
	go f.receive(log)
	return f, nil
}

func (f *routeFeed) receive(log *slog.Logger) {
	defer close(f.changed)
	for {
		if _, _, err := f.socket.Receive(); err != nil {
			log.Debug("netlink subscription to routes", "err", err)
			return
		}
		select {
		case f.changed <- struct{}{}:
		default:
		}
	}
}

// events receives changes. No feed has none.
func (f *routeFeed) events() <-chan struct{} {
	if f == nil {
		return nil
	}
	return f.changed
}

// stop ends the feed and waits for its goroutine.
func (f *routeFeed) stop() {
	if f == nil {
		return
	}
	f.socket.Close()
	drain(f.changed)
}

// filterDefaults passes only messages about default routes of the main table. The kernel makes
// one message of each change.
func filterDefaults(fd int) error {
	const (
		dstLen = unix.SizeofNlMsghdr + uint32(unsafe.Offsetof(unix.RtMsg{}.Dst_len))
		table  = unix.SizeofNlMsghdr + uint32(unsafe.Offsetof(unix.RtMsg{}.Table))
	)
	raw, err := bpf.Assemble([]bpf.Instruction{
		bpf.LoadAbsolute{Off: dstLen, Size: 1},
		bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: 0, SkipTrue: 3},
		bpf.LoadAbsolute{Off: table, Size: 1},
		bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: unix.RT_TABLE_MAIN, SkipTrue: 1},
		bpf.RetConstant{Val: 1 << 16},
		bpf.RetConstant{Val: 0},
	})
	if err != nil {
		return err
	}
	filter := make([]unix.SockFilter, len(raw))
	for i, r := range raw {
		filter[i] = unix.SockFilter{Code: r.Op, Jt: r.Jt, Jf: r.Jf, K: r.K}
	}
	return unix.SetsockoptSockFprog(fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, &unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]})
}
