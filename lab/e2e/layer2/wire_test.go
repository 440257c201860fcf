package layer2

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mdlayher/ndp"
	"github.com/mdlayher/socket"
	"golang.org/x/sys/unix"

	"github.com/lintel-lb/lintel/lab/labtest"
)

const (
	askEvery = 20 * time.Millisecond
	// overlapBound is how long two nodes may both answer while an address moves between them
	// on purpose: each hears of it for itself.
	overlapBound = 500 * time.Millisecond
)

// sighting is one claim of an address, seen on the wire.
type sighting struct {
	at   time.Time
	host string
	// asked tells an answer from an announcement.
	asked bool
}

// wire listens on the observer's port, and asks for addresses if told to.
type wire struct {
	e    *labtest.Env
	conn *socket.Conn
	wg   sync.WaitGroup
	stop context.CancelFunc

	mu   sync.Mutex
	seen map[netip.Addr][]sighting
	err  error
	// fresh is closed and replaced with every sighting.
	fresh chan struct{}
}

// listen begins to watch all claims of addresses that reach the observer, and asks for those
// given every 20 ms.
func listen(t testing.TB, e *labtest.Env, ask ...netip.Addr) *wire {
	t.Helper()
	host, err := e.Lab.Host(observer)
	if err != nil {
		t.Fatal(err)
	}
	port := host.Ports[0]
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	w := &wire{e: e, stop: stop, seen: map[netip.Addr][]sighting{}, fresh: make(chan struct{})}
	err = e.Lab.In(observer, func() error {
		ifi, err := net.InterfaceByName(port.Name)
		if err != nil {
			return err
		}
		if w.conn, err = socket.Socket(unix.AF_PACKET, unix.SOCK_RAW, 0, "wire", nil); err != nil {
			return err
		}
		return w.conn.Bind(&unix.SockaddrLinklayer{Protocol: swap(unix.ETH_P_ALL), Ifindex: ifi.Index})
	})
	if err != nil {
		stop()
		t.Fatal(err)
	}
	w.wg.Go(func() { w.read(ctx) })
	if len(ask) > 0 {
		questions := make([][]byte, len(ask))
		for i, a := range ask {
			questions[i] = question(port.MAC, port.V4.Addr(), port.V6.Addr(), a)
		}
		w.wg.Go(func() { w.ask(ctx, questions) })
	}
	t.Cleanup(func() { w.close() })
	return w
}

func swap(v uint16) uint16 { return v<<8 | v>>8 }

// close ends it and gives what was seen, by address.
func (w *wire) close() map[netip.Addr][]sighting {
	w.stop()
	_ = w.conn.Close()
	w.wg.Wait()
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.seen
}

func (w *wire) fail(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.err = errors.Join(w.err, err)
}

func (w *wire) ask(ctx context.Context, questions [][]byte) {
	tick := time.NewTicker(askEvery)
	defer tick.Stop()
	for {
		for _, q := range questions {
			if _, err := w.conn.Write(q); err != nil && ctx.Err() == nil {
				w.fail(err)
				return
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

func (w *wire) read(ctx context.Context) {
	buf := make([]byte, 2048)
	for {
		if err := w.conn.SetReadDeadline(time.Now().Add(time.Second)); err != nil {
			return
		}
		n, err := w.conn.Read(buf)
		switch {
		case ctx.Err() != nil:
			return
		case errors.Is(err, os.ErrDeadlineExceeded):
			continue
		case err != nil:
			w.fail(err)
			return
		}
		a, mac, asked, ok := claim(buf[:n])
		if !ok {
			continue
		}
		s := sighting{at: time.Now(), host: w.e.HostOf(mac.String()), asked: asked}
		w.mu.Lock()
		w.seen[a] = append(w.seen[a], s)
		close(w.fresh)
		w.fresh = make(chan struct{})
		w.mu.Unlock()
	}
}

// first waits for the first sighting of an address after a moment that satisfies want.
func (w *wire) first(ctx context.Context, a netip.Addr, after time.Time, want func(sighting) bool) (sighting, error) {
	for {
		w.mu.Lock()
		for _, s := range w.seen[a] {
			if s.at.After(after) && want(s) {
				w.mu.Unlock()
				return s, nil
			}
		}
		fresh, err := w.fresh, w.err
		w.mu.Unlock()
		if err != nil {
			return sighting{}, err
		}
		select {
		case <-ctx.Done():
			return sighting{}, fmt.Errorf("nothing seen of %s", a)
		case <-fresh:
		}
	}
}

// claim reads an ARP packet (RFC 826) or a Neighbor Advertisement (RFC 4861 section 4.4) off a
// frame. Requests are claims only if they are gratuitous.
func claim(b []byte) (a netip.Addr, mac net.HardwareAddr, asked, ok bool) {
	if len(b) < 14 {
		return
	}
	body := b[14:]
	switch binary.BigEndian.Uint16(b[12:]) {
	case unix.ETH_P_ARP:
		if len(body) < 28 {
			return
		}
		sender, target := netip.AddrFrom4([4]byte(body[14:18])), netip.AddrFrom4([4]byte(body[24:28]))
		gratuitous := sender == target
		if binary.BigEndian.Uint16(body[6:]) == 1 && !gratuitous {
			return
		}
		return sender, net.HardwareAddr(slices.Clone(body[8:14])), !gratuitous, true
	case unix.ETH_P_IPV6:
		if len(body) < 40 || body[6] != unix.IPPROTO_ICMPV6 {
			return
		}
		m, err := ndp.ParseMessage(body[40:])
		na, is := m.(*ndp.NeighborAdvertisement)
		if err != nil || !is {
			return
		}
		for _, o := range na.Options {
			if l, is := o.(*ndp.LinkLayerAddress); is && l.Direction == ndp.Target {
				return na.TargetAddress, l.Addr, na.Solicited, true
			}
		}
	}
	return
}

// question is the frame that asks who has an address.
func question(mac net.HardwareAddr, own4, own6, a netip.Addr) []byte {
	if a.Is4() {
		b := append([]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, mac...)
		b = append(b, 0x08, 0x06, 0, 1, 0x08, 0, 6, 4, 0, 1)
		b = append(append(b, mac...), own4.AsSlice()...)
		return append(append(b, make([]byte, 6)...), a.AsSlice()...)
	}
	group, err := ndp.SolicitedNodeMulticast(a)
	if err != nil {
		panic(err)
	}
	body, err := ndp.MarshalMessageChecksum(&ndp.NeighborSolicitation{TargetAddress: a,
		Options: []ndp.Option{&ndp.LinkLayerAddress{Direction: ndp.Source, Addr: mac}}}, own6, group)
	if err != nil {
		panic(err)
	}
	g := group.As16()
	b := append([]byte{0x33, 0x33, g[12], g[13], g[14], g[15]}, mac...)
	b = append(b, 0x86, 0xdd, 0x60, 0, 0, 0, 0, byte(len(body)), unix.IPPROTO_ICMPV6, 255)
	b = append(append(b, own6.AsSlice()...), group.AsSlice()...)
	return append(b, body...)
}

// checkPath fails the test unless the hosts answered one after the other in this order, none
// twice, and two at a time for no longer than the bound. It returns the longest time that two
// did, and the longest without any answer.
func checkPath(t testing.TB, a netip.Addr, seen []sighting, path ...string) (overlap, silence time.Duration) {
	t.Helper()
	type span struct{ first, last time.Time }
	spans := map[string]span{}
	var order []string
	var last time.Time
	for _, s := range seen {
		if !s.asked {
			continue
		}
		if !last.IsZero() {
			silence = max(silence, s.at.Sub(last))
		}
		last = s.at
		sp, known := spans[s.host]
		if !known {
			order = append(order, s.host)
			sp.first = s.at
		}
		sp.last = s.at
		spans[s.host] = sp
	}
	for i := 1; i < len(order); i++ {
		overlap = max(overlap, spans[order[i-1]].last.Sub(spans[order[i]].first))
	}
	if !slices.Equal(order, path) {
		t.Errorf("%s was answered by %s; want %s", a, strings.Join(order, ", then "), strings.Join(path, ", then "))
	}
	if overlap > overlapBound {
		t.Errorf("for %v two nodes answered for %s", overlap, a)
	}
	return overlap, silence
}
