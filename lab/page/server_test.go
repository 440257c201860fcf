package page

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// running is a page that serves on the loopback until the test ends.
type running struct {
	url  string
	stop context.CancelFunc
	done chan error
}

func start(t *testing.T, drain time.Duration) running {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	r := running{url: "http://" + ln.Addr().String(), stop: cancel, done: make(chan error, 1)}
	s := New(Options{Pod: "p1", Node: "n1", Drain: drain, Log: slog.New(slog.DiscardHandler)})
	exited := make(chan struct{})
	go func() {
		defer close(exited)
		r.done <- s.Run(ctx, ln)
	}()
	t.Cleanup(func() { cancel(); <-exited })
	return r
}

func (r running) wait(t *testing.T) {
	t.Helper()
	select {
	case err := <-r.done:
		if err != nil {
			t.Errorf("run: %v", err)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("still running 10s after the stop")
	}
}

// fetch asks over a new connection.
func fetch(t *testing.T, url, accept string) (*http.Response, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Close = true
	req.Header.Set("Accept", accept)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, string(body)
}

func TestPageSaysWhoAnswers(t *testing.T) {
	r := start(t, 0)
	fetch(t, r.url+"/healthz", "")
	resp, body := fetch(t, r.url+"/", "*/*")
	var got Answer
	if err := json.Unmarshal([]byte(body), &got); err != nil {
		t.Fatalf("%v in %q", err, body)
	}
	want := Answer{Pod: "p1", Node: "n1", Server: strings.TrimPrefix(r.url, "http://"), Requests: 1}
	if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(Answer{}, "Client")); diff != "" {
		t.Errorf("answer (-want +got):\n%s", diff)
	}
	if !strings.HasPrefix(got.Client, "127.0.0.1:") {
		t.Errorf("client %q", got.Client)
	}
	if resp.Header.Get(HeaderPod) != "p1" || resp.Header.Get(HeaderNode) != "n1" {
		t.Errorf("headers %v", resp.Header)
	}

	_, body = fetch(t, r.url+"/", "text/html,*/*")
	for _, want := range []string{"<h1>p1</h1>", "<td>n1", "<td>2\n"} {
		if !strings.Contains(body, want) {
			t.Errorf("no %q in\n%s", want, body)
		}
	}
}

func TestStatus(t *testing.T) {
	r := start(t, 0)
	for path, want := range map[string]int{
		"/":                 200,
		"/healthz":          200,
		"/slow?for=1ms":     200,
		"/slow?for=2h":      400,
		"/slow?for=-1s":     400,
		"/stream?every=0":   400,
		"/stream?every=foo": 400,
		"/nothing":          404,
	} {
		if resp, body := fetch(t, r.url+path, ""); resp.StatusCode != want {
			t.Errorf("%s: %s %q, want %d", path, resp.Status, body, want)
		}
	}
}

func TestSlowWaits(t *testing.T) {
	r := start(t, 0)
	began := time.Now()
	fetch(t, r.url+"/slow?for=80ms", "")
	if took := time.Since(began); took < 80*time.Millisecond {
		t.Errorf("answered after %v", took)
	}
}

func TestStreamRunsUntilTheStop(t *testing.T) {
	r := start(t, 0)
	resp, err := http.Get(r.url + "/stream?every=1ms")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	lines := bufio.NewScanner(resp.Body)
	for _, want := range []string{"p1 1", "p1 2", "p1 3"} {
		if !lines.Scan() || lines.Text() != want {
			t.Fatalf("line %q (%v), want %q", lines.Text(), lines.Err(), want)
		}
	}
	r.stop()
	for lines.Scan() {
	}
	if err := lines.Err(); err != nil {
		t.Errorf("the stream did not end cleanly: %v", err)
	}
	r.wait(t)
}

func TestStopDrainsAndFinishesRequests(t *testing.T) {
	r := start(t, 300*time.Millisecond)
	slow := make(chan string, 1)
	asked := make(chan struct{})
	go func() {
		conn, err := net.Dial("tcp", strings.TrimPrefix(r.url, "http://"))
		if err == nil {
			defer conn.Close()
			_, err = io.WriteString(conn, "GET /slow?for=600ms HTTP/1.0\r\n\r\n")
		}
		close(asked)
		if err != nil {
			slow <- err.Error()
			return
		}
		answer, _ := io.ReadAll(conn)
		slow <- string(answer)
	}()
	<-asked
	r.stop()
	deadline := time.Now().Add(5 * time.Second)
	for {
		// While it drains, the page is unhealthy and yet answers.
		resp, _ := fetch(t, r.url+"/healthz", "")
		if resp.StatusCode == http.StatusServiceUnavailable {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("never unhealthy")
		}
	}
	if resp, _ := fetch(t, r.url+"/", ""); resp.StatusCode != http.StatusOK {
		t.Errorf("while draining: %s", resp.Status)
	}
	r.wait(t)
	if answer := <-slow; !strings.HasPrefix(answer, "HTTP/1.0 200") {
		t.Errorf("the request that was under way got %q", answer)
	}
	if conn, err := net.Dial("tcp", strings.TrimPrefix(r.url, "http://")); err == nil {
		conn.Close()
		t.Error("still accepting after the stop")
	}
}
