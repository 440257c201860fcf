package wiretest

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/netip"

	"github.com/lintel-lb/lintel/internal/bgp/wire"
)

// Update is the content of an UPDATE message.
type Update struct {
	Withdrawn []netip.Prefix
	Announced []netip.Prefix
	// EndOfRIB is the family of an End-of-RIB marker, else 0.
	EndOfRIB wire.Family
	Route    Route
}

// Route holds decoded path attributes; fmt.Sprintf("%v") of it is canonical.
type Route struct {
	NextHop        netip.Addr
	ASPath         []uint32
	AS4Path        []uint32
	MED, LocalPref int64 // -1 where absent
	Communities    []uint32
	Large          [][3]uint32
	Extended       []uint64
}

type reader struct {
	b   []byte
	err error
}

func (r *reader) take(n int) []byte {
	if r.err != nil || n > len(r.b) {
		if r.err == nil {
			r.err = fmt.Errorf("wiretest: %d octets wanted, %d left", n, len(r.b))
		}
		return make([]byte, n)
	}
	out := r.b[:n]
	r.b = r.b[n:]
	return out
}

func (r *reader) u8() int     { return int(r.take(1)[0]) }
func (r *reader) u16() int    { return int(binary.BigEndian.Uint16(r.take(2))) }
func (r *reader) u32() uint32 { return binary.BigEndian.Uint32(r.take(4)) }

func (r *reader) prefixes(f wire.Family) (out []netip.Prefix) {
	for r.err == nil && len(r.b) > 0 {
		bits := r.u8()
		size := 16
		if f.AFI() == 1 {
			size = 4
		}
		if bits > 8*size {
			r.err = fmt.Errorf("wiretest: prefix length %d", bits)
			return nil
		}
		raw := make([]byte, size)
		copy(raw, r.take((bits+7)/8))
		a, _ := netip.AddrFromSlice(raw)
		p := netip.PrefixFrom(a, bits)
		if p != p.Masked() {
			r.err = fmt.Errorf("wiretest: %v has bits after its length", p)
		}
		out = append(out, p)
	}
	return out
}

// Parse reads the body of an UPDATE. four tells the size of the numbers in AS_PATH.
func Parse(body []byte, four bool) (*Update, error) {
	u := &Update{Route: Route{MED: -1, LocalPref: -1}}
	r := &reader{b: body}
	w := &reader{b: r.take(r.u16())}
	u.Withdrawn = w.prefixes(wire.IPv4Unicast)
	attrs := &reader{b: r.take(r.u16())}
	if w.err != nil || r.err != nil {
		return nil, fmt.Errorf("wiretest: withdrawn routes: %w", errors.Join(w.err, r.err))
	}
	u.Announced = r.prefixes(wire.IPv4Unicast)
	empty := len(u.Withdrawn) == 0 && len(u.Announced) == 0
	if empty && len(attrs.b) == 0 {
		u.EndOfRIB = wire.IPv4Unicast
	}
	seen := map[int]bool{}
	for attrs.err == nil && len(attrs.b) > 0 {
		flags, code := attrs.u8(), attrs.u8()
		if seen[code] {
			return nil, fmt.Errorf("wiretest: attribute %d twice", code)
		}
		seen[code] = true
		n := 0
		if flags&0x10 != 0 {
			n = attrs.u16()
		} else {
			n = attrs.u8()
		}
		v := &reader{b: attrs.take(n)}
		if err := u.attribute(code, v, four); err != nil {
			return nil, err
		}
		if v.err != nil || len(v.b) > 0 {
			return nil, fmt.Errorf("wiretest: attribute %d: %d octets left: %w", code, len(v.b), errors.Join(v.err, io.ErrUnexpectedEOF))
		}
		if code == 15 && len(seen) == 1 && len(attrs.b) == 0 && empty && len(u.Withdrawn) == 0 {
			u.EndOfRIB = wire.IPv6Unicast
		}
	}
	if attrs.err != nil || r.err != nil {
		return nil, fmt.Errorf("wiretest: %w", errors.Join(attrs.err, r.err))
	}
	if len(u.Announced) > 0 && (!seen[1] || !seen[2] || !u.Route.NextHop.IsValid()) {
		return nil, fmt.Errorf("wiretest: mandatory attribute missing in %v", seen)
	}
	return u, nil
}

func (u *Update) attribute(code int, v *reader, four bool) error {
	switch code {
	case 1:
		if o := v.u8(); o != 0 {
			return fmt.Errorf("wiretest: ORIGIN %d", o)
		}
	case 2:
		u.Route.ASPath = v.path(four)
	case 17:
		u.Route.AS4Path = v.path(true)
	case 3:
		u.Route.NextHop = netip.AddrFrom4([4]byte(v.take(4)))
	case 4:
		u.Route.MED = int64(v.u32())
	case 5:
		u.Route.LocalPref = int64(v.u32())
	case 8:
		for v.err == nil && len(v.b) > 0 {
			u.Route.Communities = append(u.Route.Communities, v.u32())
		}
	case 16:
		for v.err == nil && len(v.b) > 0 {
			u.Route.Extended = append(u.Route.Extended, binary.BigEndian.Uint64(v.take(8)))
		}
	case 32:
		for v.err == nil && len(v.b) > 0 {
			u.Route.Large = append(u.Route.Large, [3]uint32{v.u32(), v.u32(), v.u32()})
		}
	case 14:
		f := wire.NewFamily(uint16(v.u16()), uint8(v.u8()))
		hop := v.take(v.u8())
		v.u8()
		a, ok := netip.AddrFromSlice(hop)
		if !ok {
			return fmt.Errorf("wiretest: next hop of %d octets", len(hop))
		}
		u.Route.NextHop = a
		u.Announced = append(u.Announced, v.prefixes(f)...)
	case 15:
		f := wire.NewFamily(uint16(v.u16()), uint8(v.u8()))
		u.Withdrawn = append(u.Withdrawn, v.prefixes(f)...)
	default:
		return fmt.Errorf("wiretest: attribute %d", code)
	}
	return nil
}

func (r *reader) path(four bool) (out []uint32) {
	for r.err == nil && len(r.b) > 0 {
		if kind := r.u8(); kind != 2 {
			r.err = fmt.Errorf("wiretest: path segment type %d", kind)
		}
		for n := r.u8(); n > 0; n-- {
			if four {
				out = append(out, r.u32())
			} else {
				out = append(out, uint32(r.u16()))
			}
		}
	}
	return out
}
