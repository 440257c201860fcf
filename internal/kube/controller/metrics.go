package controller

import (
	"math"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/lintel-lb/lintel/internal/config"
	"github.com/lintel-lb/lintel/internal/ipam"
)

// Metrics are the controller's own series, under the names that MetalLB uses.
type Metrics struct {
	loaded, stale prometheus.Gauge
	// leading is set in a replica that leads. Others read no configuration, and have no series.
	leading atomic.Bool
	counts  atomic.Pointer[map[string]ipam.Counts]
}

// NewMetrics makes the series and registers them.
func NewMetrics(r prometheus.Registerer) (*Metrics, error) {
	m := &Metrics{
		loaded: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "metallb_k8s_client_config_loaded_bool", Help: "1 once the configuration was read."}),
		stale: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "metallb_k8s_client_config_stale_bool", Help: "1 while an object of the configuration is refused."}),
	}
	for _, c := range []prometheus.Collector{(*configCollector)(m), (*poolCollector)(m)} {
		if err := r.Register(c); err != nil {
			return nil, err
		}
	}
	return m, nil
}

func (m *Metrics) configLoaded(verdicts []config.Verdict) {
	refused := 0.0
	for _, v := range verdicts {
		if !v.Accepted {
			refused = 1
		}
	}
	m.loaded.Set(1)
	m.stale.Set(refused)
}

// configCollector gives the series about the configuration while the replica leads.
type configCollector Metrics

// Describe implements prometheus.Collector.
func (c *configCollector) Describe(ch chan<- *prometheus.Desc) {
	c.loaded.Describe(ch)
	c.stale.Describe(ch)
}

// Collect implements prometheus.Collector.
func (c *configCollector) Collect(ch chan<- prometheus.Metric) {
	if c.leading.Load() {
		c.loaded.Collect(ch)
		c.stale.Collect(ch)
	}
}

// pools replaces the counters of all pools. The map must not be changed afterwards.
func (m *Metrics) pools(counts map[string]ipam.Counts) { m.counts.Store(&counts) }

// poolCollector gives the counters of the pools that exist when they are asked for.
type poolCollector Metrics

// series are the pool counters, by the part of their name that differs.
func series() map[string]func(ipam.Counts) int64 {
	v4 := func(n ipam.Counts) int64 { return saturate(n.AssignedIPv4, n.AvailableIPv4) }
	v6 := func(n ipam.Counts) int64 { return saturate(n.AssignedIPv6, n.AvailableIPv6) }
	return map[string]func(ipam.Counts) int64{
		"addresses_total":             func(n ipam.Counts) int64 { return saturate(v4(n), v6(n)) },
		"ipv4_addresses_total":        v4,
		"ipv6_addresses_total":        v6,
		"addresses_in_use_total":      func(n ipam.Counts) int64 { return n.AssignedIPv4 + n.AssignedIPv6 },
		"ipv4_addresses_in_use_total": func(n ipam.Counts) int64 { return n.AssignedIPv4 },
		"ipv6_addresses_in_use_total": func(n ipam.Counts) int64 { return n.AssignedIPv6 },
	}
}

func desc(name string) *prometheus.Desc {
	return prometheus.NewDesc("metallb_allocator_"+name, "Addresses of a pool: all, or those in use.", []string{"pool"}, nil)
}

// Describe implements prometheus.Collector.
func (c *poolCollector) Describe(ch chan<- *prometheus.Desc) {
	for name := range series() {
		ch <- desc(name)
	}
}

// Collect implements prometheus.Collector.
func (c *poolCollector) Collect(ch chan<- prometheus.Metric) {
	counts := c.counts.Load()
	if counts == nil {
		return
	}
	for name, value := range series() {
		for pool, n := range *counts {
			ch <- prometheus.MustNewConstMetric(desc(name), prometheus.GaugeValue, float64(value(n)), pool)
		}
	}
}

// saturate adds without overflow.
func saturate(a, b int64) int64 {
	if a > math.MaxInt64-b {
		return math.MaxInt64
	}
	return a + b
}
