package l2

import (
	"encoding/binary"
	"net/netip"

	"github.com/lintel-lb/lintel/internal/links"
)

const (
	ip6Len    = 40
	icmpStart = etherLen + ip6Len
	// ndMinLen is the length of a frame with a solicitation or an advertisement without
	// options, ndLinkLen of one with a single link-layer address option.
	ndMinLen  = icmpStart + 24
	ndLinkLen = ndMinLen + 8

	protoICMPv6 = 58
	// hopLimit proves that a message comes from the link itself: no router lets it pass
	// unchanged (RFC 4861 section 11.2).
	hopLimit = 255

	typeNS = 135
	typeNA = 136

	optSourceLink = 1
	optTargetLink = 2

	flagSolicited = 0x40
	flagOverride  = 0x20
)

// allNodes is the group of all nodes on the link (RFC 4291 section 2.7.1).
func allNodes() [16]byte { return [16]byte{0: 0xff, 1: 0x02, 15: 1} }

// ndFrame is an Ethernet frame with a Neighbor Solicitation or Advertisement (RFC 4861
// sections 4.3 and 4.4).
type ndFrame struct {
	dst, src     links.MAC
	dstIP, srcIP [16]byte
	typ          uint8
	flags        uint8
	target       [16]byte
	// link is the source (solicitation) or target (advertisement) link-layer address
	// option, zero if there is none.
	link links.MAC
}

// parseND decodes a frame and checks what RFC 4861 sections 7.1.1 and 7.1.2 demand. It is
// false for anything but a valid, untagged message.
func parseND(b []byte) (f ndFrame, ok bool) {
	if len(b) < ndMinLen || binary.BigEndian.Uint16(b[12:]) != etherTypeIPv6 {
		return f, false
	}
	ip := b[etherLen:]
	payload := int(binary.BigEndian.Uint16(ip[4:]))
	if ip[0]>>4 != 6 || ip[6] != protoICMPv6 || ip[7] != hopLimit || payload < 24 || payload > len(b)-icmpStart {
		return f, false
	}
	msg := b[icmpStart : icmpStart+payload] // without Ethernet padding
	f = ndFrame{
		dst: links.MAC(b[0:6]), src: links.MAC(b[6:12]),
		srcIP: [16]byte(ip[8:24]), dstIP: [16]byte(ip[24:40]),
		typ: msg[0], flags: msg[4], target: [16]byte(msg[8:24]),
	}
	if (f.typ != typeNS && f.typ != typeNA) || msg[1] != 0 || isMulticast(f.target) || isMulticast(f.srcIP) {
		return f, false
	}
	if checksum(f.srcIP, f.dstIP, msg) != 0 {
		return f, false
	}
	if !f.parseOptions(msg[24:]) {
		return f, false
	}
	if f.typ == typeNA {
		return f, !isMulticast(f.dstIP) || f.flags&flagSolicited == 0
	}
	if f.srcIP == ([16]byte{}) {
		return f, isSolicitedNode(f.dstIP) && f.link == links.MAC{}
	}
	return f, true
}

func (f *ndFrame) parseOptions(b []byte) bool {
	want := byte(optSourceLink)
	if f.typ == typeNA {
		want = optTargetLink
	}
	for len(b) > 0 {
		if len(b) < 8 || b[1] == 0 || len(b) < int(b[1])*8 {
			return false
		}
		if b[0] == want && b[1] == 1 {
			f.link = links.MAC(b[2:8])
		}
		b = b[int(b[1])*8:]
	}
	return true
}

// append encodes the frame at the end of b. The option is left out if f.link is zero.
func (f ndFrame) append(b []byte) []byte {
	start := len(b)
	payload := ndMinLen - icmpStart
	if f.link != (links.MAC{}) {
		payload += 8
	}
	b = append(b, f.dst[:]...)
	b = append(b, f.src[:]...)
	b = binary.BigEndian.AppendUint16(b, etherTypeIPv6)
	b = append(b, 0x60, 0, 0, 0)
	b = binary.BigEndian.AppendUint16(b, uint16(payload))
	b = append(b, protoICMPv6, hopLimit)
	b = append(b, f.srcIP[:]...)
	b = append(b, f.dstIP[:]...)
	b = append(b, f.typ, 0, 0, 0, f.flags, 0, 0, 0)
	b = append(b, f.target[:]...)
	if f.link != (links.MAC{}) {
		opt := byte(optSourceLink)
		if f.typ == typeNA {
			opt = optTargetLink
		}
		b = append(b, opt, 1)
		b = append(b, f.link[:]...)
	}
	msg := b[start+icmpStart:]
	binary.BigEndian.PutUint16(msg[2:], checksum(f.srcIP, f.dstIP, msg))
	return b
}

// ndAnnouncement is the unsolicited advertisement to all nodes that makes neighbours
// replace what they know (RFC 4861 section 7.2.6).
func ndAnnouncement(self links.MAC, source, target [16]byte) ndFrame {
	return ndFrame{
		dst: groupMAC(allNodes()), src: self, dstIP: allNodes(), srcIP: source,
		typ: typeNA, flags: flagOverride, target: target, link: self,
	}
}

// ndProbe is the solicitation of duplicate address detection (RFC 4862 section 5.4.2).
func ndProbe(self links.MAC, target [16]byte) ndFrame {
	group := solicitedNode(target)
	return ndFrame{dst: groupMAC(group), src: self, dstIP: group, typ: typeNS, target: target}
}

// solicitedNode is the group on which an address is solicited (RFC 4291 section 2.7.1).
func solicitedNode(a [16]byte) [16]byte {
	return [16]byte{0: 0xff, 1: 0x02, 11: 0x01, 12: 0xff, 13: a[13], 14: a[14], 15: a[15]}
}

func solicitedNodeAddr(a netip.Addr) netip.Addr { return netip.AddrFrom16(solicitedNode(a.As16())) }

func isSolicitedNode(a [16]byte) bool { return a == solicitedNode(a) }

func isMulticast(a [16]byte) bool { return a[0] == 0xff }

// groupMAC is the Ethernet address of an IPv6 group (RFC 2464 section 7).
func groupMAC(g [16]byte) links.MAC { return links.MAC{0x33, 0x33, g[12], g[13], g[14], g[15]} }

// checksum is the ICMPv6 checksum over message and pseudo-header (RFC 4443 section 2.3).
// Over a message with a right checksum it is 0.
func checksum(src, dst [16]byte, msg []byte) uint16 {
	sum := uint32(len(msg)) + protoICMPv6
	add := func(b []byte) {
		for ; len(b) > 1; b = b[2:] {
			sum += uint32(b[0])<<8 | uint32(b[1])
		}
		if len(b) == 1 {
			sum += uint32(b[0]) << 8
		}
	}
	add(src[:])
	add(dst[:])
	add(msg)
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	return ^uint16(sum)
}
