package main

import (
	"context"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// plainMetrics serves /metrics without authentication on an address that the operator gives, for
// those who cannot give their scraper a token, or who protect the address by other means.
type plainMetrics struct {
	addr     string
	gatherer prometheus.Gatherer
}

// Run serves until ctx is done.
func (p plainMetrics) Run(ctx context.Context) error {
	mux := http.NewServeMux()
	mux.Handle("/metrics", promhttp.HandlerFor(p.gatherer, promhttp.HandlerOpts{ErrorHandling: promhttp.HTTPErrorOnError}))
	return serveHTTP(ctx, "metrics", p.addr, mux, 10*time.Second)
}
