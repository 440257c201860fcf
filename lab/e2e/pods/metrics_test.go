package pods

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/lintel-lb/lintel/lab/e2e/install"
	"github.com/lintel-lb/lintel/lab/labtest"
)

// accounts are one that may read metrics, and one that may do other things only.
const accounts = `
apiVersion: v1
kind: ServiceAccount
metadata: {name: scraper}
---
apiVersion: v1
kind: ServiceAccount
metadata: {name: other}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: '{{.Name}}-scraper'}
rules: [{nonResourceURLs: [/metrics], verbs: [get]}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: '{{.Name}}-other'}
rules: [{nonResourceURLs: [/healthz], verbs: [get]}, {nonResourceURLs: [/metrics], verbs: [post]}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: '{{.Name}}-scraper'}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: '{{.Name}}-scraper'}
subjects: [{kind: ServiceAccount, name: scraper, namespace: '{{.Namespace}}'}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: '{{.Name}}-other'}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: '{{.Name}}-other'}
subjects: [{kind: ServiceAccount, name: other, namespace: '{{.Namespace}}'}]
`

// Metrics of both daemons are for those who may get /metrics; others are told what they lack.
// What a speaker knows is for yet others. Plain HTTP serves nobody unless it is asked for.
func TestMetricsAccess(t *testing.T) {
	e := labtest.New(t)
	e.Apply(accounts, nil)
	token := func(account string) string {
		t.Helper()
		r, err := e.Core.CoreV1().ServiceAccounts(e.Namespace).CreateToken(t.Context(), account, &authenticationv1.TokenRequest{}, metav1.CreateOptions{})
		if err != nil {
			t.Fatal(err)
		}
		return r.Status.Token
	}
	scraper, other := token("scraper"), token("other")
	for _, component := range []string{"controller", "speaker"} {
		addr := netip.AddrPortFrom(podAddress(t, e, component), 9120).String()
		for _, row := range []struct {
			name, path, token string
			status            int
			says              string
		}{
			{"without a token", "/metrics", "", http.StatusUnauthorized, "no bearer token"},
			{"with a wrong token", "/metrics", "wrong", http.StatusUnauthorized, "does not accept the token"},
			{"with other rights", "/metrics", other, http.StatusForbidden, "needs the verb get on the non-resource URL /metrics"},
			{"with the right", "/metrics", scraper, http.StatusOK, "metallb_k8s_client_config_loaded_bool 1"},
			{"with the right for another page", "/lintel/v1/speaker", scraper, map[string]int{"controller": http.StatusNotFound, "speaker": http.StatusForbidden}[component], ""},
		} {
			status, text, err := get(t.Context(), e, "https://"+addr+row.path, row.token)
			if err != nil || status != row.status || !strings.Contains(text, row.says) {
				t.Errorf("%s %s of the %s: %d, %v, want %d with %q:\n%.300s", row.path, row.name, component, status, err, row.status, row.says, text)
			}
		}
		if status, text, err := get(t.Context(), e, "http://"+addr+"/metrics", scraper); err == nil && status == http.StatusOK {
			t.Errorf("the %s gives metrics over HTTP:\n%.300s", component, text)
		}
	}
}

// podAddress is that of a ready Pod.
func podAddress(t *testing.T, e *labtest.Env, component string) netip.Addr {
	t.Helper()
	var addr netip.Addr
	e.Eventually("a "+component+" is ready", patience, func(ctx context.Context) error {
		var pods corev1.PodList
		if err := e.Client.List(ctx, &pods, client.InNamespace(install.Namespace), client.MatchingLabels{"component": component}); err != nil {
			return err
		}
		for _, p := range pods.Items {
			for _, c := range p.Status.Conditions {
				if c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue && p.DeletionTimestamp == nil {
					var err error
					addr, err = netip.ParseAddr(p.Status.PodIP)
					return err
				}
			}
		}
		return fmt.Errorf("%d Pods are not", len(pods.Items))
	})
	return addr
}

// get asks from the control plane's host.
func get(ctx context.Context, e *labtest.Env, url, token string) (status int, text string, err error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	transport := &http.Transport{
		DisableKeepAlives: true,
		// The certificate is self-signed, as upstream's is by default.
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true},
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			return e.Lab.Dial(ctx, "cp", network, address)
		},
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
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

// Plain HTTP is there where it is asked for, and serves nothing but metrics.
func TestPlainMetrics(t *testing.T) {
	s := newScene(t)
	s.keep()
	s.rollOut(map[string]any{"op": "add", "path": container + "/args/-", "value": "--metrics-http-address=:7472"})
	addr := netip.AddrPortFrom(podAddress(t, s.Env, "speaker"), 7472).String()
	s.Eventually("metrics are served over HTTP", patience, func(ctx context.Context) error {
		status, text, err := get(ctx, s.Env, "http://"+addr+"/metrics", "")
		if err != nil || status != http.StatusOK || !strings.Contains(text, "metallb_k8s_client_config_loaded_bool 1") {
			return fmt.Errorf("%d, %w: %.300s", status, err, text)
		}
		return nil
	})
	for _, path := range []string{"/lintel/v1/speaker", "/debug/pprof/", "/"} {
		if status, text, err := get(t.Context(), s.Env, "http://"+addr+path, ""); err != nil || status != http.StatusNotFound {
			t.Errorf("%s: %d, %v\n%.300s", path, status, err, text)
		}
	}
}
