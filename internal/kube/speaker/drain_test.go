package speaker

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/lintel-lb/lintel/internal/lb"
)

// A drain that begins is waited for. A node that a starting speaker finds drained, as after a
// reboot for maintenance, has long left its routers: it does not come back for the wait.
func TestDrainTimer(t *testing.T) {
	node := &lb.Node{Labels: map[string]string{lb.LabelDrain: ""}}
	synctest.Test(t, func(t *testing.T) {
		d := drainTimer{}
		if d.follow(&lb.Node{}, false) || d.follow(node, true) {
			t.Error("drained without a wait")
		}
		<-d.due
		if !d.follow(node, true) {
			t.Error("not drained after the wait")
		}
		if d.follow(&lb.Node{}, true) || d.due != nil {
			t.Error("still drained")
		}
		start := time.Now()
		d = drainTimer{}
		if !d.follow(node, false) || time.Since(start) != 0 {
			t.Error("a node that was found drained announces")
		}
	})
}
