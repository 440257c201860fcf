package interop

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/lintel-lb/lintel/internal/bgp"
	"github.com/lintel-lb/lintel/internal/bgp/wire"
)

// capture lists the times at which packets with routes of a speaker passed the router's
// link: everything longer than a KEEPALIVE.
type capture struct {
	h    *host
	file string
}

// startCapture begins to listen at the router.
//
// tcpdump leaves the interface as it is (-p): when one becomes promiscuous, FRR 8.4 takes
// its sessions down.
func startCapture(h *host, us netip.Addr) *capture {
	c := &capture{h, filepath.Join(h.t.TempDir(), "packets")}
	h.start("sh", "-c", fmt.Sprintf("exec tcpdump -p -i eth0 -n -l -tt 'tcp and src host %v and greater 86' > %s 2>%s.err", us, c.file, c.file))
	eventually(h.t, "tcpdump", func() error {
		b, err := os.ReadFile(c.file + ".err")
		if err == nil && !strings.Contains(string(b), "listening") {
			err = fmt.Errorf("says %q", b)
		}
		return err
	})
	return c
}

// last returns the time of the last packet.
func (c *capture) last() (at time.Time, packets int) {
	b, err := os.ReadFile(c.file)
	if err != nil {
		c.h.t.Fatal(err)
	}
	for line := range strings.Lines(string(b)) {
		stamp, _, _ := strings.Cut(line, " ")
		if f, err := strconv.ParseFloat(stamp, 64); err == nil {
			at = time.UnixMicro(int64(f * 1e6))
			packets++
		}
	}
	return at, packets
}

// 1,000 prefixes to FRR and back: from the call of Set to the last packet on the link, and
// to FRR's table.
func BenchmarkFRR1000Prefixes(b *testing.B) {
	h := newHost(b, "frr")
	l := h.plug(1)
	f := startFRR(h, 64501, neighbor(l.speaker4(0), "64500"))
	all := append(hosts(500, false), hosts(500, true)...)
	c := config(l.router4)
	s := startSpeaker(b, onePeer(c, nil))
	s.wait("tor", bgp.StateEstablished)
	packets := startCapture(h, l.speaker4(0))
	seen := 0
	measure := func(name string, r map[netip.Prefix]bgp.Attributes, want ...netip.Prefix) {
		start := time.Now()
		s.Set(bgp.Desired{Peers: onePeer(c, r).Peers, Complete: true})
		f.waitPrefixes(want...)
		table := time.Since(start)
		// The table is complete, so all packets have passed; tcpdump may be a little behind.
		var wire time.Duration
		eventually(b, "the capture", func() error {
			at, n := packets.last()
			settled := n == seen && at.After(start)
			if seen, wire = n, at.Sub(start); !settled {
				return fmt.Errorf("%d packets, still growing", n)
			}
			return nil
		})
		b.ReportMetric(float64(wire.Microseconds())/1e3, name+"-wire-ms")
		b.ReportMetric(float64(table.Microseconds())/1e3, name+"-table-ms")
		if wire > time.Second {
			b.Errorf("%s took %v on the wire", name, wire)
		}
	}
	for b.Loop() {
		distinct := map[netip.Prefix]bgp.Attributes{}
		for i, p := range all {
			distinct[p] = bgp.Attributes{MED: bgp.Some(uint32(i))}
		}
		measure("announce", routes(bgp.Attributes{}, all...), all...)
		measure("withdraw", nil)
		measure("announce-1000-kinds", distinct, all...)
		measure("withdraw-again", nil)
	}
	if st := s.Snapshot()["tor"]; st.Established != 1 {
		b.Errorf("established %d times", st.Established)
	}
}

// rawPeer is a router of which only the connection is real: it accepts one session, keeps
// it up and notes when messages come.
type rawPeer struct {
	addr netip.AddrPort
	rate time.Duration // pause after every 100 UPDATEs

	mu         sync.Mutex
	keepalives []time.Time
	prefixes   int
	updates    int
	news       chan struct{}
	ended      bool
}

func startRawPeer(t testing.TB, rate time.Duration, hold time.Duration) *rawPeer {
	// A small window from the start, so that what waits does so at our end.
	lc := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) error {
		return c.Control(func(fd uintptr) { _ = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_RCVBUF, 8<<10) })
	}}
	ln, err := lc.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &rawPeer{addr: netip.MustParseAddrPort(ln.Addr().String()), rate: rate, news: make(chan struct{}, 1)}
	var wg sync.WaitGroup
	wg.Go(func() {
		c, err := ln.Accept()
		if err != nil {
			return
		}
		wg.Go(func() { p.serve(c, hold) })
		t.Cleanup(func() { c.Close() })
	})
	t.Cleanup(func() { ln.Close() })
	return p
}

func (p *rawPeer) serve(c net.Conn, hold time.Duration) {
	r := bufio.NewReaderSize(c, 4096)
	header := make([]byte, wire.HeaderLen)
	for {
		if _, err := io.ReadFull(r, header); err != nil {
			p.mu.Lock()
			p.ended = true
			p.mu.Unlock()
			return
		}
		t, n, err := wire.ParseHeader(header)
		if err != nil {
			return
		}
		body := make([]byte, n)
		if _, err := io.ReadFull(r, body); err != nil {
			return
		}
		p.mu.Lock()
		switch t {
		case wire.TypeOpen:
			o := wire.Open{ASN: 64501, HoldTime: hold, RouterID: netip.MustParseAddr("10.0.0.9"), Capabilities: wire.Capabilities{
				FourOctetAS: 64501, Families: []wire.Family{wire.IPv4Unicast, wire.IPv6Unicast}}}
			_, _ = c.Write(wire.AppendKeepalive(o.Append(nil)))
			go keepAlive(c, hold/3)
		case wire.TypeKeepalive:
			p.keepalives = append(p.keepalives, time.Now())
		case wire.TypeUpdate:
			p.updates++
		}
		p.mu.Unlock()
		select {
		case p.news <- struct{}{}:
		default:
		}
		if t == wire.TypeUpdate && p.updates%100 == 0 {
			time.Sleep(p.rate) // a peer that takes its time
		}
	}
}

// keepAlive sends KEEPALIVEs until the connection ends.
func keepAlive(c net.Conn, every time.Duration) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for range tick.C {
		if _, err := c.Write(wire.AppendKeepalive(nil)); err != nil {
			return
		}
	}
}

// 10,000 prefixes, each with attributes of its own, to four peers that read slowly: the
// longest silence between KEEPALIVEs, with a hold time of 3 s.
func Benchmark10000PrefixesTo4Peers(b *testing.B) {
	const prefixes, peers = 10_000, 4
	all := map[netip.Prefix]bgp.Attributes{}
	for i, p := range hosts(prefixes, false) {
		all[p] = bgp.Attributes{NextHop: netip.MustParseAddr("192.0.2.1"), MED: bgp.Some(uint32(i))}
	}
	for b.Loop() {
		d := bgp.Desired{Peers: map[string]bgp.Peer{}, Complete: true}
		var raw []*rawPeer
		for i := range peers {
			p := startRawPeer(b, 50*time.Millisecond, 3*time.Second)
			raw = append(raw, p)
			c := config(p.addr.Addr())
			c.Port, c.Hold = p.addr.Port(), 3*time.Second
			d.Peers[fmt.Sprint(i)] = bgp.Peer{Config: c}
		}
		s := startSpeaker(b, d)
		for name := range d.Peers {
			s.wait(name, bgp.StateEstablished)
		}
		start := time.Now()
		loaded := bgp.Desired{Peers: map[string]bgp.Peer{}, Complete: true}
		for name, p := range d.Peers {
			loaded.Peers[name] = bgp.Peer{Config: p.Config, Routes: bgp.NewRoutes(all)}
		}
		s.Set(loaded)
		for name := range d.Peers {
			s.waitFor(name, "all routes", func(st bgp.Status) bool { return len(st.Routes) == prefixes && st.Pending == 0 })
		}
		var took, gap time.Duration
		for _, p := range raw {
			eventually(b, "all updates", func() error {
				p.mu.Lock()
				defer p.mu.Unlock()
				if p.updates < prefixes {
					return fmt.Errorf("%d", p.updates)
				}
				return nil
			})
			p.mu.Lock()
			took = max(took, time.Since(start))
			for i := range p.keepalives[1:] {
				gap = max(gap, p.keepalives[i+1].Sub(p.keepalives[i]))
			}
			gap = max(gap, time.Since(p.keepalives[len(p.keepalives)-1]))
			if p.ended {
				b.Error("a session has ended")
			}
			p.mu.Unlock()
		}
		for name := range d.Peers {
			if st := s.Snapshot()[name]; st.Established != 1 {
				b.Errorf("peer %s: established %d times, %q", name, st.Established, st.LastError)
			}
		}
		b.ReportMetric(took.Seconds(), "all-delivered-s")
		b.ReportMetric(gap.Seconds(), "longest-keepalive-gap-s")
		if gap > 2*time.Second {
			b.Errorf("no KEEPALIVE for %v", gap)
		}
		s.stop()
	}
}

// One of 1,000 routes changes, 10,000 times: from Set to the octets at the peer, and the
// resets that this causes.
func Benchmark10000Changes(b *testing.B) {
	const services, changes = 1000, 10_000
	all := hosts(services, false)
	for b.Loop() {
		p := startRawPeer(b, 0, 90*time.Second)
		c := config(p.addr.Addr())
		c.Port, c.Hold = p.addr.Port(), 90*time.Second
		base := routes(bgp.Attributes{NextHop: netip.MustParseAddr("192.0.2.1")}, all...)
		s := startSpeaker(b, onePeer(c, base))
		s.waitFor("tor", "all routes", func(st bgp.Status) bool { return len(st.Routes) == services && st.EndOfRIB })
		seen := func() int {
			p.mu.Lock()
			defer p.mu.Unlock()
			return p.updates
		}
		eventually(b, "all updates", func() error {
			if seen() < 4 {
				return fmt.Errorf("%d", seen())
			}
			return nil
		})
		var took []time.Duration
		for i := range changes {
			next := make(map[netip.Prefix]bgp.Attributes, services)
			for k, v := range base {
				next[k] = v
			}
			a := base[all[i%services]]
			a.MED = bgp.Some(uint32(i))
			next[all[i%services]] = a
			base = next
			before := seen()
			start := time.Now()
			s.Set(bgp.Desired{Peers: onePeer(c, next).Peers, Complete: true})
			for seen() == before {
				<-p.news
			}
			took = append(took, time.Since(start))
		}
		slices.Sort(took)
		st := s.Snapshot()["tor"]
		b.ReportMetric(float64(took[len(took)/2].Microseconds())/1e3, "p50-ms")
		b.ReportMetric(float64(took[len(took)*99/100].Microseconds())/1e3, "p99-ms")
		b.ReportMetric(float64(took[len(took)-1].Microseconds())/1e3, "max-ms")
		b.ReportMetric(float64(st.Established-1), "resets")
		if st.Established != 1 {
			b.Errorf("established %d times", st.Established)
		}
		s.stop()
	}
}

// Memory of a session, the test's own end of it included, so an upper bound.
func BenchmarkMemoryPerSession(b *testing.B) {
	for _, prefixes := range []int{0, 1000} {
		b.Run(fmt.Sprintf("prefixes=%d", prefixes), func(b *testing.B) {
			const sessions = 100
			for b.Loop() {
				used := func() uint64 {
					var m runtime.MemStats
					runtime.GC()
					runtime.GC()
					runtime.ReadMemStats(&m)
					return m.HeapAlloc + m.StackInuse
				}
				r := routes(bgp.Attributes{NextHop: netip.MustParseAddr("192.0.2.1")}, hosts(prefixes, false)...)
				d := bgp.Desired{Peers: map[string]bgp.Peer{}, Complete: true}
				for i := range sessions {
					p := startRawPeer(b, 0, 90*time.Second)
					c := config(p.addr.Addr())
					c.Port, c.Hold = p.addr.Port(), 90*time.Second
					d.Peers[fmt.Sprint(i)] = bgp.Peer{Config: c, Routes: bgp.NewRoutes(r)}
				}
				before := used()
				s := startSpeaker(b, d)
				for name := range d.Peers {
					s.waitFor(name, "everything", func(st bgp.Status) bool { return st.EndOfRIB })
				}
				b.ReportMetric(float64(used()-before)/sessions/1024, "KiB/session")
				s.stop()
			}
		})
	}
}
