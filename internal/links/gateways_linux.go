package links

import (
	"fmt"
	"net"
	"net/netip"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// gateways lists the next hops of the default routes in the main table, of the routes that can
// be used now. names are those of the links, by index.
func gateways(names map[int]string) ([]Gateway, error) {
	var out []Gateway
	for _, family := range []int{netlink.FAMILY_V4, netlink.FAMILY_V6} {
		routes, err := netlink.RouteListFiltered(family, &netlink.Route{Table: unix.RT_TABLE_MAIN}, netlink.RT_FILTER_TABLE|netlink.RT_FILTER_DST)
		if err != nil {
			return nil, fmt.Errorf("links: list routes: %w", err)
		}
		for _, r := range routes {
			if r.Type != unix.RTN_UNICAST {
				continue
			}
			hops := r.MultiPath
			if len(hops) == 0 {
				hops = []*netlink.NexthopInfo{{LinkIndex: r.LinkIndex, Gw: r.Gw, Flags: r.Flags}}
			}
			for _, h := range hops {
				if g, ok := gateway(h, names); ok {
					g.Metric = r.Priority
					out = append(out, g)
				}
			}
		}
	}
	return sortedGateways(out), nil
}

func gateway(h *netlink.NexthopInfo, names map[int]string) (Gateway, bool) {
	a, ok := netip.AddrFromSlice(h.Gw)
	if !ok || h.Flags&(unix.RTNH_F_DEAD|unix.RTNH_F_LINKDOWN) != 0 {
		return Gateway{}, false
	}
	g := Gateway{Address: a.Unmap(), Link: names[h.LinkIndex]}
	if g.Address.IsLinkLocalUnicast() && g.Address.Is6() {
		g.Address = g.Address.WithZone(g.Link)
	}
	return g, true
}

// isDefault tells whether an event is about a default route.
func isDefault(u netlink.RouteUpdate) bool {
	return u.Dst == nil || u.Dst.IP.IsUnspecified() && isZero(u.Dst.Mask)
}

func isZero(m net.IPMask) bool {
	ones, _ := m.Size()
	return ones == 0
}
