package bfd

import (
	"encoding/binary"
	"math"
	"time"
)

const (
	version      = 1
	headerLen    = 24 // without authentication section
	maxPacketLen = headerLen + sha1SectionLen
)

// Bits of the second octet below the state.
const (
	flagPoll       = 0x20
	flagFinal      = 0x10
	flagControl    = 0x08
	flagAuth       = 0x04
	flagDemand     = 0x02
	flagMultipoint = 0x01
)

// Packet is a BFD Control packet (RFC 5880 section 4.1). Times are carried as microseconds in 32
// bits: they are truncated to a microsecond and cut at about 71 minutes.
type Packet struct {
	Diagnostic              Diagnostic
	State                   State
	Poll                    bool
	Final                   bool
	ControlPlaneIndependent bool
	Demand                  bool
	DetectMultiplier        uint8
	MyDiscriminator         uint32
	YourDiscriminator       uint32
	DesiredMinTx            time.Duration
	RequiredMinRx           time.Duration
	RequiredMinEchoRx       time.Duration

	// Auth is the authentication section; its Type is AuthNone without one.
	Auth AuthSection
}

// append appends the packet without an authentication section to b; [AuthKey.sign] adds one.
func (p *Packet) append(b []byte) []byte {
	b = append(b,
		version<<5|uint8(p.Diagnostic)&0x1f,
		uint8(p.State)<<6|bit(p.Poll, flagPoll)|bit(p.Final, flagFinal)|
			bit(p.ControlPlaneIndependent, flagControl)|bit(p.Demand, flagDemand),
		p.DetectMultiplier,
		headerLen,
	)
	b = binary.BigEndian.AppendUint32(b, p.MyDiscriminator)
	b = binary.BigEndian.AppendUint32(b, p.YourDiscriminator)
	b = binary.BigEndian.AppendUint32(b, micros(p.DesiredMinTx))
	b = binary.BigEndian.AppendUint32(b, micros(p.RequiredMinRx))
	return binary.BigEndian.AppendUint32(b, micros(p.RequiredMinEchoRx))
}

// decode reads the packet at the start of b, which may be longer than the packet, and applies
// those rules of RFC 5880 section 6.8.6 that need no session. On an error p is undefined.
func (p *Packet) decode(b []byte) error {
	if len(b) < headerLen {
		return errShort
	}
	if b[0]>>5 != version {
		return errVersion
	}
	flags, n := b[1], int(b[3])
	if n < headerLen || n > len(b) {
		return errShort
	}
	*p = Packet{
		Diagnostic:              Diagnostic(b[0] & 0x1f),
		State:                   State(flags >> 6),
		Poll:                    flags&flagPoll != 0,
		Final:                   flags&flagFinal != 0,
		ControlPlaneIndependent: flags&flagControl != 0,
		Demand:                  flags&flagDemand != 0,
		DetectMultiplier:        b[2],
		MyDiscriminator:         binary.BigEndian.Uint32(b[4:]),
		YourDiscriminator:       binary.BigEndian.Uint32(b[8:]),
		DesiredMinTx:            duration(b[12:]),
		RequiredMinRx:           duration(b[16:]),
		RequiredMinEchoRx:       duration(b[20:]),
	}
	switch {
	case p.DetectMultiplier == 0:
		return errMultiplier
	case flags&flagMultipoint != 0:
		return errMultipoint
	case p.MyDiscriminator == 0:
		return errDiscriminator
	case p.YourDiscriminator == 0 && p.State != Down && p.State != AdminDown:
		return errNoSession
	case flags&flagAuth != 0:
		return p.Auth.decode(b[headerLen:n])
	}
	return nil
}

func bit(set bool, mask uint8) uint8 {
	if set {
		return mask
	}
	return 0
}

func micros(d time.Duration) uint32 {
	return uint32(min(max(d/time.Microsecond, 0), math.MaxUint32))
}

func duration(b []byte) time.Duration {
	return time.Duration(binary.BigEndian.Uint32(b)) * time.Microsecond
}
