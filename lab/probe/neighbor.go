package probe

import (
	"fmt"
	"net/netip"

	"github.com/vishvananda/netlink"
)

// Neighbor is what a client's kernel knows about an address on its own link.
type Neighbor struct {
	Addr netip.Addr

	// OnLink is whether the address is reached without a gateway. If not, the
	// kernel has no entry for it, and State and MAC are empty.
	OnLink bool

	// State is that of ip-neighbour(8), or "none" for no entry at all.
	State string

	// MAC is the link address that the kernel sends to, if it has one.
	MAC string
}

// Unresolved reports whether the kernel asked for the address on the link and
// has no answer.
func (n Neighbor) Unresolved() bool {
	return n.OnLink && (n.State == "incomplete" || n.State == "failed")
}

func (n Neighbor) String() string {
	switch {
	case !n.OnLink:
		return fmt.Sprintf("%s is not on the link", n.Addr)
	case n.MAC == "":
		return fmt.Sprintf("%s %s", n.Addr, n.State)
	default:
		return fmt.Sprintf("%s %s %s", n.Addr, n.MAC, n.State)
	}
}

// Neighbor looks addr up in the namespace's neighbour table. It sends nothing.
func (n *Namespace) Neighbor(addr netip.Addr) (Neighbor, error) {
	out := Neighbor{Addr: addr.Unmap()}
	routes, err := n.handle.RouteGet(out.Addr.AsSlice())
	if err != nil {
		return out, fmt.Errorf("probe: route to %s: %w", out.Addr, err)
	}
	if len(routes) == 0 || routes[0].Gw != nil || routes[0].Via != nil {
		return out, nil
	}
	family := netlink.FAMILY_V6
	if out.Addr.Is4() {
		family = netlink.FAMILY_V4
	}
	entries, err := n.handle.NeighList(routes[0].LinkIndex, family)
	if err != nil {
		return out, fmt.Errorf("probe: neighbours of %s: %w", out.Addr, err)
	}
	out.OnLink, out.State = true, "none"
	for _, e := range entries {
		if ip, ok := netip.AddrFromSlice(e.IP); ok && ip.Unmap() == out.Addr {
			out.State = neighborState(e.State)
			if len(e.HardwareAddr) > 0 {
				out.MAC = e.HardwareAddr.String()
			}
		}
	}
	return out, nil
}

func neighborState(s int) string {
	switch s {
	case netlink.NUD_INCOMPLETE:
		return "incomplete"
	case netlink.NUD_REACHABLE:
		return "reachable"
	case netlink.NUD_STALE:
		return "stale"
	case netlink.NUD_DELAY:
		return "delay"
	case netlink.NUD_PROBE:
		return "probe"
	case netlink.NUD_FAILED:
		return "failed"
	case netlink.NUD_NOARP:
		return "noarp"
	case netlink.NUD_PERMANENT:
		return "permanent"
	default:
		return "none"
	}
}
