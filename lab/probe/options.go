package probe

import (
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"time"
)

// Defaults of Options.
const (
	DefaultInterval = 10 * time.Millisecond
	DefaultTimeout  = 200 * time.Millisecond
	DefaultControl  = 2 * time.Second
)

const minInterval = time.Millisecond

// Options say what to probe and how.
type Options struct {
	// URL is what is asked for. It must be http, and its host an IP address.
	URL string

	// Interval is the time between the starts of two attempts, at least 1ms.
	// Timeout is how long an attempt may take, from the SYN to the last byte.
	// Control is how long the control reading at the beginning takes; a
	// negative one means none. For each, 0 means the default.
	Interval, Timeout, Control time.Duration

	// Hold is the number of long-lived connections to keep open besides. The
	// server must offer /stream as package page does.
	Hold int

	// Namespace is the network namespace, as in ip-netns(8), to connect from.
	// Empty is that of the process.
	Namespace string

	// Dial replaces how connections are opened. Neighbour tables are then not
	// looked at unless Namespace is set too.
	Dial DialFunc
}

// target is a checked URL.
type target struct {
	addr netip.AddrPort
	host string // for the Host header
	path string // path and query
}

func (o Options) normalize() (Options, target, error) {
	if o.Interval == 0 {
		o.Interval = DefaultInterval
	}
	if o.Timeout == 0 {
		o.Timeout = DefaultTimeout
	}
	if o.Control == 0 {
		o.Control = DefaultControl
	}
	o.Control = max(o.Control, 0)
	if o.Interval < minInterval {
		return o, target{}, fmt.Errorf("probe: interval %v: want at least %v", o.Interval, minInterval)
	}
	if o.Timeout < minInterval {
		return o, target{}, fmt.Errorf("probe: timeout %v: want at least %v", o.Timeout, minInterval)
	}
	if o.Hold < 0 {
		return o, target{}, fmt.Errorf("probe: %d connections to hold: want 0 or more", o.Hold)
	}
	t, err := parseURL(o.URL)
	return o, t, err
}

func parseURL(raw string) (target, error) {
	u, err := url.Parse(raw)
	if err != nil {
		return target{}, fmt.Errorf("probe: %w", err)
	}
	if u.Scheme != "http" {
		return target{}, fmt.Errorf("probe: URL %q: want http://ADDRESS[:PORT][/PATH]", raw)
	}
	port := u.Port()
	if port == "" {
		port = "80"
	}
	addr, err := netip.ParseAddrPort(net.JoinHostPort(u.Hostname(), port))
	if err != nil {
		return target{}, fmt.Errorf("probe: URL %q: the host must be an IP address: %w", raw, err)
	}
	return target{addr: addr, host: u.Host, path: u.RequestURI()}, nil
}
