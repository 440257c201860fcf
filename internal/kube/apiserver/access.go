// Package apiserver is the way to the API server: connections that notice within seconds when
// nobody is at their other end, and lists and watches that wait while the API server is away and
// go on as soon as it is back.
package apiserver

import (
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strconv"
	"time"

	"k8s.io/client-go/rest"
)

const (
	// dialTimeout bounds one attempt to connect. The kernel repeats a SYN after 1 and 3 seconds
	// and then ever later, so that a new attempt finds a server that is back sooner than an old one.
	dialTimeout = 3 * time.Second
	// keepAlive is the interval of TCP keepalives.
	keepAlive = 30 * time.Second
)

// A connection on which nothing came for idle is asked for a sign of life, and given up if none
// comes within the reply time. The library's own values are 30 and 15 seconds, during which a
// node whose connection was lost without a word, as when an API server's host dies, would work
// from what it knew before.
const (
	idle = 5 * time.Second
	// replyTime is long enough for an API server that has more to do than it can: connections that
	// were given up for that would come back all at once.
	replyTime = 10 * time.Second
)

// CheckConnections has connections made from now on checked within seconds, unless the user
// has set how in the environment, which is where the library takes it from.
func CheckConnections() error {
	for name, d := range map[string]time.Duration{
		"HTTP2_READ_IDLE_TIMEOUT_SECONDS": idle,
		"HTTP2_PING_TIMEOUT_SECONDS":      replyTime,
	} {
		if os.Getenv(name) != "" {
			continue
		}
		if err := os.Setenv(name, strconv.Itoa(int(d.Seconds()))); err != nil {
			return fmt.Errorf("apiserver: %w", err)
		}
	}
	return nil
}

// Access is a process's way to the API server. All of it goes over the same connections.
type Access struct {
	Config *rest.Config
	// Once is for requests that are answered or fail.
	Once *http.Client
	// Patient is for lists and watches: a request that the API server does not answer waits until
	// it does, or until its context is done.
	Patient *http.Client
}

// Connect makes the way to the API server that the configuration names. It sends nothing yet.
func Connect(cfg *rest.Config, log *slog.Logger) (Access, error) {
	cfg = rest.CopyConfig(cfg)
	cfg.Dial = (&net.Dialer{Timeout: dialTimeout, KeepAlive: keepAlive}).DialContext
	once, err := rest.HTTPClientFor(cfg)
	if err != nil {
		return Access{}, fmt.Errorf("apiserver: %w", err)
	}
	return Access{Config: cfg, Once: once, Patient: &http.Client{Transport: newPatience(once.Transport, log)}}, nil
}
