package bgp

import (
	"sync/atomic"

	"github.com/lintel-lb/lintel/internal/bgp/wire"
)

// Counts are messages of a session by type, over all its connections since the session
// was first asked for.
type Counts struct {
	Opens, Updates, Notifications, Keepalives, RouteRefreshes uint64
}

// Total is the number of all messages.
func (c Counts) Total() uint64 {
	return c.Opens + c.Updates + c.Notifications + c.Keepalives + c.RouteRefreshes
}

// counters are written by the goroutines of connections.
type counters struct {
	opens, updates, notifications, keepalives, routeRefreshes atomic.Uint64
}

func (c *counters) add(t wire.MessageType, n int) {
	switch t {
	case wire.TypeOpen:
		c.opens.Add(uint64(n))
	case wire.TypeUpdate:
		c.updates.Add(uint64(n))
	case wire.TypeNotification:
		c.notifications.Add(uint64(n))
	case wire.TypeKeepalive:
		c.keepalives.Add(uint64(n))
	case wire.TypeRouteRefresh:
		c.routeRefreshes.Add(uint64(n))
	}
}

func (c *counters) load() Counts {
	return Counts{
		Opens: c.opens.Load(), Updates: c.updates.Load(), Notifications: c.notifications.Load(),
		Keepalives: c.keepalives.Load(), RouteRefreshes: c.routeRefreshes.Load(),
	}
}
