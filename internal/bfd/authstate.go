package bfd

import "time"

// authState holds the sequence numbers of one session (RFC 5880 section 6.8.1). Numbers are
// circular in 32 bits.
type authState struct {
	xmit     uint32 // bfd.XmitAuthSeq: the last number sent
	rcvd     uint32 // bfd.RcvAuthSeq
	known    bool   // bfd.AuthSeqKnown
	lastSeen time.Time
	horizon  time.Duration // two detection times, as of the last packet
}

// accept applies the sequence rule of the type to a packet whose digest is right (RFC 5880
// sections 6.7.3 and 6.7.4): the number lies at most three times the detection multiplier ahead of
// the last one; only the types that are not meticulous accept the last one again.
func (s *authState) accept(t AuthType, sequence uint32, multiplier uint8, now time.Time) bool {
	if s.known {
		ahead := sequence - s.rcvd
		if ahead > 3*uint32(multiplier) || ahead == 0 && t.meticulous() {
			return false
		}
	}
	s.rcvd, s.known, s.lastSeen = sequence, true, now
	return true
}

// forget clears what is known after two detection times without a packet, so that a peer that
// restarted with another number is heard again (RFC 5880 section 6.8.1, bfd.AuthSeqKnown).
func (s *authState) forget(now time.Time) {
	if s.known && now.Sub(s.lastSeen) >= s.horizon {
		s.known = false
	}
}

// next advances the number to send. It moves with every packet for all types, which RFC 5880
// section 6.7.3 allows where it is not required.
func (s *authState) next() uint32 {
	s.xmit++
	return s.xmit
}
