package bgp

import (
	"context"
	"net/netip"
)

// Neighbors finds the routers on links of unnumbered sessions.
type Neighbors interface {
	// Join makes this node known on a link and looks for the other router there, until
	// leave is called, which does not wait.
	Join(iface string) (leave func())
	// Neighbor returns the link-local address, with zone, of the router on a joined link.
	// It waits for one until the context ends. After a change it returns the newest.
	Neighbor(ctx context.Context, iface string) (netip.Addr, error)
}
