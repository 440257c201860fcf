package links

import (
	"cmp"
	"net/netip"
	"slices"
	"strings"
)

// Link is one network interface. It is immutable.
type Link struct {
	Name  string
	Index int
	// MAC is zero where the link has no Ethernet address.
	MAC MAC
	// MTU is in bytes, without the Ethernet header.
	MTU int
	// Type is the kernel's kind ("veth", "bridge", "bond"), or "device" for hardware.
	Type string
	// Up means administratively up and operational: the kernel would send through it.
	Up bool
	// Carrier is the physical layer's view alone.
	Carrier bool
	// Master is the index of the bridge, bond or VRF the link is enslaved to, or 0.
	Master int
	// NoARP, Broadcast and Loopback are the kernel's interface flags.
	NoARP     bool
	Broadcast bool
	Loopback  bool
	// Prefixes are the link's addresses of both families with their prefix lengths, not
	// masked, sorted. Tentative and duplicate IPv6 addresses are not among them.
	Prefixes []netip.Prefix
	// LinkLocal6 is the usable IPv6 link-local address, without zone; invalid if there is
	// none, or if duplicate address detection has not finished or has failed.
	LinkLocal6 netip.Addr
}

// ARP tells whether ARP (RFC 826) can be spoken on the link.
func (l *Link) ARP() bool { return l.Broadcast && !l.NoARP && l.MAC.IsUnicast() }

// NDP tells whether Neighbor Discovery (RFC 4861) can be spoken on the link.
func (l *Link) NDP() bool { return !l.NoARP && l.MAC.IsUnicast() && l.LinkLocal6.IsValid() }

// Equal tells whether two links are the same in every field.
func (l *Link) Equal(o *Link) bool {
	return l.Name == o.Name && l.Index == o.Index && l.MAC == o.MAC && l.MTU == o.MTU &&
		l.Type == o.Type && l.Up == o.Up && l.Carrier == o.Carrier && l.Master == o.Master &&
		l.NoARP == o.NoARP && l.Broadcast == o.Broadcast && l.Loopback == o.Loopback &&
		l.LinkLocal6 == o.LinkLocal6 && slices.Equal(l.Prefixes, o.Prefixes)
}

// Snapshot is the state of all interfaces at one moment. It is immutable.
type Snapshot struct {
	// Links is sorted by name.
	Links []Link
	// Gateways are the next hops of the default routes of both families in the main routing
	// table, by metric and then by address. Routes that cannot be used are not among them. There
	// are none while nobody needs them.
	Gateways []Gateway
}

// Gateway is a next hop of a default route.
type Gateway struct {
	// Address has the link as its zone where it is an IPv6 link-local one.
	Address netip.Addr
	// Link is the name of the link that the route goes through.
	Link string
	// Metric is the priority of the route; lower goes first.
	Metric int
}

// ByName finds a link by its name.
func (s *Snapshot) ByName(name string) (*Link, bool) {
	i, ok := slices.BinarySearchFunc(s.Links, name, func(l Link, n string) int { return strings.Compare(l.Name, n) })
	if !ok {
		return nil, false
	}
	return &s.Links[i], true
}

// Equal tells whether two snapshots show the same links and gateways.
func (s *Snapshot) Equal(o *Snapshot) bool {
	return slices.EqualFunc(s.Links, o.Links, func(a, b Link) bool { return a.Equal(&b) }) && slices.Equal(s.Gateways, o.Gateways)
}

// sortedGateways sorts by metric and address, and leaves out duplicates.
func sortedGateways(gs []Gateway) []Gateway {
	slices.SortFunc(gs, func(a, b Gateway) int { return cmp.Or(cmp.Compare(a.Metric, b.Metric), a.Address.Compare(b.Address)) })
	return slices.Compact(gs)
}

// NewSnapshot makes a snapshot of the links given, which it sorts.
func NewSnapshot(ls []Link) *Snapshot {
	slices.SortFunc(ls, func(a, b Link) int { return strings.Compare(a.Name, b.Name) })
	return &Snapshot{Links: ls}
}
