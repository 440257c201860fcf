package bgp

import (
	"context"
	"io"
	"log/slog"
	"maps"
	"net/netip"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lintel-lb/lintel/internal/bgp/wire"
	"pgregory.net/rapid"
)

// livePeer is a router that accepts our connections, reads at its own pace and keeps a
// twin of what it was told.
type livePeer struct {
	net *fakeNet

	mu     sync.Mutex
	table  *twin
	conn   io.ReadWriteCloser
	pause  time.Duration // before each message
	broken error
}

// run serves connections until the context ends.
func (p *livePeer) run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case c := <-p.net.out:
			p.mu.Lock()
			p.conn, p.table = c, newTwin()
			p.table.forgetful = true
			p.mu.Unlock()
			p.serve(&fakePeer{c: c})
			c.Close()
		}
	}
}

func (p *livePeer) serve(f *fakePeer) {
	opened := false
	for {
		p.mu.Lock()
		pause := p.pause
		p.mu.Unlock()
		time.Sleep(pause)
		m, err := f.readMessage()
		if err != nil {
			return
		}
		switch m.t {
		case wire.TypeOpen:
			o := peerOpen()
			if _, err := f.c.Write(wire.AppendKeepalive(o.Append(nil))); err != nil {
				return
			}
			opened = true
		case wire.TypeKeepalive:
			if !opened {
				return
			}
			if _, err := f.c.Write(wire.AppendKeepalive(nil)); err != nil {
				return
			}
		case wire.TypeUpdate:
			p.mu.Lock()
			if err := p.table.play(m.body); err != nil {
				p.broken = err
			}
			p.mu.Unlock()
		}
	}
}

// bubbleTB hides the test's deadline, which does not exist in fake time.
type bubbleTB struct{ rapid.TB }

// do acts on the connection of the moment.
func (p *livePeer) do(f func(io.ReadWriteCloser)) {
	p.mu.Lock()
	c := p.conn
	p.mu.Unlock()
	if c != nil {
		f(c)
	}
}

// Through reconnects, refreshes and slow reading, with routes that change meanwhile, the
// peer's table ends up as desired, and so does what the status says is on the wire.
func TestPeerTableFollowsDesired(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rapid.Check(bubbleTB{t}, func(t *rapid.T) {
			kinds := rapid.SliceOfN(rapid.Custom(drawAttributes), 1, 4).Draw(t, "kinds")
			ctx, cancel := context.WithCancel(context.Background())
			n := newFakeNet()
			peer := &livePeer{net: n, table: newTwin()}
			e := New(Options{Log: slog.New(slog.DiscardHandler), Transport: n})
			var wg sync.WaitGroup
			wg.Go(func() { peer.run(ctx) })
			wg.Go(func() { _ = e.Run(ctx) })
			defer func() {
				cancel()
				peer.do(func(c io.ReadWriteCloser) { c.Close() })
				wg.Wait()
			}()
			var desired map[netip.Prefix]Attributes
			set := func(t *rapid.T) {
				desired = drawRoutes(t, kinds)
				e.Set(onePeer(testConfig(), desired))
			}
			set(t)
			settle := func(t *rapid.T) {
				peer.mu.Lock()
				peer.pause = 0
				peer.mu.Unlock()
				time.Sleep(3 * time.Minute) // longer than any back-off
				synctest.Wait()
				peer.mu.Lock()
				defer peer.mu.Unlock()
				agreed := &negotiated{localASN: 64500, external: true, families: IPv4 | IPv6}
				should := want(NewRoutes(desired), agreed, false)
				if peer.broken != nil || !maps.Equal(peer.table.routes, should) {
					t.Fatalf("%v, peer has %v\nwant %v", peer.broken, peer.table.routes, should)
				}
				st := e.Snapshot()["tor"]
				if st.State != StateEstablished || len(st.Routes) != len(should) || st.Pending != 0 {
					t.Fatalf("%v, %d routes of %d, %d pending", st.State, len(st.Routes), len(should), st.Pending)
				}
			}
			t.Repeat(map[string]func(*rapid.T){
				"set":   set,
				"lose":  func(*rapid.T) { peer.do(func(c io.ReadWriteCloser) { c.Close() }) },
				"pause": func(t *rapid.T) { time.Sleep(time.Duration(rapid.IntRange(0, 3000).Draw(t, "ms")) * time.Millisecond) },
				"slow": func(t *rapid.T) {
					peer.mu.Lock()
					peer.pause = time.Duration(rapid.IntRange(0, 500).Draw(t, "ms")) * time.Millisecond
					peer.mu.Unlock()
				},
				"refresh": func(t *rapid.T) {
					f := rapid.SampledFrom([]wire.Family{wire.IPv4Unicast, wire.IPv6Unicast}).Draw(t, "family")
					peer.do(func(c io.ReadWriteCloser) {
						if e.Snapshot()["tor"].State == StateEstablished {
							_, _ = c.Write(wire.RouteRefresh{Family: f}.Append(nil))
						}
					})
				},
				"settle": settle,
			})
			settle(t)
		})
	})
}
