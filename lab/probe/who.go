package probe

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"slices"
	"strings"
	"time"

	"github.com/mdlayher/ndp"
	"golang.org/x/net/ipv6"
)

// whoWait is how long answers are waited for.
const whoWait = 500 * time.Millisecond

// Who asks on the link called link, in the network namespace called namespace, who has an
// address, and returns the MAC addresses of all that answer within half a second, sorted.
// The kernel's neighbour table is neither asked nor changed by it.
func Who(ctx context.Context, namespace, link string, addr netip.Addr) ([]string, error) {
	ask := whoNDP
	if addr.Is4() {
		ask = whoARP
	}
	macs, err := ask(ctx, namespace, link, addr)
	if err != nil {
		return nil, fmt.Errorf("probe: who has %s: %w", addr, err)
	}
	slices.Sort(macs)
	return slices.Compact(macs), nil
}

// whoARP uses arping, which ends with an error if nobody answers.
func whoARP(ctx context.Context, namespace, link string, addr netip.Addr) ([]string, error) {
	cmd := exec.CommandContext(ctx, "ip", "netns", "exec", namespace,
		"arping", "-r", "-c", "2", "-W", "0.2", "-w", "0.5", "-i", link, addr.String())
	out, err := cmd.Output()
	var exit *exec.ExitError
	silent := errors.As(err, &exit) && exit.ExitCode() == 1 && len(bytes.TrimSpace(out)) == 0
	if err != nil && !silent {
		return nil, err
	}
	return strings.Fields(string(out)), nil
}

// whoNDP sends a Neighbor Solicitation (RFC 4861 section 4.3) and collects the answers. It is
// not left to ndisc6, which heeds only advertisements whose source is their target: others are
// valid as well.
func whoNDP(ctx context.Context, namespace, link string, addr netip.Addr) ([]string, error) {
	ns, err := In(namespace)
	if err != nil {
		return nil, err
	}
	defer ns.Close()
	var (
		ifi  *net.Interface
		conn net.PacketConn
	)
	// Only here do names of links mean those of the namespace.
	err = ns.Do(func() error {
		if ifi, err = net.InterfaceByName(link); err != nil {
			return err
		}
		conn, err = net.ListenPacket("ip6:ipv6-icmp", "::")
		return err
	})
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	if err := solicit(conn, ifi, addr); err != nil {
		return nil, err
	}
	deadline := time.Now().Add(whoWait)
	if d, ok := ctx.Deadline(); ok && d.Before(deadline) {
		deadline = d
	}
	if err := conn.SetReadDeadline(deadline); err != nil {
		return nil, err
	}
	var macs []string
	buf := make([]byte, 1500)
	for {
		n, _, err := conn.ReadFrom(buf)
		if errors.Is(err, os.ErrDeadlineExceeded) {
			return macs, ctx.Err()
		}
		if err != nil {
			return nil, err
		}
		if mac, ok := advertised(buf[:n], addr); ok {
			macs = append(macs, mac)
		}
	}
}

func solicit(conn net.PacketConn, ifi *net.Interface, addr netip.Addr) error {
	group, err := ndp.SolicitedNodeMulticast(addr)
	if err != nil {
		return err
	}
	question, err := ndp.MarshalMessage(&ndp.NeighborSolicitation{TargetAddress: addr, Options: []ndp.Option{
		&ndp.LinkLayerAddress{Direction: ndp.Source, Addr: ifi.HardwareAddr}}})
	if err != nil {
		return err
	}
	_, err = ipv6.NewPacketConn(conn).WriteTo(question,
		&ipv6.ControlMessage{IfIndex: ifi.Index, HopLimit: 255}, &net.IPAddr{IP: group.AsSlice()})
	return err
}

// advertised gives the MAC address that a message advertises for an address.
func advertised(b []byte, addr netip.Addr) (mac string, ok bool) {
	message, err := ndp.ParseMessage(b)
	if err != nil {
		return "", false
	}
	na, ok := message.(*ndp.NeighborAdvertisement)
	if !ok || na.TargetAddress != addr {
		return "", false
	}
	for _, o := range na.Options {
		if l, ok := o.(*ndp.LinkLayerAddress); ok && l.Direction == ndp.Target {
			return l.Addr.String(), true
		}
	}
	return "", false
}
