package main

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"golang.org/x/sync/errgroup"
)

// runAll runs functions side by side until one fails or ctx is done, and waits for all. Each
// must return soon after its context is done.
func runAll(ctx context.Context, runs ...func(context.Context) error) error {
	g, ctx := errgroup.WithContext(ctx)
	for _, run := range runs {
		g.Go(func() error { return run(ctx) })
	}
	return g.Wait()
}

// health serves /healthz and /readyz.
type health struct {
	addr string
	// ready says why the process is not ready; nil means that it is.
	ready func() error
}

// Run serves until ctx is done.
func (h health) Run(ctx context.Context) error {
	mux := http.NewServeMux()
	mux.HandleFunc("/healthz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	mux.HandleFunc("/readyz", func(w http.ResponseWriter, _ *http.Request) {
		if err := h.ready(); err != nil {
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
			return
		}
		fmt.Fprintln(w, "ok")
	})
	return serveHTTP(ctx, "health", h.addr, mux, 5*time.Second)
}
