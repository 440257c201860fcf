package endpoint

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"k8s.io/client-go/rest"
)

// writeCertificate makes the files of a certificate for name, as a kubelet does for a Secret:
// both at once, by a link that is replaced.
func writeCertificate(t *testing.T, dir, name string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(dir, name), 0o700); err != nil {
		t.Fatal(err)
	}
	for file, block := range map[string]*pem.Block{"tls.crt": {Type: "CERTIFICATE", Bytes: der}, "tls.key": {Type: "PRIVATE KEY", Bytes: secret}} {
		if err := os.WriteFile(filepath.Join(dir, name, file), pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
		link := filepath.Join(dir, file)
		if _, err := os.Lstat(link); err != nil {
			if err := os.Symlink(filepath.Join("..data", file), link); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := os.Symlink(name, filepath.Join(dir, "..new")); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(filepath.Join(dir, "..new"), filepath.Join(dir, "..data")); err != nil {
		t.Fatal(err)
	}
}

// serve runs a server and returns a function that gives the name in its certificate.
func serve(t *testing.T, certDir string) (presented func() (string, error)) {
	t.Helper()
	server, err := New(&rest.Config{Host: "https://127.0.0.1:1"}, Options{CertDir: certDir})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- server.Start(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return func() (string, error) {
		_, port, err := net.SplitHostPort(server.(interface{ GetBindAddr() string }).GetBindAddr())
		if err != nil {
			return "", err
		}
		// What is looked at is the certificate itself.
		dialer := tls.Dialer{Config: &tls.Config{InsecureSkipVerify: true}}
		conn, err := dialer.DialContext(t.Context(), "tcp", "127.0.0.1:"+port)
		if err != nil {
			return "", err
		}
		defer conn.Close()
		return conn.(*tls.Conn).ConnectionState().PeerCertificates[0].Subject.CommonName, nil
	}
}

// eventually waits until a server presents a certificate that is liked.
func eventually(t *testing.T, presented func() (string, error), like func(string) bool) {
	t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	late := time.After(30 * time.Second)
	for {
		name, err := presented()
		if err == nil && like(name) {
			return
		}
		select {
		case <-tick.C:
		case <-late:
			t.Fatal(fmt.Errorf("the certificate is that of %q, %w", name, err))
		}
	}
}

func TestCertificateIsRotated(t *testing.T) {
	dir := t.TempDir()
	writeCertificate(t, dir, "first")
	presented := serve(t, dir)
	eventually(t, presented, func(name string) bool { return name == "first" })
	writeCertificate(t, dir, "second")
	eventually(t, presented, func(name string) bool { return name == "second" })
}

func TestCertificateIsSelfSigned(t *testing.T) {
	eventually(t, serve(t, ""), func(name string) bool { return name != "" })
}
