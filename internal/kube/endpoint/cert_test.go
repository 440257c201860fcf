package endpoint

import (
	"crypto/tls"
	"crypto/x509"
	"net"
	"testing"
	"time"
)

func TestOwnCertificateServesLocalhost(t *testing.T) {
	cert, err := selfSigned()
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := x509.ParseCertificate(cert.Certificate[0])
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(parsed)
	here, there := net.Pipe()
	served := make(chan error, 1)
	go func() {
		server := tls.Server(there, &tls.Config{MinVersion: tls.VersionTLS13, Certificates: []tls.Certificate{*cert}})
		served <- server.HandshakeContext(t.Context())
	}()
	client := tls.Client(here, &tls.Config{ServerName: "localhost", RootCAs: roots,
		Time: func() time.Time { return time.Now().Add(9 * 365 * 24 * time.Hour) }})
	if err := client.HandshakeContext(t.Context()); err != nil {
		t.Error(err)
	}
	if err := <-served; err != nil {
		t.Error(err)
	}
}
