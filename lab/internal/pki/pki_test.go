package pki

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"net/netip"
	"testing"
	"time"

	"k8s.io/client-go/tools/clientcmd"
)

func parse(t *testing.T, p Pair) *x509.Certificate {
	t.Helper()
	if _, err := tls.X509KeyPair(p.Cert, p.Key); err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(p.Cert)
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	return cert
}

func TestCertificatesVerify(t *testing.T) {
	now := time.Now()
	ca, err := NewAuthority("lab", now)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(ca.Cert)

	server, err := ca.Server("kube-apiserver", now, []string{"kubernetes"}, []netip.Addr{netip.MustParseAddr("fd96::1")})
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"kubernetes", "fd96::1"} {
		if _, err := parse(t, server).Verify(x509.VerifyOptions{Roots: roots, DNSName: name}); err != nil {
			t.Error(err)
		}
	}
	client, err := ca.Client("system:node:n1", now, "system:nodes")
	if err != nil {
		t.Fatal(err)
	}
	usage := []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	cert := parse(t, client)
	if _, err := cert.Verify(x509.VerifyOptions{Roots: roots, KeyUsages: usage}); err != nil {
		t.Error(err)
	}
	if cert.Subject.CommonName != "system:node:n1" || cert.Subject.Organization[0] != "system:nodes" {
		t.Errorf("subject %s", cert.Subject)
	}
	if _, err := parse(t, server).Verify(x509.VerifyOptions{Roots: roots, KeyUsages: usage}); err == nil {
		t.Error("a server's certificate passes for a client's")
	}
}

func TestKubeconfigIsComplete(t *testing.T) {
	text, err := Kubeconfig("https://10.89.0.10:6443", []byte("ca"), "u", Login{Token: "t"})
	if err != nil {
		t.Fatal(err)
	}
	config, err := clientcmd.RESTConfigFromKubeConfig(text)
	if err != nil {
		t.Fatal(err)
	}
	if config.Host != "https://10.89.0.10:6443" || config.BearerToken != "t" || string(config.CAData) != "ca" {
		t.Errorf("%+v", config)
	}
}
