package l2

import (
	"errors"
	"fmt"
	"net/netip"
	"os"

	"golang.org/x/sys/unix"
)

// memberLimit is the number of groups joined through one socket. The kernel charges
// memberships to a small per-socket allowance (net.core.optmem_max) and walks them all
// on every join, so there are more sockets instead.
const memberLimit = 256

// kernelGroups joins groups on one link through sockets that serve no other purpose: they
// are bound to nothing and receive nothing.
type kernelGroups struct {
	index   int
	sockets []*memberSocket
	home    map[netip.Addr]*memberSocket
}

type memberSocket struct {
	fd      int
	members int
}

func newKernelGroups(index int) *kernelGroups {
	return &kernelGroups{index: index, home: map[netip.Addr]*memberSocket{}}
}

func (k *kernelGroups) join(group netip.Addr) error {
	var s *memberSocket
	for _, c := range k.sockets {
		if c.members < memberLimit {
			s = c
			break
		}
	}
	if s == nil {
		fd, err := unix.Socket(unix.AF_INET6, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			return os.NewSyscallError("socket", err)
		}
		s = &memberSocket{fd: fd}
		k.sockets = append(k.sockets, s)
	}
	mreq := &unix.IPv6Mreq{Multiaddr: group.As16(), Interface: uint32(k.index)}
	if err := unix.SetsockoptIPv6Mreq(s.fd, unix.IPPROTO_IPV6, unix.IPV6_JOIN_GROUP, mreq); err != nil {
		return os.NewSyscallError("setsockopt", err)
	}
	s.members++
	k.home[group] = s
	return nil
}

func (k *kernelGroups) leave(group netip.Addr) error {
	s, ok := k.home[group]
	if !ok {
		return fmt.Errorf("l2: group %s has not been joined", group)
	}
	delete(k.home, group)
	s.members--
	mreq := &unix.IPv6Mreq{Multiaddr: group.As16(), Interface: uint32(k.index)}
	return os.NewSyscallError("setsockopt", unix.SetsockoptIPv6Mreq(s.fd, unix.IPPROTO_IPV6, unix.IPV6_LEAVE_GROUP, mreq))
}

// close leaves all groups.
func (k *kernelGroups) close() error {
	var errs []error
	for _, s := range k.sockets {
		errs = append(errs, os.NewSyscallError("close", unix.Close(s.fd)))
	}
	k.sockets, k.home = nil, nil
	return errors.Join(errs...)
}
