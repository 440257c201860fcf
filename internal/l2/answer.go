package l2

import "github.com/lintel-lb/lintel/internal/links"

// station is one socket's identity on its link.
type station struct {
	mac links.MAC
	// source is the link-local address that unsolicited advertisements are sent from; for ARP
	// unused.
	source [16]byte
}

// outcome is what one received frame leads to. The zero value is to ignore the frame.
type outcome struct {
	// asked is the owned address the frame asks for, if any. Probe tells that the asker
	// wants to know whether the address is free (RFC 5227, RFC 4862).
	asked *entry
	probe bool
	// reply is the frame to send back.
	reply []byte
	// claimed is the owned address that the station with the hardware address by calls its
	// own.
	claimed *entry
	by      links.MAC
}

// macSet holds hardware addresses.
type macSet map[links.MAC]struct{}

func (s macSet) has(m links.MAC) bool {
	_, ok := s[m]
	return ok
}

// answerARP decides about one frame. own holds the hardware addresses of this host, whose
// frames come back where two links meet on one segment, and which neighbours may send to: a bond
// in mode balance-alb gives some of them the address of one of its slaves. The reply is built in out, which
// is used from its start; with room for arpLen bytes nothing is allocated.
func answerARP(self station, own macSet, t *table, frame, out []byte) (o outcome) {
	f, ok := parseARP(frame)
	if !ok || (f.dst != links.Broadcast() && f.dst != self.mac && !own.has(f.dst)) || own.has(f.senderMAC) {
		return o
	}
	if e := t.v4[f.senderIP]; e != nil {
		o.claimed, o.by = e, f.senderMAC
	}
	// Equal addresses are an announcement, not a question (RFC 5227 section 2.3).
	if f.op != arpRequest || f.senderIP == f.targetIP {
		return o
	}
	e := t.v4[f.targetIP]
	if e == nil {
		return o
	}
	o.asked, o.probe = e, f.senderIP == [4]byte{}
	r := arpFrame{
		dst: f.senderMAC, src: self.mac, op: arpReply,
		senderMAC: self.mac, senderIP: f.targetIP,
		targetMAC: f.senderMAC, targetIP: f.senderIP,
	}
	o.reply = r.append(out[:0])
	return o
}

// answerND decides about one frame as answerARP does; out needs room for ndLinkLen bytes.
func answerND(self station, own macSet, t *table, frame, out []byte) (o outcome) {
	f, ok := parseND(frame)
	if !ok || own.has(f.src) || (f.dst != self.mac && !own.has(f.dst) && (f.dst[0] != 0x33 || f.dst[1] != 0x33)) {
		return o
	}
	e := t.v6[f.target]
	if e == nil {
		return o
	}
	if f.typ == typeNA {
		by := f.link
		if by == (links.MAC{}) {
			by = f.src
		}
		if !own.has(by) {
			o.claimed, o.by = e, by
		}
		return o
	}
	// Override is set, as RFC 4861 section 7.2.4 asks for anything but anycast and proxied
	// addresses: exactly one host answers for the address, so its word replaces a cached
	// entry that names the owner before it. The source is the address itself, as hosts do it
	// that have the address on the link: some programs heed no other.
	r := ndFrame{src: self.mac, srcIP: f.target, typ: typeNA, target: f.target, link: self.mac}
	o.asked = e
	switch {
	case f.srcIP == [16]byte{}:
		// Duplicate address detection: the asker has no address yet and must not take this
		// one, so everybody is told (RFC 4861 section 7.2.4, RFC 4862 section 5.4.3).
		o.probe = true
		r.dst, r.dstIP, r.flags = groupMAC(allNodes()), allNodes(), flagOverride
	case f.link.IsUnicast():
		r.dst, r.dstIP, r.flags = f.link, f.srcIP, flagSolicited|flagOverride
	case f.link == links.MAC{} && f.src.IsUnicast():
		// A unicast solicitation may come without the option, as the asker believes itself
		// known. It came over this link, with a hop limit that no router leaves: the frame's
		// source is the asker, with no need for a cache of neighbours.
		r.dst, r.dstIP, r.flags = f.src, f.srcIP, flagSolicited|flagOverride
	default:
		return outcome{}
	}
	o.reply = r.append(out[:0])
	return o
}
