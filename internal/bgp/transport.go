package bgp

import (
	"context"
	"net"
	"net/netip"
)

// SocketOptions are the options of one session's sockets. Zero values leave the default.
type SocketOptions struct {
	// Device binds to a VRF or interface.
	Device string
	// Password is the TCP MD5 key for connections with the peer.
	Password Password
	// TTL is sent; packets that arrive with less than MinTTL are dropped by the kernel.
	TTL, MinTTL uint8
}

// Transport makes connections. The one of the system is SystemTransport.
type Transport interface {
	// Dial connects from local, which may be invalid. It returns soon after the context
	// has ended.
	Dial(ctx context.Context, local netip.Addr, remote netip.AddrPort, o SocketOptions) (net.Conn, error)
	// Listen opens a port, with the TCP MD5 keys for peers or prefixes of peers set before
	// the first connection can come. It returns the keys that could not be set, and why; the
	// port is open without them. Of the options only Device counts.
	Listen(ctx context.Context, local netip.AddrPort, o SocketOptions, keys map[netip.Prefix]Password) (Listener, map[netip.Prefix]error, error)
	// Accepted applies TTL and MinTTL to a connection that a Listener returned.
	Accepted(c net.Conn, o SocketOptions) error
	// Addresses returns the addresses of the interface that has the local address.
	Addresses(local netip.Addr) []netip.Addr
}

// Listener is an open port.
type Listener interface {
	Accept() (net.Conn, error)
	Close() error
	// SetPassword sets the TCP MD5 key for connections that a peer or a prefix of peers
	// opens from now on. Those that wait to be accepted may not have it.
	SetPassword(peer netip.Prefix, key Password) error
}

// endpoint returns the address of one end of a connection, without a port where the
// connection is not one of IP.
func endpoint(a net.Addr) netip.AddrPort {
	if a == nil {
		return netip.AddrPort{}
	}
	ap, err := netip.ParseAddrPort(a.String())
	if err != nil {
		return netip.AddrPort{}
	}
	return netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port())
}

// otherFamily picks an address that can be a next hop for routes of the family that local
// is not of. A link-local one cannot: the peer may not know on which link it is (RFC 2545).
func otherFamily(local netip.Addr, addrs []netip.Addr) netip.Addr {
	for _, a := range addrs {
		a = a.Unmap()
		if a.Is4() != local.Is4() && a.IsLoopback() == local.IsLoopback() && !a.IsLinkLocalUnicast() && !a.IsMulticast() {
			return a
		}
	}
	return netip.Addr{}
}
