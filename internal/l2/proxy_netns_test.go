//go:build netns && linux

package l2

import (
	"context"
	"errors"
	"net/netip"
	"testing"

	"github.com/mdlayher/packet"
	"golang.org/x/sys/unix"

	"github.com/lintel-lb/lintel/internal/l2/nstest"
)

func isNoLink(err error) bool { return errors.Is(err, ErrNoLink) }

// proxy answers every question on the wire that the condition takes.
func proxy(t *testing.T, ns *nstest.NS, etherType int, answer func(w *wire, frame []byte) []byte) {
	t.Helper()
	w := openWire(t, ns, "eth0", etherType)
	done := make(chan struct{})
	go func() {
		defer close(done)
		buf := make([]byte, frameBuffer)
		for {
			n, _, err := w.conn.ReadFrom(buf)
			if err != nil {
				return // closed
			}
			if r := answer(w, buf[:n]); r != nil {
				if _, err := w.conn.WriteTo(r, &packet.Addr{HardwareAddr: r[:6]}); err != nil {
					return
				}
			}
		}
	}()
	t.Cleanup(func() { _ = w.conn.Close(); <-done })
}

func TestProbeRecognisesProxies(t *testing.T) {
	node, client := twoHosts(t)
	client.IP("link set eth0 allmulticast on")
	node.IP("addr add 192.0.2.2/24 dev eth0")
	arpAll := func(only ...netip.Addr) func(w *wire, frame []byte) []byte {
		return func(w *wire, frame []byte) []byte {
			f, ok := parseARP(frame)
			if !ok || f.op != arpRequest {
				return nil
			}
			target := netip.AddrFrom4(f.targetIP)
			for _, a := range only {
				if a == target {
					ok = false
				}
			}
			if !ok {
				return nil
			}
			return arpFrame{
				dst: f.senderMAC, src: w.mac, op: arpReply, senderMAC: w.mac, senderIP: f.targetIP,
				targetMAC: f.senderMAC, targetIP: f.senderIP,
			}.append(nil)
		}
	}
	t.Run("ARP", func(t *testing.T) {
		proxy(t, client, unix.ETH_P_ARP, arpAll(netip.MustParseAddr("192.0.2.0")))
		expectProxy(t, node, "192.0.2.77")
	})
	t.Run("ARP within the subnet", func(t *testing.T) {
		proxy(t, client, unix.ETH_P_ARP, arpAll(netip.MustParseAddr("198.51.100.254")))
		expectProxy(t, node, "192.0.2.77")
	})
	t.Run("NDP", func(t *testing.T) {
		proxy(t, client, unix.ETH_P_IPV6, func(w *wire, frame []byte) []byte {
			f, ok := parseND(frame)
			if !ok || f.typ != typeNS || f.src == w.mac {
				return nil
			}
			return with(ndAnnouncement(w.mac, ip6("fe80::3"), f.target), func(r *ndFrame) { r.flags = 0 }).append(nil)
		})
		expectProxy(t, node, "2001:db8::77")
	})
}

func expectProxy(t *testing.T, node *nstest.NS, addr string) {
	t.Helper()
	e := start(t, node, nil)
	warm := netip.MustParseAddr("2001:db8::ffff")
	e.Set(own(warm)) // tells that the link has both protocols
	expect(t, e, warm, on("eth0"))
	r, err := e.Probe(t.Context(), ProbeRequest{Addr: netip.MustParseAddr(addr), Scope: Scope{All: true}})
	if err != nil || r.Conflict != nil || len(r.Proxies) != 1 {
		t.Errorf("probe %s: %+v, %v; want one proxy and no conflict", addr, r, err)
	}
}

func TestProbeEnds(t *testing.T) {
	node, _ := twoHosts(t)
	e := start(t, node, nil)
	e.Set(own(vip4()))
	expect(t, e, vip4(), on("eth0"))
	ctx, cancel := context.WithTimeout(t.Context(), probeInterval/2)
	defer cancel()
	_, err := e.Probe(ctx, ProbeRequest{Addr: netip.MustParseAddr("192.0.2.77"), Scope: Scope{All: true}})
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("probe beyond its deadline: %v", err)
	}
}
