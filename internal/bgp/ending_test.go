package bgp

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lintel-lb/lintel/internal/bgp/wire"
)

func TestDrain(t *testing.T) {
	bubble(t, nil, func(t *testing.T, r *rig) {
		r.Set(onePeer(testConfig(), oneRoute(Attributes{Communities: NewCommunities([]uint32{1}, nil, nil)})))
		p := r.up(peerOpen())
		p.expectEndOfRIB()
		done := make(chan error, 1)
		start := time.Now()
		go func() {
			done <- r.Shutdown(t.Context(), Ending{End: EndDrain, Wait: 5 * time.Second, Text: "node is drained"})
		}()
		u := p.expectUpdate()
		if !slices.Equal(u.Route.Communities, []uint32{1, GracefulShutdownCommunity}) || time.Since(start) != 0 {
			t.Errorf("first %+v after %v", u, time.Since(start))
		}
		u = p.expectUpdate()
		if !slices.Equal(u.Withdrawn, []netip.Prefix{vip}) || time.Since(start) != 5*time.Second {
			t.Errorf("then %+v after %v", u, time.Since(start))
		}
		n := p.expectNotification(wire.CodeCease, wire.CeaseAdminShutdown)
		if !strings.Contains(n.String(), `"node is drained"`) {
			t.Errorf("NOTIFICATION %v", n)
		}
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

// A session that breaks while it drains ends, and does not come back.
func TestDrainOfBrokenSession(t *testing.T) {
	bubble(t, nil, func(t *testing.T, r *rig) {
		r.Set(onePeer(testConfig(), oneRoute(Attributes{})))
		p := r.up(peerOpen())
		p.expectEndOfRIB()
		done := make(chan error, 1)
		start := time.Now()
		go func() { done <- r.Shutdown(t.Context(), Ending{End: EndDrain, Wait: time.Hour}) }()
		p.expectUpdate()
		p.c.Close()
		if err := <-done; err != nil || time.Since(start) > time.Second {
			t.Errorf("%v after %v", err, time.Since(start))
		}
		if n := r.net.dialled(); n != 1 {
			t.Errorf("%d dials", n)
		}
	})
}

func TestUninstall(t *testing.T) {
	bubble(t, nil, func(t *testing.T, r *rig) {
		c := testConfig()
		c.GracefulRestart = GracefulRestart{Enabled: true, RestartTime: 30 * time.Second, Notification: true}
		r.Set(onePeer(c, oneRoute(Attributes{})))
		o := peerOpen()
		o.Capabilities.GracefulRestart.Notification = true
		p := r.up(o)
		p.expectEndOfRIB()
		done := make(chan error, 1)
		go func() { done <- r.Shutdown(t.Context(), Ending{End: EndUninstall}) }()
		if u := p.expectUpdate(); !slices.Equal(u.Withdrawn, []netip.Prefix{vip}) {
			t.Errorf("first %+v", u)
		}
		// With the N bit only a hard reset ends the routes (RFC 8538).
		n := p.expectNotification(wire.CodeCease, wire.CeaseHardReset)
		if !slices.Equal(n.Data, []byte{byte(wire.CodeCease), wire.CeaseAdminShutdown}) {
			t.Errorf("NOTIFICATION %v", n)
		}
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

// Restart closes without a word, so that graceful restart keeps the routes.
func TestRestartIsSilent(t *testing.T) {
	bubble(t, nil, func(t *testing.T, r *rig) {
		r.Set(onePeer(testConfig(), oneRoute(Attributes{})))
		p := r.up(peerOpen())
		p.expectEndOfRIB()
		synctest.Wait()
		r.cancel()
		p.expectEnd()
	})
}

// A peer that reads nothing cannot hold up the end for long.
func TestShutdownIsBounded(t *testing.T) {
	bubble(t, nil, func(t *testing.T, r *rig) {
		r.Set(onePeer(testConfig(), oneRoute(Attributes{})))
		r.up(peerOpen())
		r.wantState(StateEstablished)
		start := time.Now()
		if err := r.Shutdown(t.Context(), Ending{End: EndUninstall}); err != nil {
			t.Error(err)
		}
		if d := time.Since(start); d > withdrawTime+finishTime {
			t.Errorf("took %v", d)
		}
	})
}

func TestRemovedPeerIsTold(t *testing.T) {
	bubble(t, nil, func(t *testing.T, r *rig) {
		r.Set(onePeer(testConfig(), oneRoute(Attributes{})))
		p := r.up(peerOpen())
		p.expectEndOfRIB()
		r.Set(Desired{})
		p.expectNotification(wire.CodeCease, wire.CeasePeerDeconfigured)
		synctest.Wait()
		if n := len(r.Snapshot()); n != 0 {
			t.Errorf("%d peers left", n)
		}
		// And comes back when it is wanted again.
		r.Set(onePeer(testConfig(), oneRoute(Attributes{})))
		r.up(peerOpen()).expectEndOfRIB()
	})
}
