package bgp

import (
	"bytes"
	"context"
	"encoding/binary"
	"net"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/mdlayher/socket"
	"golang.org/x/sys/unix"

	"github.com/lintel-lb/lintel/lab"
	"github.com/lintel-lb/lintel/lab/labtest"
)

// wire sees what nodes send to the router's BGP port over IPv4.
type wire struct {
	conn *socket.Conn
	wg   sync.WaitGroup
	stop context.CancelFunc

	mu     sync.Mutex
	wanted []byte
	seen   map[netip.Addr]time.Time
	fresh  chan struct{}
}

func listen(t testing.TB, e *labtest.Env) *wire {
	t.Helper()
	host, err := e.Lab.Host(lab.RouterName)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	w := &wire{stop: stop, fresh: make(chan struct{}, 1)}
	err = e.Lab.In(lab.RouterName, func() error {
		ifi, err := net.InterfaceByName(host.Ports[0].Name)
		if err != nil {
			return err
		}
		if w.conn, err = socket.Socket(unix.AF_PACKET, unix.SOCK_DGRAM, 0, "wire", nil); err != nil {
			return err
		}
		return w.conn.Bind(&unix.SockaddrLinklayer{Protocol: binary.NativeEndian.Uint16([]byte{8, 0}), Ifindex: ifi.Index})
	})
	if err != nil {
		stop()
		t.Fatal(err)
	}
	w.wg.Go(func() { w.read(ctx) })
	t.Cleanup(func() {
		stop()
		_ = w.conn.Close()
		w.wg.Wait()
	})
	return w
}

func (w *wire) read(ctx context.Context) {
	buf := make([]byte, 65536)
	for {
		n, _, err := w.conn.Recvfrom(ctx, buf, 0)
		if err != nil {
			return
		}
		w.packet(buf[:n], time.Now())
	}
}

// packet looks for the wanted prefix in an IPv4 packet to TCP port 179.
func (w *wire) packet(b []byte, at time.Time) {
	const tcp, bgp = 6, 179
	if len(b) < 40 || b[9] != tcp {
		return
	}
	header := int(b[0]&15) * 4
	if len(b) < header+20 || binary.BigEndian.Uint16(b[header+2:]) != bgp {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	from := netip.AddrFrom4([4]byte(b[12:16]))
	if _, known := w.seen[from]; known || w.wanted == nil || !bytes.Contains(b[header+20:], w.wanted) {
		return
	}
	w.seen[from] = at
	select {
	case w.fresh <- struct{}{}:
	default:
	}
}

// expect begins to look for UPDATEs about a host route.
func (w *wire) expect(p netip.Prefix) {
	a := p.Addr().As4()
	w.mu.Lock()
	defer w.mu.Unlock()
	w.wanted, w.seen = append([]byte{byte(p.Bits())}, a[:]...), map[netip.Addr]time.Time{}
}

// updated waits until n nodes have sent an UPDATE about the route, and returns when the last
// one was seen.
func (w *wire) updated(ctx context.Context, n int) (time.Time, error) {
	for {
		w.mu.Lock()
		var last time.Time
		for _, at := range w.seen {
			if at.After(last) {
				last = at
			}
		}
		complete := len(w.seen) == n
		w.mu.Unlock()
		if complete {
			return last, nil
		}
		select {
		case <-w.fresh:
		case <-ctx.Done():
			return last, ctx.Err()
		}
	}
}
