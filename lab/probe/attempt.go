package probe

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"github.com/lintel-lb/lintel/lab/page"
)

// maxBody bounds how much of an answer is read.
const maxBody = 1 << 20

// Attempt is one connection and what came of it. Times are offsets from the
// start of the probe.
type Attempt struct {
	Start time.Duration `json:"start_ns"`
	End   time.Duration `json:"end_ns"`

	// Backend names who answered, also with an error: "pod@node" for package
	// page. Empty if nobody did or the server does not name itself.
	Backend string `json:"backend,omitempty"`

	// Reason is empty for a success. Error is the text of a failure.
	Reason Reason `json:"reason,omitempty"`
	Error  string `json:"error,omitempty"`

	// Neighbor is what the client's kernel knew about the address after a
	// connection failed, if the address is on its link.
	Neighbor string `json:"neighbor,omitempty"`
}

// OK reports whether the attempt got its page.
func (a Attempt) OK() bool { return a.Reason == "" }

// client makes attempts.
type client struct {
	target   target
	timeout  time.Duration
	dial     DialFunc
	neighbor func() Neighbor
}

// attempt opens a connection, asks for the page and returns who answered.
func (c *client) attempt(ctx context.Context) (a Attempt) {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	conn, err := c.dial(ctx, "tcp", c.target.addr.String())
	if err != nil {
		n := c.neighbor()
		a.Reason, a.Error = dialReason(err, n), err.Error()
		if n.OnLink {
			a.Neighbor = n.String()
		}
		return a
	}
	defer conn.Close()
	resp, err := ask(ctx, conn, c.target, c.target.path)
	if err == nil {
		a.Backend = backend(resp)
		_, err = io.Copy(io.Discard, io.LimitReader(resp.Body, maxBody))
	}
	if err == nil && resp.StatusCode >= http.StatusBadRequest {
		err = statusError(resp.StatusCode)
	}
	if err != nil {
		a.Reason, a.Error = exchangeReason(err), err.Error()
	}
	return a
}

// ask sends a request over conn and reads the head of the answer. The deadline
// of ctx becomes that of conn.
func ask(ctx context.Context, conn net.Conn, t target, path string) (*http.Response, error) {
	if deadline, ok := ctx.Deadline(); ok {
		if err := conn.SetDeadline(deadline); err != nil {
			return nil, err
		}
	}
	_, err := fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: lab-probe\r\nAccept: */*\r\nConnection: close\r\n\r\n", path, t.host)
	if err != nil {
		return nil, err
	}
	return http.ReadResponse(bufio.NewReader(conn), nil)
}

func backend(resp *http.Response) string {
	pod, node := resp.Header.Get(page.HeaderPod), resp.Header.Get(page.HeaderNode)
	if node == "" {
		return pod
	}
	return pod + "@" + node
}
