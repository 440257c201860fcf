package layer2

import (
	"context"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/lintel-lb/lintel/lab"
)

// profiles is where BenchmarkIntake keeps profiles of the speakers; empty means that none are
// taken, as that costs a little of what is measured.
var profiles = flag.String("profiles", "", "keep profiles of the speakers in this `directory`")

// profiling is the address that a speaker serves profiles on, in its own network namespace.
const profiling = "127.0.0.1:6060"

// serveProfiles has the speakers serve profiles from their next start.
func (c *crowd) serveProfiles() {
	if *profiles == "" {
		return
	}
	c.kubectl("-n", "metallb-system", "patch", "daemonset/speaker", "--type=json", "-p",
		`[{"op":"add","path":"/spec/template/spec/containers/0/args/-","value":"--pprof-bind-address=`+profiling+`"}]`)
}

// profile keeps what every speaker does for a time, and what it has allocated by then. The
// function that it returns waits for the end.
func (c *crowd) profile(ctx context.Context, what string, d time.Duration) (wait func()) {
	var wg sync.WaitGroup
	if *profiles != "" {
		for _, h := range c.Lab.Hosts(lab.RoleNode) {
			wg.Go(func() {
				if err := c.profileOf(ctx, h.Name, what, d); err != nil {
					c.b.Errorf("profile of %s: %v", h.Name, err)
				}
			})
		}
	}
	return wg.Wait
}

func (c *crowd) profileOf(ctx context.Context, host, what string, d time.Duration) error {
	web := http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
		return c.Lab.Dial(ctx, host, network, addr)
	}}}
	defer web.CloseIdleConnections()
	for _, kind := range []string{fmt.Sprintf("profile?seconds=%d", int(d.Seconds())), "allocs", "heap?gc=1"} {
		name, _, _ := strings.Cut(kind, "?")
		body, err := fetch(ctx, &web, "http://"+profiling+"/debug/pprof/"+kind)
		if err == nil {
			err = os.WriteFile(filepath.Join(*profiles, what+"-"+host+"."+name), body, 0o644)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// fetch reads a page once it can be had.
func fetch(ctx context.Context, web *http.Client, url string) ([]byte, error) {
	for {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			return nil, err
		}
		resp, err := web.Do(req)
		if err == nil {
			defer resp.Body.Close()
			return io.ReadAll(resp.Body)
		}
		select {
		case <-ctx.Done():
			return nil, err
		case <-time.After(10 * time.Millisecond):
		}
	}
}
