package l2

import (
	"encoding/binary"

	"github.com/lintel-lb/lintel/internal/links"
)

const (
	etherTypeARP  = 0x0806
	etherTypeIPv6 = 0x86dd

	etherLen = 14
	// arpLen is the length in bytes of an Ethernet frame with an ARP packet for IPv4.
	// Padding up to the Ethernet minimum is left to the driver.
	arpLen = etherLen + 28

	arpRequest = 1
	arpReply   = 2
)

// arpFrame is an Ethernet frame with an ARP packet (RFC 826) for IPv4 over Ethernet.
type arpFrame struct {
	dst, src  links.MAC
	op        uint16
	senderMAC links.MAC
	senderIP  [4]byte
	targetMAC links.MAC
	targetIP  [4]byte
}

// parseARP decodes a frame. It is false for anything but an untagged request or reply for
// IPv4 over Ethernet from a unicast hardware address.
func parseARP(b []byte) (f arpFrame, ok bool) {
	if len(b) < arpLen || binary.BigEndian.Uint16(b[12:]) != etherTypeARP {
		return f, false
	}
	p := b[etherLen:]
	const ethernetIPv4 = 0x0001_0800_06_04 // hardware type, protocol type, their lengths
	if binary.BigEndian.Uint64(p)>>16 != ethernetIPv4 {
		return f, false
	}
	f = arpFrame{
		dst:       links.MAC(b[0:6]),
		src:       links.MAC(b[6:12]),
		op:        binary.BigEndian.Uint16(p[6:]),
		senderMAC: links.MAC(p[8:14]),
		senderIP:  [4]byte(p[14:18]),
		targetMAC: links.MAC(p[18:24]),
		targetIP:  [4]byte(p[24:28]),
	}
	if f.op != arpRequest && f.op != arpReply {
		return f, false
	}
	return f, f.senderMAC.IsUnicast()
}

// append encodes the frame at the end of b.
func (f arpFrame) append(b []byte) []byte {
	b = append(b, f.dst[:]...)
	b = append(b, f.src[:]...)
	b = binary.BigEndian.AppendUint16(b, etherTypeARP)
	b = append(b, 0, 1, 0x08, 0x00, 6, 4)
	b = binary.BigEndian.AppendUint16(b, f.op)
	b = append(b, f.senderMAC[:]...)
	b = append(b, f.senderIP[:]...)
	b = append(b, f.targetMAC[:]...)
	return append(b, f.targetIP[:]...)
}

// arpAnnouncement is an unsolicited frame that makes neighbours update what they know
// (RFC 5227 section 2.3, RFC 5944 section 4.6). Some systems heed only requests, others
// only replies, so both forms are sent.
func arpAnnouncement(op uint16, self links.MAC, ip [4]byte) arpFrame {
	f := arpFrame{
		dst: links.Broadcast(), src: self, op: op,
		senderMAC: self, senderIP: ip, targetMAC: links.Broadcast(), targetIP: ip,
	}
	return f
}

// arpProbe asks whether anyone has the address, without teaching anyone anything
// (RFC 5227 section 2.1.1).
func arpProbe(self links.MAC, ip [4]byte) arpFrame {
	return arpFrame{dst: links.Broadcast(), src: self, op: arpRequest, senderMAC: self, targetIP: ip}
}
