package page

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"html/template"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"time"
)

// Headers that are on every answer.
const (
	HeaderPod  = "X-Lab-Pod"
	HeaderNode = "X-Lab-Node"
)

const (
	defaultSlow  = time.Second
	maxSlow      = time.Minute
	defaultEvery = 100 * time.Millisecond
	minEvery     = time.Millisecond

	readHeaderTimeout = 5 * time.Second
	idleTimeout       = time.Minute
	writeTimeout      = 10 * time.Second
	shutdownTimeout   = 5 * time.Second
)

// Answer is what / says in JSON.
type Answer struct {
	Pod  string `json:"pod"`
	Node string `json:"node"`

	// Client is the address and port that the connection came from, as this
	// server sees them: that of a node where traffic was masqueraded.
	Client string `json:"client"`

	// Server is the address and port that the connection arrived at.
	Server string `json:"server"`

	// Requests counts what this server was asked since its start, /healthz
	// left out.
	Requests uint64 `json:"requests"`
}

// Options describe a Server.
type Options struct {
	// Pod and Node name the server in every answer.
	Pod, Node string

	// Drain is for how long Run goes on accepting connections after it was told
	// to stop, so that nodes which have not heard of the stop yet are served.
	Drain time.Duration

	Log *slog.Logger
}

// Server is one page. Its handler is safe for concurrent use.
type Server struct {
	opts     Options
	requests atomic.Uint64
	draining atomic.Bool
	ending   chan struct{} // closed when streams must end
	handler  http.Handler
}

// New returns a Server that does not listen yet.
func New(opts Options) *Server {
	s := &Server{opts: opts, ending: make(chan struct{})}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", s.counted(s.page))
	mux.HandleFunc("GET /slow", s.counted(s.slow))
	mux.HandleFunc("GET /stream", s.counted(s.stream))
	mux.HandleFunc("GET /healthz", s.healthz)
	s.handler = mux
	return s
}

// ServeHTTP implements http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set(HeaderPod, s.opts.Pod)
	w.Header().Set(HeaderNode, s.opts.Node)
	s.handler.ServeHTTP(w, r)
}

// Run serves on ln until ctx ends, then drains: it goes on accepting for the
// drain time, ends streams, waits at most 5s for other requests and returns
// nil. It closes ln. It must be called once only.
func (s *Server) Run(ctx context.Context, ln net.Listener) error {
	srv := &http.Server{
		Handler:           s,
		ReadHeaderTimeout: readHeaderTimeout,
		IdleTimeout:       idleTimeout,
		ErrorLog:          slog.NewLogLogger(s.opts.Log.Handler(), slog.LevelDebug),
	}
	served := make(chan error, 1)
	go func() { served <- srv.Serve(ln) }()
	s.opts.Log.Info("serving", "address", ln.Addr().String(), "pod", s.opts.Pod, "node", s.opts.Node)

	select {
	case err := <-served:
		return fmt.Errorf("page: %w", err)
	case <-ctx.Done():
	}
	s.draining.Store(true)
	s.opts.Log.Info("draining", "for", s.opts.Drain)
	select {
	case err := <-served:
		return fmt.Errorf("page: %w", err)
	case <-time.After(s.opts.Drain):
	}
	close(s.ending)
	stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownTimeout)
	defer cancel()
	err := srv.Shutdown(stop)
	if err != nil {
		err = errors.Join(err, srv.Close())
	}
	if closed := <-served; !errors.Is(closed, http.ErrServerClosed) {
		err = errors.Join(err, closed)
	}
	if err != nil {
		return fmt.Errorf("page: stop: %w", err)
	}
	return nil
}

// counted counts a request and bounds the time that its answer may take to be
// written; /stream moves the bound with every line.
func (s *Server) counted(h http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		s.requests.Add(1)
		if !setWriteDeadline(w, maxSlow+writeTimeout) {
			return
		}
		h(w, r)
	}
}

func (s *Server) healthz(w http.ResponseWriter, _ *http.Request) {
	if s.draining.Load() {
		http.Error(w, "draining", http.StatusServiceUnavailable)
		return
	}
	fmt.Fprintln(w, "ok")
}

func (s *Server) page(w http.ResponseWriter, r *http.Request) {
	a := Answer{
		Pod:      s.opts.Pod,
		Node:     s.opts.Node,
		Client:   r.RemoteAddr,
		Requests: s.requests.Load(),
	}
	if local, ok := r.Context().Value(http.LocalAddrContextKey).(net.Addr); ok {
		a.Server = local.String()
	}
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Vary", "Accept")
	// A client that went away is no concern of ours, so write errors are not
	// looked at.
	if strings.Contains(r.Header.Get("Accept"), "text/html") {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_ = htmlPage.Execute(w, a)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(a)
}

func (s *Server) slow(w http.ResponseWriter, r *http.Request) {
	wait, err := durationParam(r, "for", defaultSlow)
	if err != nil || wait < 0 || wait > maxSlow {
		http.Error(w, fmt.Sprintf("for: want a duration from 0s to %v", maxSlow), http.StatusBadRequest)
		return
	}
	select {
	case <-time.After(wait):
		s.page(w, r)
	case <-r.Context().Done():
	}
}

func (s *Server) stream(w http.ResponseWriter, r *http.Request) {
	every, err := durationParam(r, "every", defaultEvery)
	if err != nil || every < minEvery {
		http.Error(w, fmt.Sprintf("every: want a duration of at least %v", minEvery), http.StatusBadRequest)
		return
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	flusher := http.NewResponseController(w)
	tick := time.NewTicker(every)
	defer tick.Stop()
	for line := 1; ; line++ {
		if !setWriteDeadline(w, writeTimeout) {
			return
		}
		if _, err := fmt.Fprintf(w, "%s %d\n", s.opts.Pod, line); err != nil {
			return
		}
		if err := flusher.Flush(); err != nil {
			return
		}
		select {
		case <-tick.C:
		case <-s.ending:
			return
		case <-r.Context().Done():
			return
		}
	}
}

// setWriteDeadline reports whether w is still usable.
func setWriteDeadline(w http.ResponseWriter, in time.Duration) bool {
	err := http.NewResponseController(w).SetWriteDeadline(time.Now().Add(in))
	return err == nil || errors.Is(err, http.ErrNotSupported)
}

func durationParam(r *http.Request, name string, fallback time.Duration) (time.Duration, error) {
	v := r.URL.Query().Get(name)
	if v == "" {
		return fallback, nil
	}
	return time.ParseDuration(v)
}

var htmlPage = template.Must(template.New("page").Parse(`<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>{{.Pod}}</title>
<style>body{font:1.2rem/1.6 system-ui,sans-serif;margin:10vh auto;max-width:40rem}td{padding-right:2rem}</style>
<h1>{{.Pod}}</h1>
<table>
<tr><td>node<td>{{.Node}}
<tr><td>you came from<td>{{.Client}}
<tr><td>you arrived at<td>{{.Server}}
<tr><td>requests so far<td>{{.Requests}}
</table>
</html>
`))
