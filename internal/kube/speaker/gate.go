package speaker

import (
	"context"
	"log/slog"
	"net/http"
	"sync/atomic"
	"time"
)

// Gate asks kube-proxy (or whatever forwards on the node) whether it is well, by HTTP. A
// gate is closed until a check has succeeded, and closes again when two fail in a row. All methods
// but Run work on a nil Gate, which is always open.
type Gate struct {
	url      string
	interval time.Duration
	timeout  time.Duration
	log      *slog.Logger
	closed   atomic.Bool
	decided  atomic.Bool
	changed  chan struct{}
}

// NewGate makes a gate that asks the URL every second with a timeout of half a second.
func NewGate(url string, log *slog.Logger) *Gate {
	g := &Gate{url: url, interval: time.Second, timeout: 500 * time.Millisecond, log: log, changed: make(chan struct{}, 1)}
	g.closed.Store(true)
	return g
}

// Closed tells whether the node would not forward traffic.
func (g *Gate) Closed() bool { return g != nil && g.closed.Load() }

// Decided tells whether a gate that is closed is so for a reason. Before, nothing is known: the first
// check has not succeeded, nor have two failed. Who asks for it before Closed gets an answer there that
// was decided.
func (g *Gate) Decided() bool { return g == nil || g.decided.Load() }

// Changed receives when the gate opens or closes, and when it is decided.
func (g *Gate) Changed() <-chan struct{} {
	if g == nil {
		return nil
	}
	return g.changed
}

// Run asks until ctx is done.
func (g *Gate) Run(ctx context.Context) error {
	client := &http.Client{Timeout: g.timeout}
	tick := time.NewTicker(g.interval)
	defer tick.Stop()
	failures := 0
	for {
		if err := g.check(ctx, client); err == nil {
			failures = 0
			g.set(false, nil)
		} else if failures++; failures >= 2 {
			g.set(true, err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

func (g *Gate) check(ctx context.Context, client *http.Client) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, g.url, nil)
	if err != nil {
		return err
	}
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return &gateError{url: g.url, status: resp.Status}
	}
	return nil
}

func (g *Gate) set(closed bool, cause error) {
	turned := g.closed.Swap(closed) != closed // before decided: see Decided
	if first := !g.decided.Swap(true); !turned && !first {
		return
	}
	if closed {
		g.log.Warn("the dataplane check fails: this node announces nothing", "error", cause)
	} else {
		g.log.Info("the dataplane check succeeds: this node announces")
	}
	select {
	case g.changed <- struct{}{}:
	default:
	}
}

// gateError is an answer other than 200.
type gateError struct{ url, status string }

func (e *gateError) Error() string { return e.url + " answers " + e.status }
