package speaker

import (
	"net/netip"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/lintel-lb/lintel/internal/bgp"
	"github.com/lintel-lb/lintel/internal/lb"
)

type sessionsOf map[string]bgp.Status

func (s sessionsOf) Snapshot() map[string]bgp.Status { return s }

// Two VRFs may use the same addresses, and no pair of series may have the same labels.
func TestRoutersOfOneAddressHaveSeriesOfTheirOwn(t *testing.T) {
	a := netip.MustParseAddr("192.0.2.1")
	labels := map[string]string{}
	for _, p := range []*lb.Peer{{Name: "blue", Address: a, VRF: "blue"}, {Name: "red", Address: a, VRF: "red"}} {
		labels[p.Name] = sessionLabel(p)
	}
	c := &bgpCollector{sessions: sessionsOf{"blue": {State: bgp.StateEstablished}, "red": {}}}
	c.labels.Store(&labels)
	r := prometheus.NewRegistry()
	if err := r.Register(c); err != nil {
		t.Fatal(err)
	}
	families, err := r.Gather()
	if err != nil {
		t.Fatal(err)
	}
	up := map[string]float64{}
	for _, f := range families {
		if f.GetName() == "metallb_bgp_session_up" {
			for _, m := range f.GetMetric() {
				up[m.GetLabel()[0].GetValue()] = m.GetGauge().GetValue()
			}
		}
	}
	if len(up) != 2 || up["192.0.2.1:179"] != 1 {
		t.Errorf("got %v", up)
	}
}
