package apiserver

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// server is an API server that may be away.
type server struct {
	mu       sync.Mutex
	away     bool
	hangs    bool
	attempts int
}

func (s *server) set(away bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.away = away
}

func (s *server) RoundTrip(req *http.Request) (*http.Response, error) {
	s.mu.Lock()
	s.attempts++
	away, hangs := s.away, s.hangs
	s.mu.Unlock()
	switch {
	case away && hangs:
		<-req.Context().Done()
		return nil, req.Context().Err()
	case away:
		return nil, errors.New("connection refused")
	}
	return &http.Response{StatusCode: http.StatusOK, Body: http.NoBody}, nil
}

func request(ctx context.Context, t *testing.T, method string) *http.Request {
	t.Helper()
	req, err := http.NewRequestWithContext(ctx, method, "https://api/services", nil)
	if err != nil {
		t.Fatal(err)
	}
	return req
}

func TestReadsWaitWhileTheServerIsAway(t *testing.T) {
	const readers, outage = 12, 60 * time.Second
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		s := &server{away: true}
		p := newPatience(s, slog.New(slog.NewTextHandler(&log, nil)))
		answered := make(chan time.Time, readers)
		for range readers {
			go func() {
				res, err := p.RoundTrip(request(t.Context(), t, http.MethodGet))
				if err != nil {
					t.Error(err)
					return
				}
				_ = res.Body.Close()
				answered <- time.Now()
			}()
		}
		time.Sleep(outage)
		s.set(false)
		back := time.Now()
		for range readers {
			if d := (<-answered).Sub(back); d > lastPause {
				t.Errorf("a read was answered %v after the server was back", d)
			}
		}
		// All readers ask once; then one asks for all, at most every second on average.
		if most := 2*readers + int(outage/(lastPause/2)) + 10; s.attempts > most {
			t.Errorf("%d attempts, more than %d", s.attempts, most)
		}
		for _, words := range []string{"does not answer", "answers again"} {
			if n := strings.Count(log.String(), words); n != 1 {
				t.Errorf("%q was logged %d times:\n%s", words, n, log.String())
			}
		}

		// The next outage begins anew.
		s.set(true)
		go func() {
			time.Sleep(firstPause / 4)
			s.set(false)
		}()
		began := time.Now()
		res, err := p.RoundTrip(request(t.Context(), t, http.MethodGet))
		if err != nil {
			t.Fatal(err)
		}
		_ = res.Body.Close()
		if d := time.Since(began); d > firstPause {
			t.Errorf("a short outage was noticed to be over after %v", d)
		}
	})
}

// A connection that is broken and made anew is no outage.
func TestBrokenConnectionIsNotLogged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		once := false
		p := newPatience(roundTripper(func(*http.Request) (*http.Response, error) {
			if !once {
				once = true
				return nil, errors.New("connection reset by peer")
			}
			return &http.Response{StatusCode: http.StatusOK, Body: http.NoBody}, nil
		}), slog.New(slog.NewTextHandler(&log, nil)))
		began := time.Now()
		res, err := p.RoundTrip(request(t.Context(), t, http.MethodGet))
		if err != nil {
			t.Fatal(err)
		}
		_ = res.Body.Close()
		if log.Len() > 0 || time.Since(began) > 0 {
			t.Errorf("it took %v, logged:\n%s", time.Since(began), log.String())
		}
	})
}

// An attempt that hangs does not keep the others from theirs.
func TestOtherReadsDoNotWaitForOneThatHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &server{away: true}
		p := newPatience(s, slog.New(slog.DiscardHandler))
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 2)
		read := func() {
			res, err := p.RoundTrip(request(ctx, t, http.MethodGet))
			if err == nil {
				_ = res.Body.Close()
			}
			ended <- err
		}
		go read()
		synctest.Wait()
		s.mu.Lock()
		s.hangs = true
		s.mu.Unlock()
		time.Sleep(firstPause)
		s.set(false)
		began := time.Now()
		go read()
		if err := <-ended; err != nil || time.Since(began) > 2*lastPause {
			t.Errorf("answered after %v, error %v", time.Since(began), err)
		}
		cancel()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Errorf("the read that hangs ended with %v", err)
		}
	})
}

func TestReadEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPatience(&server{away: true}, slog.New(slog.DiscardHandler))
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		began := time.Now()
		res, err := p.RoundTrip(request(ctx, t, http.MethodGet))
		if err == nil {
			_ = res.Body.Close()
			t.Fatal("it was answered")
		}
		if time.Since(began) != 10*time.Second || err.Error() != "connection refused" {
			t.Errorf("it ended after %v with %v", time.Since(began), err)
		}
	})
}

// A write is not repeated: whether it was carried out is not known.
func TestWritesAreSentOnce(t *testing.T) {
	s := &server{away: true}
	p := newPatience(s, slog.New(slog.DiscardHandler))
	res, err := p.RoundTrip(request(t.Context(), t, http.MethodPost))
	if err == nil {
		_ = res.Body.Close()
	}
	if err == nil || s.attempts != 1 {
		t.Errorf("%d attempts, error %v", s.attempts, err)
	}
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }
