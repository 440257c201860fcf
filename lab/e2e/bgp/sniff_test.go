package bgp

import (
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

// packet is an IP packet on the router's link to the nodes.
type packet struct {
	At       time.Time // when the kernel saw it
	Sent     bool      // by the router
	Station  [6]byte   // the other end's link address
	From, To netip.Addr
	Protocol byte
	// SourcePort, Port and Payload are set for TCP and UDP.
	SourcePort, Port uint16
	Payload          []byte
}

// Protocols and ports of interest.
const (
	protocolTCP, protocolUDP = 6, 17
	portBGP, portBFD         = 179, 3784
)

// sniff gives every IP packet on the router's link to the nodes to f, until the function
// returned is called or the test ends. A packet's contents are f's only during the call.
//
// The interface does not become promiscuous: FRR takes its sessions down when one does.
func sniff(t testing.TB, e *labtest.Env, f func(packet)) (stop func()) {
	t.Helper()
	host, err := e.Lab.Host(lab.RouterName)
	if err != nil {
		t.Fatal(err)
	}
	var conn *socket.Conn
	err = e.Lab.In(lab.RouterName, func() error {
		ifi, err := net.InterfaceByName(host.Ports[0].Name)
		if err != nil {
			return err
		}
		if conn, err = socket.Socket(unix.AF_PACKET, unix.SOCK_RAW, 0, "sniff", nil); err != nil {
			return err
		}
		// Where the reader is late, what has come must wait and not be dropped.
		if err := conn.SetsockoptInt(unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, 16<<20); err != nil {
			return err
		}
		if err := conn.SetsockoptInt(unix.SOL_SOCKET, unix.SO_TIMESTAMPNS, 1); err != nil {
			return err
		}
		return conn.Bind(&unix.SockaddrLinklayer{Protocol: binary.NativeEndian.Uint16([]byte{0, unix.ETH_P_ALL}), Ifindex: ifi.Index})
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	var wg sync.WaitGroup
	wg.Go(func() { read(ctx, conn, f) })
	stop = sync.OnceFunc(func() {
		cancel()
		_ = conn.Close()
		wg.Wait()
	})
	t.Cleanup(stop)
	return stop
}

func read(ctx context.Context, conn *socket.Conn, f func(packet)) {
	buf, oob := make([]byte, 65536), make([]byte, 256)
	for {
		n, oobn, _, from, err := conn.Recvmsg(ctx, buf, oob, 0)
		if err != nil {
			return
		}
		p, ok := parsePacket(buf[:n])
		if !ok {
			continue
		}
		p.At = time.Now()
		if at, ok := stamp(oob[:oobn]); ok {
			p.At = at
		}
		if ll, ok := from.(*unix.SockaddrLinklayer); ok && ll.Pkttype == unix.PACKET_OUTGOING {
			p.Sent = true
			p.Station = [6]byte(buf[:6])
		}
		f(p)
	}
}

// stamp is the kernel's time of a packet.
func stamp(oob []byte) (time.Time, bool) {
	messages, err := unix.ParseSocketControlMessage(oob)
	if err != nil {
		return time.Time{}, false
	}
	for _, m := range messages {
		if m.Header.Level == unix.SOL_SOCKET && m.Header.Type == unix.SO_TIMESTAMPNS && len(m.Data) >= 16 {
			return time.Unix(int64(binary.NativeEndian.Uint64(m.Data)), int64(binary.NativeEndian.Uint64(m.Data[8:]))), true
		}
	}
	return time.Time{}, false
}

// parsePacket takes a frame apart. Its station is the sender.
func parsePacket(b []byte) (p packet, ok bool) {
	const ethernet = 14
	if len(b) < ethernet {
		return p, false
	}
	p.Station = [6]byte(b[6:12])
	kind, b := binary.BigEndian.Uint16(b[12:]), b[ethernet:]
	switch {
	case kind == unix.ETH_P_IP && len(b) >= 20:
		header, total := int(b[0]&15)*4, int(binary.BigEndian.Uint16(b[2:]))
		if header < 20 || total < header || len(b) < total {
			return p, false
		}
		p.Protocol, p.From, p.To = b[9], netip.AddrFrom4([4]byte(b[12:16])), netip.AddrFrom4([4]byte(b[16:20]))
		b = b[header:total]
	case kind == unix.ETH_P_IPV6 && len(b) >= 40:
		total := 40 + int(binary.BigEndian.Uint16(b[4:]))
		if len(b) < total {
			return p, false
		}
		p.Protocol, p.From, p.To = b[6], netip.AddrFrom16([16]byte(b[8:24])), netip.AddrFrom16([16]byte(b[24:40]))
		b = b[40:total]
	default:
		return p, false
	}
	offset := 8
	switch {
	case p.Protocol == protocolTCP && len(b) >= 20:
		offset = int(b[12]>>4) * 4
	case p.Protocol == protocolUDP:
	default:
		return p, true
	}
	if len(b) < offset {
		return p, false
	}
	p.SourcePort, p.Port, p.Payload = binary.BigEndian.Uint16(b), binary.BigEndian.Uint16(b[2:]), b[offset:]
	return p, true
}
