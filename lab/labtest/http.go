package labtest

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"github.com/lintel-lb/lintel/lab/page"
)

// DefaultClient is the host that Get asks from: the first client on the nodes'
// segment.
const DefaultClient = "c1"

const (
	// getTime bounds one Get.
	getTime = 2 * time.Second

	maxBody = 1 << 20
)

// Response is the answer to a GET.
type Response struct {
	Status int
	Header http.Header
	Body   []byte

	// Page is the body, if it is the JSON of package page.
	Page page.Answer
}

// Get is GetFrom for DefaultClient.
func (e *Env) Get(ctx context.Context, url string) (Response, error) {
	return e.GetFrom(ctx, DefaultClient, url)
}

// GetFrom asks for a URL over a new connection from a host of the lab, for two
// seconds at most. A status other than 200 is an error as well, and the
// response is returned with it. The URL's host must be an IP address.
func (e *Env) GetFrom(ctx context.Context, host, url string) (Response, error) {
	ctx, cancel := context.WithTimeout(ctx, getTime)
	defer cancel()
	transport := &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			return e.Lab.Dial(ctx, host, network, address)
		},
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return Response{}, fmt.Errorf("labtest: %w", err)
	}
	resp, err := transport.RoundTrip(req)
	if err != nil {
		return Response{}, fmt.Errorf("labtest: from %s: GET %s: %w", host, url, err)
	}
	defer resp.Body.Close()
	out := Response{Status: resp.StatusCode, Header: resp.Header}
	if out.Body, err = io.ReadAll(io.LimitReader(resp.Body, maxBody)); err != nil {
		return out, fmt.Errorf("labtest: from %s: GET %s: %w", host, url, err)
	}
	if resp.StatusCode != http.StatusOK {
		return out, fmt.Errorf("labtest: from %s: GET %s: %s", host, url, resp.Status)
	}
	if resp.Header.Get("Content-Type") == "application/json" && resp.Header.Get(page.HeaderPod) != "" {
		if err := json.Unmarshal(out.Body, &out.Page); err != nil {
			return out, fmt.Errorf("labtest: from %s: GET %s: %w", host, url, err)
		}
	}
	return out, nil
}
