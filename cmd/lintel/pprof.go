package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/pprof"
	"time"
)

// profiler serves /debug/pprof/, without authentication, on an address that the operator gives.
type profiler struct{ addr string }

// Run serves until ctx is done.
func (p profiler) Run(ctx context.Context) error {
	mux := http.NewServeMux()
	mux.HandleFunc("/debug/pprof/", pprof.Index)
	mux.HandleFunc("/debug/pprof/cmdline", pprof.Cmdline)
	mux.HandleFunc("/debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("/debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("/debug/pprof/trace", pprof.Trace)
	return serveHTTP(ctx, "pprof", p.addr, mux, 2*time.Minute)
}

// serveHTTP serves plain HTTP until ctx is done. write bounds one answer.
func serveHTTP(ctx context.Context, what, addr string, h http.Handler, write time.Duration) error {
	server := &http.Server{Handler: h, ReadTimeout: 5 * time.Second, WriteTimeout: write}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", addr)
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	defer context.AfterFunc(ctx, func() { server.Close() })()
	if err = server.Serve(listener); ctx.Err() == nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	return nil
}
