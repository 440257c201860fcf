package speaker

import (
	"net/netip"
	"slices"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/lintel-lb/lintel/internal/bfd"
	"github.com/lintel-lb/lintel/internal/bgp"
	"github.com/lintel-lb/lintel/internal/config"
	"github.com/lintel-lb/lintel/internal/l2"
	"github.com/lintel-lb/lintel/internal/lb"
)

// Metrics are the speaker's own series, under the names that MetalLB uses.
type Metrics struct {
	gauge  *prometheus.GaugeVec
	loaded prometheus.Gauge
	stale  prometheus.Gauge
	// copyInUse and copySaved are about the copy of the World on the disk.
	copyInUse, copySaved prometheus.Gauge
	bgp                  *bgpCollector
}

// NewMetrics makes the series and registers them. engine gives the counters of layer 2,
// sessions those of BGP, and paths those of BFD.
func NewMetrics(r prometheus.Registerer, engine interface{ Snapshot() l2.State }, sessions interface{ Snapshot() map[string]bgp.Status },
	paths interface{ Snapshot() bfd.Snapshot },
) (*Metrics, error) {
	m := &Metrics{
		gauge: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "metallb_speaker_announced",
			Help: "Addresses that this node announces: 1 for each Service and address.",
		}, []string{"service", "protocol", "node", "ip"}),
		loaded: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "metallb_k8s_client_config_loaded_bool",
			Help: "1 once the configuration was read.",
		}),
		stale: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "metallb_k8s_client_config_stale_bool",
			Help: "1 while an object of the configuration is refused.",
		}),
	}
	m.copyInUse = prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "lintel_speaker_copy_in_use_bool",
		Help: "1 while the speaker works from the copy on its disk because the API server cannot be reached.",
	})
	m.copySaved = prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "lintel_speaker_copy_checked_timestamp_seconds",
		Help: "When the copy on the disk was last written or found to be right; 0 if never.",
	})
	m.bgp = &bgpCollector{sessions: sessions}
	for _, c := range []prometheus.Collector{m.gauge, m.loaded, m.stale, m.copyInUse, m.copySaved, &l2Collector{engine: engine}, m.bgp, &bfdCollector{sessions: paths}} {
		if err := r.Register(c); err != nil {
			return nil, err
		}
	}
	return m, nil
}

func (m *Metrics) announced(node string, k lb.ServiceKey, before, now []netip.Addr) {
	for _, a := range before {
		if !slices.Contains(now, a) {
			m.gauge.DeleteLabelValues(k.String(), lb.Layer2.String(), node, a.String())
		}
	}
	for _, a := range now {
		m.gauge.WithLabelValues(k.String(), lb.Layer2.String(), node, a.String()).Set(1)
	}
}

// announcedBGP replaces the addresses of a Service that are announced by BGP.
func (m *Metrics) announcedBGP(node string, k lb.ServiceKey, now []netip.Addr) {
	m.gauge.DeletePartialMatch(prometheus.Labels{"service": k.String(), "protocol": lb.BGP.String()})
	for _, a := range now {
		m.gauge.WithLabelValues(k.String(), lb.BGP.String(), node, a.String()).Set(1)
	}
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

// l2Collector reads the engine's counters when they are asked for.
type l2Collector struct {
	engine interface{ Snapshot() l2.State }
}

func (c *l2Collector) Describe(ch chan<- *prometheus.Desc) { prometheus.DescribeByCollect(c, ch) }

func (c *l2Collector) descs() (received, sent, gratuitous *prometheus.Desc) {
	ip := []string{"ip"}
	return prometheus.NewDesc("metallb_layer2_requests_received", "ARP and NDP requests received for an announced address.", ip, nil),
		prometheus.NewDesc("metallb_layer2_responses_sent", "ARP and NDP answers sent for an announced address.", ip, nil),
		prometheus.NewDesc("metallb_layer2_gratuitous_sent", "Unsolicited ARP and NDP packets sent for an announced address.", ip, nil)
}

func (c *l2Collector) Collect(ch chan<- prometheus.Metric) {
	received, sent, gratuitous := c.descs()
	for a, st := range c.engine.Snapshot().Addresses {
		ip := a.String()
		ch <- prometheus.MustNewConstMetric(received, prometheus.CounterValue, float64(st.Counters.Requests), ip)
		ch <- prometheus.MustNewConstMetric(sent, prometheus.CounterValue, float64(st.Counters.Responses), ip)
		ch <- prometheus.MustNewConstMetric(gratuitous, prometheus.CounterValue, float64(st.Counters.Gratuitous), ip)
	}
}
