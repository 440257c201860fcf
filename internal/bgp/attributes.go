package bgp

import (
	"net/netip"
	"slices"

	"github.com/lintel-lb/lintel/internal/bgp/wire"
)

const (
	// defaultLocalPref is what internal peers get where nothing is asked for; they need
	// the attribute (RFC 4271, section 5.1.5).
	defaultLocalPref = 100
	// attributeRoom is what attributes may take of a message so that a prefix always fits:
	// the rest is header, next hop, origin and attribute headers.
	attributeRoom = wire.MaxMessageLen - 256
)

// OptionalUint32 is a number or nothing; the zero value is nothing.
type OptionalUint32 struct {
	value uint32
	set   bool
}

// Some is a number.
func Some(v uint32) OptionalUint32 { return OptionalUint32{value: v, set: true} }

// Get returns the number and whether there is one.
func (o OptionalUint32) Get() (uint32, bool) { return o.value, o.set }

func (o OptionalUint32) pointer() *uint32 {
	if !o.set {
		return nil
	}
	return &o.value
}

// Attributes are the path attributes of a route. They are comparable with ==; prefixes
// with equal attributes share messages.
type Attributes struct {
	// NextHop is where traffic is sent; invalid means this end of the session.
	NextHop netip.Addr
	// LocalPref is for internal peers only, which get 100 where there is none.
	LocalPref OptionalUint32
	// MED is MULTI_EXIT_DISC.
	MED OptionalUint32
	// Prepend is how often the local AS is repeated beyond once, for external peers only.
	Prepend uint8
	// Communities are of all kinds.
	Communities Communities
	// LinkBandwidth is a rate in octets per second for weighted ECMP
	// (draft-ietf-idr-link-bandwidth); 0 is without.
	LinkBandwidth uint64
	// GracefulShutdown adds the community that asks peers to prefer any other path before
	// this one goes away (RFC 8326).
	GracefulShutdown bool
}

// fits tells whether a message has room for the attributes.
func (a *Attributes) fits() bool {
	return a.Communities.octets()+2*4*int(a.Prepend) <= attributeRoom
}

// encode makes the wire form for one session. hop is the resolved next hop.
func (a *Attributes) encode(n *negotiated, hop netip.Addr) wire.PathAttributes {
	p := wire.PathAttributes{
		NextHop:     hop,
		MED:         a.MED.pointer(),
		Communities: a.Communities.Standard(),
		Large:       a.Communities.Large(),
		Extended:    a.Communities.Extended(),
		FourOctetAS: n.fourOctetAS,
	}
	if n.external {
		p.ASPath = slices.Repeat([]uint32{n.localASN}, 1+int(a.Prepend))
	} else if p.LocalPref = a.LocalPref.pointer(); p.LocalPref == nil {
		p.LocalPref = Some(defaultLocalPref).pointer()
	}
	if a.GracefulShutdown && !slices.Contains(p.Communities, GracefulShutdownCommunity) {
		p.Communities = append(p.Communities, GracefulShutdownCommunity)
		slices.Sort(p.Communities)
	}
	if a.LinkBandwidth != 0 {
		p.Extended = append(p.Extended, wire.LinkBandwidth(n.localASN, float32(a.LinkBandwidth)))
		slices.Sort(p.Extended)
	}
	return p
}
