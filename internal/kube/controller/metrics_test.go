package controller

import (
	"testing"

	"github.com/prometheus/client_golang/prometheus"
)

// A replica that stands by reads no configuration. That is no reason for an alert.
func TestAReplicaThatStandsByHasNoSeries(t *testing.T) {
	r := prometheus.NewRegistry()
	m, err := NewMetrics(r)
	if err != nil {
		t.Fatal(err)
	}
	if families, err := r.Gather(); err != nil || len(families) > 0 {
		t.Errorf("standing by: %v %v", families, err)
	}
	m.leading.Store(true)
	if families, err := r.Gather(); err != nil || len(families) != 2 || families[0].GetMetric()[0].GetGauge().GetValue() != 0 {
		t.Errorf("leading: %v %v", families, err)
	}
}
