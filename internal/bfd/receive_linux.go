package bfd

import (
	"net/netip"
	"os"
	"slices"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	batch      = 32  // datagrams read with one system call
	drainLimit = 512 // batches: more than the buffer of a socket holds
	slotLen    = 128 // longer datagrams are cut: no valid packet is
	controlLen = 128
)

// mmsghdr is struct mmsghdr of recvmmsg(2).
type mmsghdr struct {
	hdr unix.Msghdr
	len uint32
}

// socket is a receiver that reads in batches into memory of its own.
type socket struct {
	fd    int
	owner *kernel
	key   listenKey
	parse func(s *socket, i int, d *datagram) bool

	// emptied is when the socket was last known to be empty: what is read now came in later. It
	// bounds what the kernel's wall clock says.
	emptied time.Time

	d     datagram
	msgs  [batch]mmsghdr
	iovs  [batch]unix.Iovec
	names [batch]unix.RawSockaddrInet6 // holds an IPv4 address as well
	slots [batch][slotLen]byte
	oobs  [batch][controlLen]byte
}

func newSocket(fd int, n *kernel, k listenKey, parse func(*socket, int, *datagram) bool) *socket {
	s := &socket{fd: fd, owner: n, key: k, parse: parse, emptied: time.Now()}
	for i := range s.msgs {
		s.iovs[i].Base = &s.slots[i][0]
		s.iovs[i].SetLen(slotLen)
		h := &s.msgs[i].hdr
		h.Name = (*byte)(unsafe.Pointer(&s.names[i]))
		h.Iov = &s.iovs[i]
		h.SetIovlen(1)
		h.Control = &s.oobs[i][0]
	}
	n.sockets = append(n.sockets, s)
	return s
}

func (s *socket) close() error {
	s.owner.sockets = slices.DeleteFunc(s.owner.sockets, func(o *socket) bool { return o == s })
	return unix.Close(s.fd)
}

// drain reads what was there when it was called. With packets that come in as fast as they are read
// it ends all the same: timers wait for it.
func (s *socket) drain(take func(*datagram)) error {
	for range drainLimit {
		asked := time.Now()
		n, errno := s.recvmmsg()
		switch errno {
		case 0:
		case unix.EAGAIN:
			s.emptied = asked
			return nil
		case unix.EINTR:
			continue
		default:
			return os.NewSyscallError("recvmmsg", errno)
		}
		now := time.Now()
		for i := range n {
			s.d = datagram{channel: s.key.channel, vrf: s.key.vrf, at: now}
			h := &s.msgs[i].hdr
			s.d.payload = s.slots[i][:s.msgs[i].len]
			s.control(s.oobs[i][:h.Controllen], now)
			if h.Flags&unix.MSG_TRUNC == 0 && s.parse(s, i, &s.d) {
				take(&s.d)
			}
		}
		if n < batch {
			s.emptied = asked
			return nil
		}
	}
	return nil
}

func (s *socket) recvmmsg() (int, unix.Errno) {
	for i := range s.msgs {
		s.msgs[i].hdr.Namelen = unix.SizeofSockaddrInet6
		s.msgs[i].hdr.SetControllen(controlLen)
	}
	n, _, errno := unix.Syscall6(unix.SYS_RECVMMSG, uintptr(s.fd), uintptr(unsafe.Pointer(&s.msgs[0])), batch,
		unix.MSG_DONTWAIT, 0, 0)
	return int(n), errno
}

// control reads the ancillary data of a datagram into s.d.
func (s *socket) control(b []byte, now time.Time) {
	const header = unix.SizeofCmsghdr
	for len(b) >= header {
		h := (*unix.Cmsghdr)(unsafe.Pointer(&b[0]))
		n := int(h.Len)
		if n < header || n > len(b) {
			return
		}
		data := b[unix.CmsgLen(0):n]
		switch {
		case h.Level == unix.SOL_IP && h.Type == unix.IP_TTL && len(data) >= 4,
			h.Level == unix.SOL_IPV6 && h.Type == unix.IPV6_HOPLIMIT && len(data) >= 4:
			s.d.ttl = int(*(*int32)(unsafe.Pointer(&data[0])))
		case h.Level == unix.SOL_IP && h.Type == unix.IP_PKTINFO && len(data) >= unix.SizeofInet4Pktinfo:
			info := (*unix.Inet4Pktinfo)(unsafe.Pointer(&data[0]))
			s.d.ifindex, s.d.dst = int(info.Ifindex), netip.AddrFrom4(info.Addr)
		case h.Level == unix.SOL_IPV6 && h.Type == unix.IPV6_PKTINFO && len(data) >= unix.SizeofInet6Pktinfo:
			info := (*unix.Inet6Pktinfo)(unsafe.Pointer(&data[0]))
			s.d.ifindex, s.d.dst = int(info.Ifindex), netip.AddrFrom16(info.Addr)
		case h.Level == unix.SOL_SOCKET && h.Type == unix.SO_TIMESTAMPNS && len(data) >= int(unsafe.Sizeof(unix.Timespec{})):
			s.d.at = s.arrival((*unix.Timespec)(unsafe.Pointer(&data[0])), now)
		}
		b = b[min(unix.CmsgSpace(n-unix.CmsgLen(0)), len(b)):]
	}
}

// arrival turns the kernel's wall clock time of a packet into a time of this process's clock. A step
// of the wall clock can shift it, never beyond the time since the socket was last empty.
func (s *socket) arrival(ts *unix.Timespec, now time.Time) time.Time {
	age := time.Duration(now.UnixNano() - ts.Nano())
	return now.Add(-max(min(age, now.Sub(s.emptied)), 0))
}

// parseUDP takes the source from the socket address.
func parseUDP(s *socket, i int, d *datagram) bool {
	name := &s.names[i]
	switch name.Family {
	case unix.AF_INET:
		d.src = netip.AddrFrom4((*unix.RawSockaddrInet4)(unsafe.Pointer(name)).Addr)
	case unix.AF_INET6:
		d.src = netip.AddrFrom16(name.Addr)
	default:
		return false
	}
	return true
}
