package speaker

import (
	"maps"
	"net/netip"
	"slices"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/lintel-lb/lintel/internal/bgp"
	"github.com/lintel-lb/lintel/internal/lb"
)

// bgpCollector reads the state of the sessions when it is asked for.
type bgpCollector struct {
	sessions interface{ Snapshot() map[string]bgp.Status }
	// labels are the ends of the sessions, "address:port", by name of the peer.
	labels atomic.Pointer[map[string]string]
}

// label is how MetalLB names a session: by the address and port of the other end; an
// unnumbered one by its interface. A router that came from a network is at the port of BGP.
func (c *bgpCollector) label(peer string) string {
	if a, _ := neighborOf(peer); a.IsValid() {
		return netip.AddrPortFrom(a, bgpPort).String()
	}
	if labels := c.labels.Load(); labels != nil && (*labels)[peer] != "" {
		return (*labels)[peer]
	}
	return peer
}

// sessionLabel is the label of the session with a peer; a router that is not found has none.
func sessionLabel(p *lb.Peer) string {
	if p.Interface != "" || !p.Address.IsValid() {
		return p.Interface
	}
	port := p.Port
	if port == 0 || p.Passive {
		port = bgpPort
	}
	return netip.AddrPortFrom(p.Address, port).String()
}

// bgpPort is the well-known port (RFC 4271).
const bgpPort = 179

// bgpSeries is one series for each session.
type bgpSeries struct {
	name, help string
	kind       prometheus.ValueType
	value      func(bgp.Status) float64
}

func bgpSeriesList() []bgpSeries {
	up := func(s bgp.Status) float64 {
		if s.State == bgp.StateEstablished {
			return 1
		}
		return 0
	}
	counter := func(name, help string, value func(bgp.Status) uint64) bgpSeries {
		return bgpSeries{name, help, prometheus.CounterValue, func(s bgp.Status) float64 { return float64(value(s)) }}
	}
	return []bgpSeries{
		{"session_up", "1 while the session is Established.", prometheus.GaugeValue, up},
		{"announced_prefixes_total", "Prefixes that the peer was sent.", prometheus.GaugeValue, func(s bgp.Status) float64 { return float64(len(s.Routes)) }},
		{"pending_prefixes_total", "Prefixes that are still to be announced or withdrawn.", prometheus.GaugeValue, func(s bgp.Status) float64 { return float64(s.Pending) }},
		counter("updates_total", "UPDATE messages sent.", func(s bgp.Status) uint64 { return s.Sent.Updates }),
		counter("updates_total_received", "UPDATE messages received.", func(s bgp.Status) uint64 { return s.Received.Updates }),
		counter("opens_sent", "OPEN messages sent.", func(s bgp.Status) uint64 { return s.Sent.Opens }),
		counter("opens_received", "OPEN messages received.", func(s bgp.Status) uint64 { return s.Received.Opens }),
		counter("notifications_sent", "NOTIFICATION messages sent.", func(s bgp.Status) uint64 { return s.Sent.Notifications }),
		counter("keepalives_sent", "KEEPALIVE messages sent.", func(s bgp.Status) uint64 { return s.Sent.Keepalives }),
		counter("keepalives_received", "KEEPALIVE messages received.", func(s bgp.Status) uint64 { return s.Received.Keepalives }),
		counter("route_refresh_sent", "ROUTE-REFRESH messages sent.", func(s bgp.Status) uint64 { return s.Sent.RouteRefreshes }),
		counter("total_sent", "Messages sent.", func(s bgp.Status) uint64 { return s.Sent.Total() }),
		counter("total_received", "Messages received.", func(s bgp.Status) uint64 { return s.Received.Total() }),
	}
}

func (b bgpSeries) desc() *prometheus.Desc {
	return prometheus.NewDesc("metallb_bgp_"+b.name, b.help, []string{"peer"}, nil)
}

// Describe implements prometheus.Collector.
func (c *bgpCollector) Describe(ch chan<- *prometheus.Desc) {
	for _, s := range bgpSeriesList() {
		ch <- s.desc()
	}
}

// Collect implements prometheus.Collector.
func (c *bgpCollector) Collect(ch chan<- prometheus.Metric) {
	sessions := c.sessions.Snapshot()
	names := c.names(sessions)
	for _, s := range bgpSeriesList() {
		for session, name := range names {
			ch <- prometheus.MustNewConstMetric(s.desc(), s.kind, s.value(sessions[session]), name)
		}
	}
}

// names are the labels of the sessions. Two routers may have one address, in different VRFs; and
// as two series of one name would fail the whole of the metrics, the second has its own name.
func (c *bgpCollector) names(sessions map[string]bgp.Status) map[string]string {
	out, taken := map[string]string{}, map[string]bool{}
	for _, session := range slices.Sorted(maps.Keys(sessions)) {
		if _, network := neighborOf(session); network.IsValid() {
			continue // routers may come from it, but it is no session
		}
		name := c.label(session)
		if taken[name] {
			name = session
		}
		taken[name] = true
		out[session] = name
	}
	return out
}
