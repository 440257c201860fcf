package bgp

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// unsentLimit is how many octets the kernel may hold that were not sent yet. It keeps
// KEEPALIVEs from queueing behind all routes, and what counts as written close to the wire.
const unsentLimit = 8 << 10

// SystemTransport makes TCP connections of the network namespace that the calling
// goroutine's thread is in.
type SystemTransport struct{}

// Dial implements Transport.
func (SystemTransport) Dial(ctx context.Context, local netip.Addr, remote netip.AddrPort, o SocketOptions) (net.Conn, error) {
	d := net.Dialer{Control: func(_, _ string, c syscall.RawConn) error {
		return control(c, func(fd int) error {
			if err := setOptions(fd, remote.Addr().Is6(), o); err != nil {
				return err
			}
			if o.Password == "" {
				return nil
			}
			host := netip.PrefixFrom(remote.Addr().WithZone(""), remote.Addr().BitLen())
			return setMD5(fd, remote.Addr().Is6(), host, o.Password)
		})
	}}
	d.SetMultipathTCP(false)
	if local.IsValid() {
		d.LocalAddr = net.TCPAddrFromAddrPort(netip.AddrPortFrom(local, 0))
	}
	c, err := d.DialContext(ctx, "tcp", remote.String())
	if errors.Is(err, unix.EADDRNOTAVAIL) && local.IsValid() {
		return nil, fmt.Errorf("bgp: source %v is not an address of this node: %w", local, err)
	}
	return c, err
}

// Listen implements Transport.
func (SystemTransport) Listen(ctx context.Context, local netip.AddrPort, o SocketOptions, keys map[netip.Prefix]Password) (Listener, map[netip.Prefix]error, error) {
	v6 := local.Addr().Is6()
	failed := map[netip.Prefix]error{}
	// A TTL of 255 serves sessions with and without TTL security alike; what a peer may
	// send is decided for each connection, in Accepted.
	o.TTL = 255
	lc := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) error {
		return control(c, func(fd int) error {
			for peer, key := range keys {
				if err := setMD5(fd, v6, peer, key); err != nil {
					failed[peer] = err
				}
			}
			return setOptions(fd, v6, o)
		})
	}}
	// The TCP MD5 option does not exist on multipath sockets.
	lc.SetMultipathTCP(false)
	l, err := lc.Listen(ctx, "tcp", local.String())
	switch {
	case errors.Is(err, unix.EACCES):
		return nil, nil, fmt.Errorf("%w: a port below 1024 needs the capability NET_BIND_SERVICE", err)
	case errors.Is(err, unix.EADDRINUSE):
		return nil, nil, fmt.Errorf("%w: another program on this node has the port", err)
	case errors.Is(err, unix.EADDRNOTAVAIL):
		return nil, nil, fmt.Errorf("%w: it is not an address of this node", err)
	case err != nil:
		return nil, nil, err
	}
	return &systemListener{TCPListener: l.(*net.TCPListener), v6: v6}, failed, nil
}

// Accepted implements Transport.
func (SystemTransport) Accepted(c net.Conn, o SocketOptions) error {
	raw, err := c.(*net.TCPConn).SyscallConn()
	if err != nil {
		return err
	}
	v6 := endpoint(c.RemoteAddr()).Addr().Is6()
	o.Device = ""
	return control(raw, func(fd int) error {
		if o.TTL == 0 { // undo what the listener needs for others
			if err := setTTL(fd, v6, systemTTL); err != nil {
				return err
			}
		}
		return setOptions(fd, v6, o)
	})
}

// Addresses implements Transport.
func (SystemTransport) Addresses(local netip.Addr) []netip.Addr {
	ifs, err := net.Interfaces()
	if err != nil {
		return nil
	}
	for _, i := range ifs {
		nets, err := i.Addrs()
		if err != nil {
			continue
		}
		var addrs []netip.Addr
		found := false
		for _, n := range nets {
			ipn, ok := n.(*net.IPNet)
			if !ok {
				continue
			}
			a, ok := netip.AddrFromSlice(ipn.IP)
			if !ok {
				continue
			}
			a = a.Unmap()
			addrs = append(addrs, a)
			found = found || a == local.WithZone("") && (local.Zone() == "" || local.Zone() == i.Name)
		}
		if found {
			return addrs
		}
	}
	return nil
}

type systemListener struct {
	*net.TCPListener
	v6 bool
}

func (l *systemListener) SetPassword(peer netip.Prefix, key Password) error {
	raw, err := l.SyscallConn()
	if err != nil {
		return err
	}
	return control(raw, func(fd int) error { return setMD5(fd, l.v6, peer, key) })
}

// control runs set on the descriptor and returns its error.
func control(c syscall.RawConn, set func(fd int) error) error {
	var inner error
	if err := c.Control(func(fd uintptr) { inner = set(int(fd)) }); err != nil {
		return err
	}
	return inner
}

func setOptions(fd int, v6 bool, o SocketOptions) error {
	if o.Device != "" {
		if err := unix.BindToDevice(fd, o.Device); err != nil {
			return fmt.Errorf("bgp: bind to device %s: %w", o.Device, err)
		}
	}
	if err := unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NOTSENT_LOWAT, unsentLimit); err != nil {
		return fmt.Errorf("bgp: limit unsent octets: %w", err)
	}
	if o.TTL != 0 {
		if err := setTTL(fd, v6, int(o.TTL)); err != nil {
			return err
		}
	}
	if o.MinTTL != 0 {
		level, option := unix.IPPROTO_IP, unix.IP_MINTTL
		if v6 {
			level, option = unix.IPPROTO_IPV6, unix.IPV6_MINHOPCOUNT
		}
		if err := unix.SetsockoptInt(fd, level, option, int(o.MinTTL)); err != nil {
			return fmt.Errorf("bgp: set TTL security: %w", err)
		}
	}
	return nil
}

// systemTTL stands for the system's default.
const systemTTL = -1

func setTTL(fd int, v6 bool, ttl int) error {
	level, option := unix.IPPROTO_IP, unix.IP_TTL
	if v6 {
		level, option = unix.IPPROTO_IPV6, unix.IPV6_UNICAST_HOPS
	}
	if err := unix.SetsockoptInt(fd, level, option, ttl); err != nil {
		return fmt.Errorf("bgp: set TTL: %w", err)
	}
	return nil
}

// setMD5 sets the key for a peer or a prefix of peers (RFC 2385).
func setMD5(fd int, v6 bool, peer netip.Prefix, key Password) error {
	sig := unix.TCPMD5Sig{
		Flags:     unix.TCP_MD5SIG_FLAG_PREFIX,
		Prefixlen: uint8(peer.Bits()),
		Keylen:    uint16(len(key)),
	}
	copy(sig.Key[:], key)
	if v6 {
		sa := (*unix.RawSockaddrInet6)(unsafe.Pointer(&sig.Addr))
		sa.Family, sa.Addr = unix.AF_INET6, peer.Addr().As16()
	} else {
		sa := (*unix.RawSockaddrInet4)(unsafe.Pointer(&sig.Addr))
		sa.Family, sa.Addr = unix.AF_INET, peer.Addr().As4()
	}
	return passwordError(unix.SetsockoptTCPMD5Sig(fd, unix.IPPROTO_TCP, unix.TCP_MD5SIG_EXT, &sig))
}

// passwordError says what to do where the kernel did not take a key.
func passwordError(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, unix.ENOPROTOOPT):
		return fmt.Errorf("bgp: set password: %w: this node's kernel was built without TCP MD5 (CONFIG_TCP_MD5SIG); use another kernel, or no password on either side", err)
	case errors.Is(err, unix.EOPNOTSUPP), errors.Is(err, unix.ENOENT):
		return fmt.Errorf("bgp: set password: %w: this node's kernel does not allow MD5, as in FIPS mode; allow it, or use no password on either side", err)
	case errors.Is(err, unix.ENOMEM):
		return fmt.Errorf("bgp: set password: %w: this node's kernel has no room for another key (raise the sysctl net.core.optmem_max), or does not allow MD5, as in FIPS mode", err)
	}
	return fmt.Errorf("bgp: set password: %w", err)
}
