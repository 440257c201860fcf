package bgp

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

const scraper = `
apiVersion: v1
kind: ServiceAccount
metadata: {name: scraper}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: '{{.Name}}'}
rules: [{nonResourceURLs: [/metrics], verbs: [get]}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: '{{.Name}}'}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: '{{.Name}}'}
subjects: [{kind: ServiceAccount, name: scraper, namespace: '{{.Namespace}}'}]
`

// scraper makes an account that may read metrics, and returns a token of it.
func (s *scene) scraper() string {
	s.t.Helper()
	s.Apply(scraper, nil)
	t, err := s.Core.CoreV1().ServiceAccounts(s.Namespace).CreateToken(s.t.Context(), "scraper",
		&authenticationv1.TokenRequest{}, metav1.CreateOptions{})
	if err != nil {
		s.t.Fatal(err)
	}
	return t.Status.Token
}

// scrape gets the metrics of the speaker on a node, from the control plane's host.
func (s *scene) scrape(token, node string) string {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), 5*time.Second)
	defer cancel()
	transport := &http.Transport{
		DisableKeepAlives: true,
		// The certificate is self-signed, as upstream's is by default.
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true},
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			return s.Lab.Dial(ctx, "cp", network, address)
		},
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, fmt.Sprintf("https://%v/metrics", netip.AddrPortFrom(s.host(node), 9120)), nil)
	if err != nil {
		s.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	resp, err := transport.RoundTrip(req)
	if err != nil {
		s.t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		s.t.Fatalf("the metrics of %s: %s, %v", node, resp.Status, err)
	}
	return string(b)
}
