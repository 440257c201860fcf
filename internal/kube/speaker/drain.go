package speaker

import (
	"time"

	"github.com/lintel-lb/lintel/internal/lb"
)

// drainWait is how long a node that is drained announces its routes with GRACEFUL_SHUTDOWN
// (RFC 8326) before it withdraws them: long enough for routers to have moved traffic.
const drainWait = 5 * time.Second

// drainTimer follows the drain of the own node.
type drainTimer struct {
	// due receives when the wait is over; nil while the node is not drained.
	due   <-chan time.Time
	until time.Time
}

// follow takes the node as it is now, and tells whether it has been drained for long enough. One
// that is found drained at the start, when nothing is settled yet, has been.
func (d *drainTimer) follow(n *lb.Node, settled bool) (drained bool) {
	switch {
	case n == nil || !n.Draining():
		*d = drainTimer{}
	case d.due == nil:
		wait := drainWait
		if !settled {
			wait = 0
		}
		d.until = time.Now().Add(wait)
		d.due = time.After(wait)
	}
	return d.due != nil && !time.Now().Before(d.until)
}
