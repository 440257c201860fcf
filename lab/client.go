package lab

import (
	"context"
	"fmt"
	"net"
	"net/netip"

	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/lintel-lb/lintel/lab/internal/netns"
)

// In runs f on a thread inside a host's network namespace and waits for it.
// Sockets that f opens stay there afterwards, and may be used from anywhere;
// goroutines that f starts run outside.
func (l *Lab) In(host string, f func() error) error {
	if _, err := l.plan.Find(host); err != nil {
		return err
	}
	return netns.Do(l.plan.Namespace(host), f)
}

// Dial connects from a host. The address must be an IP address and a port:
// names are not resolved.
func (l *Lab) Dial(ctx context.Context, host, network, address string) (net.Conn, error) {
	// With a literal address the socket is made by the goroutine that calls,
	// which is the one that is in the namespace.
	if _, err := netip.ParseAddrPort(address); err != nil {
		return nil, fmt.Errorf("lab: dial from %s: %w", host, err)
	}
	var conn net.Conn
	err := l.In(host, func() error {
		var d net.Dialer
		var err error
		conn, err = d.DialContext(ctx, network, address)
		return err
	})
	return conn, err
}

// RESTConfig is an administrator's access to the API server for a process
// outside of the lab: its connections start on the control plane.
func (l *Lab) RESTConfig() (*rest.Config, error) {
	config, err := clientcmd.BuildConfigFromFlags("", l.Kubeconfig())
	if err != nil {
		return nil, fmt.Errorf("lab: kubeconfig of %s: %w", l.plan.Name, err)
	}
	config.QPS, config.Burst = 200, 400
	config.Dial = func(ctx context.Context, network, address string) (net.Conn, error) {
		return l.Dial(ctx, ControlPlaneName, network, address)
	}
	return config, nil
}

// Client returns a client for RESTConfig.
func (l *Lab) Client() (*kubernetes.Clientset, error) {
	config, err := l.RESTConfig()
	if err != nil {
		return nil, err
	}
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("lab: client of %s: %w", l.plan.Name, err)
	}
	return client, nil
}
