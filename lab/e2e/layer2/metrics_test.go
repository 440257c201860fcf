package layer2

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"testing"
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

// scraperToken makes an account that may read metrics, and returns a token of it.
func (s *scene) scraperToken() string {
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
func (s *scene) scrape(ctx context.Context, node, token string) (status int, text string, err error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	h, err := s.Lab.Host(node)
	if err != nil {
		return 0, "", err
	}
	transport := &http.Transport{
		DisableKeepAlives: true,
		// The certificate is self-signed, as upstream's is by default.
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true},
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			return s.Lab.Dial(ctx, "cp", network, address)
		},
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://"+netip.AddrPortFrom(h.V4(), 9120).String()+"/metrics", nil)
	if err != nil {
		return 0, "", err
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	resp, err := transport.RoundTrip(req)
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	return resp.StatusCode, string(b), err
}

// series is the value of a series, and whether it is there.
func series(text, name string) (float64, bool) {
	for line := range strings.Lines(text) {
		if rest, ok := strings.CutPrefix(line, name+" "); ok {
			v, err := strconv.ParseFloat(strings.TrimSpace(rest), 64)
			return v, err == nil
		}
	}
	return 0, false
}

func TestMetrics(t *testing.T) {
	t.Parallel()
	s := newScene(t, "Cluster", []string{"n1"}, onNode("n2"))
	token := s.scraperToken()
	addrs := s.addresses("web")
	for _, a := range addrs {
		s.answers(a, "n2")
	}
	if status, _, err := s.scrape(t.Context(), "n2", ""); err != nil || status != http.StatusUnauthorized {
		t.Errorf("without a token: %d, %v", status, err)
	}
	if status, _, err := s.scrape(t.Context(), "n2", "no such token"); err != nil || status != http.StatusUnauthorized {
		t.Errorf("with a bad token: %d, %v", status, err)
	}
	for _, a := range addrs {
		announced := func(node string) string {
			return fmt.Sprintf(`metallb_speaker_announced{ip="%s",node="%s",protocol="layer2",service="%s/web"}`, a, node, s.Namespace)
		}
		counter := func(name string) string { return fmt.Sprintf(`metallb_layer2_%s{ip="%s"}`, name, a) }
		before := s.metrics(token, "n2", announced("n2"), counter("requests_received"), counter("responses_sent"), counter("gratuitous_sent"))
		if before[0] != 1 || before[3] < 1 {
			t.Errorf("%s is announced %v, with %v gratuitous packets", a, before[0], before[3])
		}
		s.answers(a, "n2")
		after := s.metrics(token, "n2", announced("n2"), counter("requests_received"), counter("responses_sent"), counter("gratuitous_sent"))
		if after[1] <= before[1] || after[2] <= before[2] {
			t.Errorf("after a request for %s the counters went from %v to %v", a, before, after)
		}
		if _, text, err := s.scrape(t.Context(), "n1", token); err != nil || strings.Contains(text, announced("n1")) || text == "" {
			t.Errorf("n1 says that it announces %s (%v)", a, err)
		}
	}
	s.endPod("n1")
	s.Eventually("nothing of the Service is left in the metrics", soon, func(ctx context.Context) error {
		_, text, err := s.scrape(ctx, "n2", token)
		if err == nil && (text == "" || strings.Contains(text, s.Namespace+"/web")) {
			err = fmt.Errorf("it is still there")
		}
		return err
	})
}

// metrics are the values of series, which must be there.
func (s *scene) metrics(token, node string, names ...string) []float64 {
	s.t.Helper()
	status, text, err := s.scrape(s.t.Context(), node, token)
	if err != nil || status != http.StatusOK {
		s.t.Fatalf("metrics of %s: %d, %v\n%s", node, status, err, text)
	}
	out := make([]float64, len(names))
	for i, n := range names {
		v, ok := series(text, n)
		if !ok {
			s.t.Errorf("the metrics of %s lack %s", node, n)
		}
		out[i] = v
	}
	return out
}
