package endpoint

import (
	"crypto/tls"
	"fmt"
	"net/http"
	"slices"

	"k8s.io/client-go/rest"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"
)

// HeaderAuthorization may carry the bearer token in place of Authorization. The proxy of the
// API server removes the latter before it forwards a request.
const HeaderAuthorization = "Lintel-Authorization"

// SpeakerPath is where a speaker answers with a SpeakerReport. The query parameter service,
// "namespace/name", adds the verdicts about that Service.
const SpeakerPath = "/lintel/v1/speaker"

// Options say how to serve.
type Options struct {
	// Port is the TCP port, on all addresses.
	Port int
	// CertDir holds tls.crt and tls.key; empty means a self-signed certificate.
	CertDir string
	// TLS changes the TLS configuration.
	TLS []func(*tls.Config)
	// Handlers are served besides /metrics, by path.
	Handlers map[string]http.Handler
}

// New makes the server; its Start serves until the context is done.
func New(c *rest.Config, o Options) (metricsserver.Server, error) {
	client, err := rest.HTTPClientFor(c)
	if err != nil {
		return nil, fmt.Errorf("endpoint: %w", err)
	}
	if o.CertDir == "" {
		cert, err := selfSigned()
		if err != nil {
			return nil, fmt.Errorf("endpoint: %w", err)
		}
		o.TLS = append(slices.Clip(o.TLS), func(c *tls.Config) {
			// A list of cipher suites, which only TLS 1.2 has, may name none but those for
			// RSA; the server makes a key for them by itself.
			if c.MinVersion >= tls.VersionTLS13 {
				c.GetCertificate = func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return cert, nil }
			}
		})
	}
	server, err := metricsserver.NewServer(metricsserver.Options{
		SecureServing:  true,
		BindAddress:    fmt.Sprintf(":%d", o.Port),
		CertDir:        o.CertDir,
		TLSOpts:        o.TLS,
		ExtraHandlers:  o.Handlers,
		FilterProvider: filterProvider,
	}, c, client)
	if err != nil {
		return nil, fmt.Errorf("endpoint: %w", err)
	}
	return server, nil
}
