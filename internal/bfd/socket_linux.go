package bfd

import (
	"cmp"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"strings"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

const (
	// tosNetworkControl is DSCP CS6, so that a full queue drops other packets first.
	tosNetworkControl = 0xc0

	// receiveBuffer holds the packets of a thousand fast sessions while this system is stopped for
	// a tenth of a second.
	receiveBuffer = 4 << 20

	// The source ports of RFC 5881 section 4.
	firstSourcePort, sourcePorts = 49152, 16384
	portAttempts                 = 64
)

type ports struct{ singleHop, multiHop, echo uint16 }

// option is a socket option with an integer value.
type option struct{ level, name, value int }

// open makes a non-blocking socket; what remains after an error is closed.
func open(domain, kind, protocol int, setup func(fd int) error) (int, error) {
	fd, err := unix.Socket(domain, kind|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, protocol)
	if err != nil {
		return -1, os.NewSyscallError("socket", err)
	}
	if err := setup(fd); err != nil {
		_ = unix.Close(fd) // never used
		return -1, err
	}
	return fd, nil
}

func setOptions(fd int, options []option) error {
	for _, o := range options {
		if err := unix.SetsockoptInt(fd, o.level, o.name, o.value); err != nil {
			return fmt.Errorf("socket option %d of level %d: %w", o.name, o.level, err)
		}
	}
	return nil
}

func bindToDevice(fd int, name string) error {
	if name == "" {
		return nil
	}
	if err := unix.BindToDevice(fd, name); err != nil {
		return fmt.Errorf("bind to interface %s: %w", name, err)
	}
	return nil
}

func (n *kernel) listen(k listenKey) (receiver, error) {
	if k.channel == echo {
		return n.listenEcho(k)
	}
	port, domain := n.ports.singleHop, unix.AF_INET
	if k.channel == multiHop {
		port = n.ports.multiHop
	}
	var addr unix.Sockaddr = &unix.SockaddrInet4{Port: int(port)}
	options := []option{
		{unix.SOL_IP, unix.IP_RECVTTL, 1},
		{unix.SOL_IP, unix.IP_PKTINFO, 1},
		{unix.SOL_SOCKET, unix.SO_TIMESTAMPNS, 1},
	}
	if k.v6 {
		domain, addr = unix.AF_INET6, &unix.SockaddrInet6{Port: int(port)}
		options = []option{
			{unix.SOL_IPV6, unix.IPV6_V6ONLY, 1},
			{unix.SOL_IPV6, unix.IPV6_RECVHOPLIMIT, 1},
			{unix.SOL_IPV6, unix.IPV6_RECVPKTINFO, 1},
			{unix.SOL_SOCKET, unix.SO_TIMESTAMPNS, 1},
		}
	}
	fd, err := open(domain, unix.SOCK_DGRAM, 0, func(fd int) error {
		if err := setOptions(fd, options); err != nil {
			return err
		}
		if err := bindToDevice(fd, k.vrf); err != nil {
			return err
		}
		// Without the right to force it, the limit of the system applies.
		if unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, receiveBuffer) != nil {
			_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, receiveBuffer)
		}
		return unix.Bind(fd, addr)
	})
	if errors.Is(err, unix.EADDRINUSE) {
		return nil, fmt.Errorf("bfd: listen on UDP port %d: %w: stop the other BFD daemon on this node", port, err)
	}
	if err != nil {
		return nil, fmt.Errorf("bfd: listen on UDP port %d: %w", port, err)
	}
	return newSocket(fd, n, k, parseUDP), nil
}

// interfaceIndex finds the interface that a key names; 0 if it names none.
func interfaceIndex(k Key) (int, error) {
	if k.zone() == "" {
		return 0, nil
	}
	i, err := net.InterfaceByName(k.zone())
	if err != nil {
		return 0, fmt.Errorf("bfd: interface %s: %w", k.zone(), err)
	}
	return i.Index, nil
}

func (n *kernel) dial(k Key, port uint16) (sender, error) {
	ifindex, err := interfaceIndex(k)
	if err != nil {
		return nil, err
	}
	domain := unix.AF_INET
	options := []option{
		{unix.SOL_IP, unix.IP_TTL, maxTTL},
		{unix.SOL_IP, unix.IP_TOS, tosNetworkControl},
	}
	if k.Peer.Is6() {
		domain = unix.AF_INET6
		options = []option{
			{unix.SOL_IPV6, unix.IPV6_V6ONLY, 1},
			{unix.SOL_IPV6, unix.IPV6_UNICAST_HOPS, maxTTL},
			{unix.SOL_IPV6, unix.IPV6_TCLASS, tosNetworkControl},
		}
	}
	s := &udpSender{index: ifindex}
	s.fd, err = open(domain, unix.SOCK_DGRAM, 0, func(fd int) error {
		if err := setOptions(fd, options); err != nil {
			return err
		}
		if err := dropAll(fd); err != nil {
			return err
		}
		if err := bindToDevice(fd, cmp.Or(k.zone(), k.VRF)); err != nil {
			return err
		}
		s.source, err = bindSource(fd, k, ifindex, port)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("bfd: socket for %v: %w", k, err)
	}
	port = n.ports.singleHop
	if k.MultiHop {
		port = n.ports.multiHop
	}
	s.to = sockaddr(netip.AddrPortFrom(k.Peer, port), ifindex)
	return s, nil
}

// bindSource binds to the local address and a source port, the given one if it is free.
func bindSource(fd int, k Key, ifindex int, port uint16) (uint16, error) {
	local := k.Local
	if !local.IsValid() {
		local = netip.IPv4Unspecified()
		if k.Peer.Is6() {
			local = netip.IPv6Unspecified()
		}
	}
	var err error
	for range portAttempts {
		if port == 0 {
			port = firstSourcePort + uint16(rand.IntN(sourcePorts))
		}
		err = unix.Bind(fd, sockaddr(netip.AddrPortFrom(local, port), ifindex))
		if !errors.Is(err, unix.EADDRINUSE) {
			break
		}
		port = 0
	}
	if err != nil {
		return 0, fmt.Errorf("bind to %v: %w", local, err)
	}
	return port, nil
}

func sockaddr(a netip.AddrPort, ifindex int) unix.Sockaddr {
	ip := a.Addr()
	if ip.Is4() {
		return &unix.SockaddrInet4{Addr: ip.As4(), Port: int(a.Port())}
	}
	s := &unix.SockaddrInet6{Addr: ip.As16(), Port: int(a.Port())}
	if ip.IsLinkLocalUnicast() {
		s.ZoneId = uint32(ifindex)
	}
	return s
}

// dropAll has the kernel drop what is sent to a socket that nobody reads.
func dropAll(fd int) error { return attach(fd, []bpf.Instruction{bpf.RetConstant{Val: 0}}) }

func attach(fd int, program []bpf.Instruction) error {
	raw, err := bpf.Assemble(program)
	if err != nil {
		return err
	}
	filter := make([]unix.SockFilter, len(raw))
	for i, r := range raw {
		filter[i] = unix.SockFilter{Code: r.Op, Jt: r.Jt, Jf: r.Jf, K: r.K}
	}
	fprog := &unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	return os.NewSyscallError("attach filter", unix.SetsockoptSockFprog(fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, fprog))
}

// forwards reads whether the kernel forwards IPv4 packets that come in by the interface of the key.
func (n *kernel) forwards(k Key) bool {
	b, err := os.ReadFile("/proc/sys/net/ipv4/conf/" + cmp.Or(k.zone(), "all") + "/forwarding")
	return err == nil && strings.TrimSpace(string(b)) == "1"
}

// udpSender sends control packets of one session.
type udpSender struct {
	fd     int
	to     unix.Sockaddr
	index  int
	source uint16
}

func (s *udpSender) send(b []byte) error { return unix.Sendto(s.fd, b, unix.MSG_DONTWAIT, s.to) }
func (s *udpSender) ifindex() int        { return s.index }
func (s *udpSender) port() uint16        { return s.source }
func (s *udpSender) close() error        { return unix.Close(s.fd) }
