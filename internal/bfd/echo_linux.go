package bfd

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

const (
	ipHeaderLen  = 20
	udpHeaderLen = 8
	protocolUDP  = 17
)

// listenEcho opens a packet socket: an echo packet comes back with this system's own address as its
// source, which the kernel's IP layer drops as a martian.
func (n *kernel) listenEcho(k listenKey) (receiver, error) {
	fd, err := open(unix.AF_PACKET, unix.SOCK_DGRAM, 0, func(fd int) error {
		if err := attach(fd, echoFilter(n.ports.echo)); err != nil {
			return err
		}
		if err := setOptions(fd, []option{{unix.SOL_SOCKET, unix.SO_TIMESTAMPNS, 1}}); err != nil {
			return err
		}
		ethPIP := binary.NativeEndian.Uint16([]byte{unix.ETH_P_IP >> 8, unix.ETH_P_IP & 0xff})
		return unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: ethPIP, Ifindex: k.ifindex})
	})
	if err != nil {
		return nil, fmt.Errorf("bfd: packet socket for echo (CAP_NET_RAW): %w", err)
	}
	return newSocket(fd, n, k, parseEcho), nil
}

// echoFilter passes unfragmented UDP packets over IPv4 to the port.
func echoFilter(port uint16) []bpf.Instruction {
	return []bpf.Instruction{
		bpf.LoadAbsolute{Off: 9, Size: 1},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: protocolUDP, SkipFalse: 6},
		bpf.LoadAbsolute{Off: 6, Size: 2},
		bpf.JumpIf{Cond: bpf.JumpBitsSet, Val: 0x1fff, SkipTrue: 4},
		bpf.LoadMemShift{Off: 0},
		bpf.LoadIndirect{Off: 2, Size: 2},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: uint32(port), SkipFalse: 1},
		bpf.RetConstant{Val: slotLen},
		bpf.RetConstant{Val: 0},
	}
}

// parseEcho strips the headers.
func parseEcho(_ *socket, _ int, d *datagram) bool {
	b := d.payload
	if len(b) < ipHeaderLen || b[0]>>4 != 4 {
		return false
	}
	n := int(b[0]&0x0f) * 4
	total := int(binary.BigEndian.Uint16(b[2:]))
	if n < ipHeaderLen || total > len(b) || total < n+udpHeaderLen {
		return false
	}
	d.src = netip.AddrFrom4([4]byte(b[12:16]))
	d.dst = netip.AddrFrom4([4]byte(b[16:20]))
	d.ttl = int(b[8])
	d.payload = b[n+udpHeaderLen : total]
	return true
}

// dialEcho opens a raw socket: the IP header names this system as source and destination, while the
// packet is routed to the peer, whose forwarding sends it back (RFC 5881 section 4).
func (n *kernel) dialEcho(k Key, local netip.Addr, ifindex int) (sender, error) {
	i, err := net.InterfaceByIndex(ifindex)
	if err != nil {
		return nil, fmt.Errorf("bfd: interface %d for echo: %w", ifindex, err)
	}
	local = cmp.Or(k.Local, local)
	s := &echoSender{udpSender: udpSender{
		to:     &unix.SockaddrInet4{Addr: k.Peer.As4()},
		index:  ifindex,
		source: firstSourcePort + uint16(rand.IntN(sourcePorts)),
	}}
	s.fd, err = open(unix.AF_INET, unix.SOCK_RAW, unix.IPPROTO_RAW, func(fd int) error {
		if err := dropAll(fd); err != nil {
			return err
		}
		return bindToDevice(fd, i.Name)
	})
	if err != nil {
		return nil, fmt.Errorf("bfd: raw socket for echo (CAP_NET_RAW): %w", err)
	}
	b := append(s.packet, 0x45, tosNetworkControl, 0, 0, 0, 0, 0, 0, maxTTL, protocolUDP, 0, 0)
	b = append(append(b, local.AsSlice()...), local.AsSlice()...)
	b = binary.BigEndian.AppendUint16(b, s.source)
	b = binary.BigEndian.AppendUint16(b, n.ports.echo)
	b = binary.BigEndian.AppendUint16(b, udpHeaderLen+echoLen)
	s.packet = binary.BigEndian.AppendUint16(b, 0) // no checksum: the token guards the payload
	return s, nil
}

// echoSender puts the headers before the payload. The kernel fills in total length, identification
// and header checksum.
type echoSender struct {
	udpSender
	packet []byte // the headers
}

func (s *echoSender) send(b []byte) error {
	s.packet = append(s.packet[:ipHeaderLen+udpHeaderLen], b...)
	return s.udpSender.send(s.packet)
}
