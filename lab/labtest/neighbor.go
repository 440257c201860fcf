package labtest

import (
	"bytes"
	"context"
	"errors"
	"net"
	"net/netip"
	"slices"

	"github.com/lintel-lb/lintel/lab/probe"
)

// linkPort is the port of every client on its segment.
const linkPort = "eth0"

// Neighbor returns what a host's kernel knows about an address on the host's own
// segment: where it sends packets for it. It sends nothing.
func (e *Env) Neighbor(host string, addr netip.Addr) (probe.Neighbor, error) {
	if _, err := e.Lab.Host(host); err != nil {
		return probe.Neighbor{}, err
	}
	n, err := probe.In(e.Lab.Namespace(host))
	if err != nil {
		return probe.Neighbor{}, err
	}
	out, err := n.Neighbor(addr)
	return out, errors.Join(err, n.Close())
}

// Answerers asks on a host's segment who has an address, by ARP or neighbour
// solicitation, and returns the names of all hosts that answer within half a
// second. An answer from a MAC of no host counts as a host called like the MAC.
// The kernel's neighbour table is neither asked nor changed by it.
func (e *Env) Answerers(ctx context.Context, host string, addr netip.Addr) ([]string, error) {
	macs, err := probe.Who(ctx, e.Lab.Namespace(host), linkPort, addr)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, mac := range macs {
		names = append(names, e.HostOf(mac))
	}
	slices.Sort(names)
	return slices.Compact(names), nil
}

// HostOf returns the name of the host that has a MAC, or the MAC itself.
func (e *Env) HostOf(mac string) string {
	hw, err := net.ParseMAC(mac)
	if err != nil {
		return mac
	}
	return e.hostOf(hw)
}

func (e *Env) hostOf(mac net.HardwareAddr) string {
	for _, h := range e.Lab.Hosts() {
		for _, p := range h.Ports {
			if bytes.Equal(p.MAC, mac) {
				return h.Name
			}
		}
	}
	return mac.String()
}
