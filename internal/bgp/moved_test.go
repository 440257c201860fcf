package bgp

import (
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lintel-lb/lintel/internal/bgp/wire"
)

// A router that is not the peer any more is told to forget the routes: it would keep them for the
// restart time, or the long-lived stale time, while nobody comes back.
func TestRouterIsLeftForAnother(t *testing.T) {
	for name, notification := range map[string]bool{"graceful restart": false, "also after NOTIFICATION": true} {
		t.Run(name, func(t *testing.T) {
			bubble(t, nil, func(t *testing.T, r *rig) {
				c := testConfig()
				c.GracefulRestart = GracefulRestart{Enabled: true, RestartTime: 30 * time.Second, Notification: notification}
				o := peerOpen()
				o.Capabilities.GracefulRestart.Notification = notification
				r.Set(onePeer(c, oneRoute(Attributes{})))
				old := r.up(o)
				old.expectEndOfRIB()
				c.PeerAddress = netip.MustParseAddr("192.0.2.2")
				r.Set(onePeer(c, oneRoute(Attributes{})))
				if notification {
					old.expectNotification(wire.CodeCease, wire.CeaseHardReset)
				} else {
					old.expectNotification(wire.CodeCease, wire.CeasePeerDeconfigured)
				}
				r.up(o).expectEndOfRIB()

				// With the same router, the routes are to survive.
				synctest.Wait()
				c.Hold = 30 * time.Second
				r.Set(onePeer(c, oneRoute(Attributes{})))
				r.up(o).expectEndOfRIB()
			})
		})
	}
}
